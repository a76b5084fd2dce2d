//! The worst-case duration of the end of a span.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
    TracerProvider as _,
};
use throughline::telemetry::Tracer;

use super::times::Times;
use super::{Checks, builder, program, row, runtime};
use crate::Remote;

/// Measures the end of a span while the collector is away and the queue is full, and for comparison a loop of
/// arithmetic: not every system reports that it had taken the processor away, for example if a virtual machine has to
/// wait for one.
///
/// # Panics
///
/// If the collector cannot be started.
pub fn worst(ends: u64, checks: &mut Checks) {
    println!("worst: the end of a span with the collector away and the queue full; times in microseconds");
    for queue in [131_072, 1_000_000] {
        let times = run(queue, ends, checks);
        checks.check("no end has waited for a millisecond", times.blocked == 0);
        checks.check("the worst end takes less than a millisecond", times.slow == 0);
    }
    println!("\na loop of arithmetic beside another, as often");
    control(ends).print();
}

/// The control: a thread that neither allocates nor locks anything.
fn control(calls: u64) -> Times {
    let is_done = AtomicBool::new(false);
    let compute = |steps: u64| (0..steps).fold(1_u64, |x, _| black_box(x.wrapping_mul(3) + 1));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                compute(1_000);
            }
        });
        let mut times = Times::begin();
        for _ in 0..calls {
            let begun = Instant::now();
            compute(500);
            times.add(begun.elapsed());
        }
        times.finish();
        is_done.store(true, Ordering::Relaxed);
        times
    })
}

fn run(queue: usize, ends: u64, checks: &mut Checks) -> Times {
    const EXPORTED: u64 = 512;
    let mut collector = Remote::start_without_storage(&program()).expect("this program starts as a collector");
    // Spans are so small that the byte limit is not reached.
    let telemetry = builder(&collector).max_queue_size(queue).init().expect("a valid configuration");
    let provider = telemetry.provider().expect("telemetry is enabled").clone();
    let tracer = provider.tracer("load");
    // The caller chooses all trace IDs. These traces are exported in part, so that their other spans have to follow.
    for n in 0..EXPORTED {
        end(&tracer, u128::from(n) + 1);
    }
    provider.force_flush().expect("the flush succeeds within its timeout");
    collector.kill();

    let mut times = Times::begin();
    // Until the queue is full, no trace is evicted. Then each span evicts a trace: its own or, if it has to follow, a
    // held one. In the end, everything in the queue has to follow, and spans are dropped.
    for n in 0..ends {
        let has_to_follow = n % 8 == 0 && n > ends / 4;
        let trace = if has_to_follow { 1 + n / 8 % EXPORTED } else { EXPORTED + 1 + n };
        // IDs that differ only in their high bits.
        let trace = if has_to_follow { u128::from(trace) } else { u128::from(trace) << 64 };
        times.add(end(&tracer, trace));
    }
    times.finish();
    let stats = telemetry.export_stats();
    println!("\nqueue limit {queue}, {ends} ends");
    row("spans queued or in flight", stats.queued + stats.in_flight);
    row("traces evicted", stats.traces_evicted);
    row("spans dropped", stats.spans_dropped);
    times.print();
    println!();
    let is_full = ends > 2 * queue as u64;
    checks.check("the queue was full", !is_full || stats.traces_evicted > 0);
    drop(runtime().block_on(telemetry.shutdown(Duration::from_millis(100))));
    times
}

/// Ends a span with five attributes below a local parent, so that the sampler is not consulted. Returns the duration of
/// the end.
fn end(tracer: &Tracer, trace: u128) -> Duration {
    let parent = SpanContext::new(TraceId::from(trace), SpanId::from(1), TraceFlags::SAMPLED, false, TraceState::NONE);
    let mut span = tracer.build_with_context(
        tracer.span_builder("end"),
        &opentelemetry::Context::new().with_remote_span_context(parent),
    );
    for key in ["order.id", "customer.id", "region", "attempt", "amount"] {
        span.set_attribute(KeyValue::new(key, 12_345));
    }
    let begun = Instant::now();
    span.end();
    begun.elapsed()
}
