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

const TASKS: usize = 1000;

/// Each task is spawned in the next of these contexts.
fn round(runtime: &Runtime, contexts: &[Context]) -> f64 {
    runtime.block_on(async {
        let begin = Instant::now();
        for context in contexts {
            let _attached = context.clone().attach();
            let _ready = tokio::spawn(async {}).await;
        }
        begin.elapsed().as_secs_f64() * 1e9 / contexts.len() as f64
    })
}

fn context(id: u64) -> Context {
    let span = SpanContext::new(TraceId::from(7_u128), SpanId::from(id), TraceFlags::SAMPLED, true, TraceState::NONE);
    Context::new().with_remote_span_context(span)
}

fn main() {
    let none = vec![Context::new(); TASKS];
    let same = vec![context(9); TASKS];
    let own: Vec<_> = (1..).map(context).take(TASKS).collect();
    let mut builder = Builder::new_current_thread();
    let plain = builder.build().expect("a runtime");
    let _tasks = Automatic::new().install(&mut builder);
    let automatic = builder.build().expect("a runtime");
    let rows = [("no context", none), ("the context of one span", same), ("a span's context each", own)];
    let mut least = [[f64::MAX; 2]; 3];
    for _ in 0..300 {
        for ((_, contexts), least) in rows.iter().zip(&mut least) {
            least[0] = least[0].min(round(&plain, contexts));
            least[1] = least[1].min(round(&automatic, contexts));
        }
    }
    for ((name, _), [plain, automatic]) in rows.iter().zip(least) {
        println!("{name}: plain {plain:.0}, automatic {automatic:.0}, {:.0} more", automatic - plain);
    }
}
