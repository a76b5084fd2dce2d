//! A queue that is too small.

use std::time::{Duration, Instant};

use super::{Checks, builder, collector, load, print, row, runtime, shut_down};
use crate::Behaviour;

/// Spans through a queue that is too small: every trace that arrives is complete.
pub fn shed(spans: u64, checks: &mut Checks) {
    println!("shed: a queue that is too small, 64 concurrent traces of 1 to 20 spans");
    // In the first run, the quarter of the queue that is reserved for traces that have started is enough. In the others
    // it is not, and traces are evicted. In the last one, there is hardly room for any.
    let pause = Duration::from_millis(1);
    shed_by(4_096, spans, pause, checks);
    shed_by(256, spans, pause, checks);
    shed_by(256, spans, Duration::ZERO, checks);
}

fn shed_by(queue: usize, spans: u64, pause: Duration, checks: &mut Checks) {
    let mut collector = collector();
    // So that the exporter cannot keep up.
    collector.set(Behaviour::Slow(Duration::from_millis(5))).expect("the collector is running");
    let telemetry = builder(&collector).max_queue_size(queue).init().expect("a valid configuration");
    let runtime = runtime();
    let begun = Instant::now();
    let (traces, spans) = load(&runtime, spans, pause);
    let took = begun.elapsed();
    let provider = telemetry.provider().expect("telemetry is enabled").clone();
    provider.force_flush().expect("the flush succeeds within its timeout");
    let stats = telemetry.export_stats();
    let report = shut_down(&runtime, telemetry);
    let tally = collector.tally().expect("the file of the collector");

    let pause = if pause.is_zero() { "no pause" } else { "a pause of 1 ms" };
    println!("\nqueue limit {queue}, {pause} between requests: {spans} spans in {:.1} s", took.as_secs_f64());
    row("traces requested", traces);
    row("traces not started", stats.traces_not_started);
    row("traces evicted", stats.traces_evicted);
    row("spans of evicted traces", stats.spans_evicted);
    row("spans dropped", stats.spans_dropped);
    row("spans exported", stats.exported);
    print(&tally);
    println!();
    checks.check("every trace that arrives is complete", tally.complete == tally.traces && tally.traces > 0);
    checks.check("the queue was too small", stats.traces_not_started > 0);
    checks.check(
        "arrived + not started + evicted = requested",
        tally.traces + stats.traces_not_started + stats.traces_evicted == traces,
    );
    checks.check("what was exported has arrived", stats.exported == tally.spans && tally.duplicates == 0);
    checks.check(
        "nothing is dropped or left behind",
        report.stats.spans_dropped == 0 && report.stats.spans_unsent() == 0,
    );
}
