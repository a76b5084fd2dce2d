//! The longest that a span takes to end.

use std::fs;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
    TracerProvider as _,
};
use throughline::telemetry::Tracer;

use super::{Checks, builder, program, row, runtime};
use crate::Remote;

/// How long the end of a span takes when the collector is away and the queue is full.
///
/// # Panics
///
/// If the collector cannot be started.
pub fn worst(ends: u64, checks: &mut Checks) {
    println!("worst: the end of a span with the collector away and the queue full; times in microseconds");
    worst_of(131_072, ends, checks);
    worst_of(1_000_000, ends, checks);
}

fn worst_of(queue: usize, ends: u64, checks: &mut Checks) {
    const EXPORTED: u64 = 512;
    let mut collector = Remote::start_without_storage(&program()).expect("this program starts as a collector");
    // Spans are small, and the limit in bytes is not to be reached.
    let telemetry = builder(&collector).max_queue_size(queue).init().expect("it is valid");
    let provider = telemetry.provider().expect("it is enabled").clone();
    let tracer = provider.tracer("load");
    // Every trace id is chosen by the caller. These traces are exported in part, so that the rest has to follow.
    for n in 0..EXPORTED {
        end(&tracer, u128::from(n) + 1);
    }
    provider.force_flush().expect("it succeeds within its timeout");
    collector.kill();

    let mut times = Times::default();
    // Until the queue is full, no trace is evicted. Then each of its spans evicts something: itself, or, if it has to
    // follow, one that was held. In the end all that is queued has to follow, and spans are dropped.
    for n in 0..ends {
        let has_to_follow = n % 8 == 0 && n > ends / 4;
        let trace = if has_to_follow { 1 + n / 8 % EXPORTED } else { EXPORTED + 1 + n };
        // Ids that differ in their highest bits only.
        let trace = if has_to_follow { u128::from(trace) } else { u128::from(trace) << 64 };
        times.add(end(&tracer, trace));
    }
    times.finish();
    let stats = telemetry.export_stats();
    println!("\nqueue limit {queue}, {ends} ends");
    row("spans queued or in flight", stats.queued + stats.in_flight);
    row("traces evicted", stats.traces_evicted);
    row("spans dropped", stats.spans_dropped);
    for (name, per_million) in [("median", 500_000), ("99.9 %", 999_000), ("99.999 %", 999_990)] {
        row(name, format!("{:.1}", times.quantile(per_million)));
    }
    row("worst, the time off the processor included", format!("{:.1}", times.worst.as_secs_f64() * 1e6));
    row("worst", format!("{:.1}", times.worst_running.as_secs_f64() * 1e6));
    println!();
    let is_full = ends > 2 * queue as u64;
    checks.check("the queue was full", !is_full || stats.traces_evicted > 0);
    checks.check("the worst end takes less than a millisecond", times.worst_running < Duration::from_millis(1));
    drop(runtime().block_on(telemetry.shutdown(Duration::from_millis(100))));
}

/// Ends a span with five attributes below a local span of another trace, which no sampler is asked about. Returns how
/// long the end took.
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

/// Durations, and what of the longest was spent waiting for a processor: another process may have had it.
#[derive(Default)]
struct Times {
    /// By whole tenths of a microsecond, up to a millisecond.
    histogram: Vec<u64>,
    count: u64,
    worst: Duration,
    worst_running: Duration,
    /// Of the few since the waiting time was read.
    recent: Vec<Duration>,
    waited: Duration,
}

impl Times {
    const RECENT: usize = 64;

    fn add(&mut self, time: Duration) {
        self.histogram.resize(10_000, 0);
        let at = usize::try_from(time.as_nanos() / 100).unwrap_or(usize::MAX).min(self.histogram.len() - 1);
        self.histogram[at] += 1;
        self.count += 1;
        self.worst = self.worst.max(time);
        self.recent.push(time);
        if self.recent.len() == Self::RECENT {
            self.finish();
        }
    }

    /// Which of the few recent spans waited is not known, so it is taken from each: that matters only if one is long.
    fn finish(&mut self) {
        let waited = waited();
        let off = waited.saturating_sub(std::mem::replace(&mut self.waited, waited));
        for time in self.recent.drain(..) {
            self.worst_running = self.worst_running.max(time.saturating_sub(off));
        }
    }

    fn quantile(&self, per_million: u64) -> f64 {
        let mut left = self.count * per_million / 1_000_000;
        let at = self.histogram.iter().position(|count| {
            let is_there = left <= *count;
            left = left.saturating_sub(*count);
            is_there
        });
        #[expect(clippy::cast_precision_loss, reason = "there are ten thousand")]
        let tenths = at.unwrap_or_default() as f64;
        tenths / 10.0
    }
}

/// How long this thread has waited for a processor (`/proc`, file `schedstat`). Zero where that is not known.
fn waited() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}
