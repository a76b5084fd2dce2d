//! What does a spawned task cost with automatic propagation, next to a plain one?
//!
//! Tasks that are ready at once, on a runtime of one thread; the least of many rounds, in nanoseconds for each task.
//!
//! `RUSTFLAGS='--cfg tokio_unstable' cargo bench --manifest-path tests/automatic/Cargo.toml`

use std::time::Instant;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use throughline::Automatic;
use tokio::runtime::{Builder, Runtime};

const TASKS: u32 = 1000;

fn round(runtime: &Runtime) -> f64 {
    runtime.block_on(async {
        let begin = Instant::now();
        for _ in 0..TASKS {
            let _ready = tokio::spawn(async {}).await;
        }
        begin.elapsed().as_secs_f64() * 1e9 / f64::from(TASKS)
    })
}

fn main() {
    let span =
        SpanContext::new(TraceId::from(7_u128), SpanId::from(9_u64), TraceFlags::SAMPLED, true, TraceState::NONE);
    let context = Context::new().with_remote_span_context(span);
    let mut builder = Builder::new_current_thread();
    let plain = builder.build().expect("a runtime");
    let _tasks = Automatic::new().install(&mut builder);
    let automatic = builder.build().expect("a runtime");
    let mut least = [f64::MAX; 3];
    for _ in 0..300 {
        least[0] = least[0].min(round(&plain));
        least[1] = least[1].min(round(&automatic));
        let _attached = context.clone().attach();
        least[2] = least[2].min(round(&automatic));
    }
    println!("plain {:.0}, automatic without a context {:.0}, with one {:.0}", least[0], least[1], least[2]);
}
