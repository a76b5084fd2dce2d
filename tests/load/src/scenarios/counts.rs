//! The counts of the exporter, at any moment.

use std::thread;
use std::time::{Duration, Instant};

use throughline::telemetry::ExportStats;

use super::{Checks, LIMIT, builder, collector, request, row, runtime, shut_down};
use crate::Behaviour;

/// Every span is counted once, at any moment, whatever the collector does.
///
/// # Panics
///
/// If the collector cannot be started.
pub fn counts(spans: u64, checks: &mut Checks) {
    const SPANS_PER_TRACE: u64 = 5;
    const ROUNDS: u64 = 8;
    const BEHAVIOURS: [Behaviour; 4] =
        [Behaviour::Accept, Behaviour::Reject, Behaviour::Slow(Duration::from_millis(20)), Behaviour::Unavailable];
    let mut collector = collector();
    let telemetry = builder(&collector).max_queue_size(1_024).init().expect("a valid configuration");
    let runtime = runtime();
    let traces = spans / SPANS_PER_TRACE / ROUNDS;
    let settled = |stats: &ExportStats| {
        let waiting = stats.queued + stats.in_flight;
        waiting + stats.exported + stats.refused + stats.spans_evicted + stats.spans_dropped + stats.left_behind
    };
    let (mut samples, mut wrong, mut most) = (0, 0, 0);
    for round in 0..ROUNDS {
        let behaviour = BEHAVIOURS[usize::try_from(round).unwrap_or_default() % BEHAVIOURS.len()];
        collector.set(behaviour).expect("the collector is running");
        let load = runtime.spawn(async move {
            for trace in 0..traces {
                request(i64::try_from(SPANS_PER_TRACE).expect("small")).await;
                // Slow enough that the queue has room for some.
                if trace % 20 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
        let (begun, refused) = (Instant::now(), telemetry.export_stats().refused);
        loop {
            // Waits until something is refused, however slow this machine is.
            let waits = behaviour == Behaviour::Reject && telemetry.export_stats().refused == refused;
            if load.is_finished() && (!waits || begun.elapsed() > LIMIT) {
                break;
            }
            let stats = telemetry.export_stats();
            samples += 1;
            wrong += u64::from(stats.finished != settled(&stats));
            most = most.max(stats.queued + stats.in_flight);
            thread::sleep(Duration::from_micros(100));
        }
        runtime.block_on(load).expect("no panic");
    }
    collector.set(Behaviour::Accept).expect("the collector is running");
    telemetry.provider().expect("telemetry is enabled").force_flush().expect("the flush succeeds within its timeout");
    let stats = telemetry.export_stats();
    let asked_for = traces * ROUNDS * SPANS_PER_TRACE;
    let waiting = telemetry.queue_len();
    let report = shut_down(&runtime, telemetry);
    let tally = collector.tally().expect("the file of the collector");
    println!("counts: a collector with changing behaviour, and a queue limit of 1,024\n");
    row("spans requested", asked_for);
    row("spans exported", stats.exported);
    row("spans refused", stats.refused);
    row("spans of evicted traces", stats.spans_evicted);
    row("spans dropped", stats.spans_dropped);
    row("spans of traces not started", stats.traces_not_started * SPANS_PER_TRACE);
    row("most spans queued or in flight", most);
    row("samples of the stats", samples);
    println!();
    checks.check("in every sample each span is counted once", wrong == 0 && samples > 0);
    checks.check("no more than the queue limit are queued or in flight", most <= 1_024);
    checks.check("nothing is queued in the end", waiting == 0 && stats.queued + stats.in_flight == 0);
    checks.check(
        "requested = exported + lost, by kind",
        asked_for == settled(&stats) + stats.traces_not_started * SPANS_PER_TRACE,
    );
    checks.check("what was exported has arrived", stats.exported == tally.spans);
    checks.check("something was lost", stats.refused > 0 && stats.traces_not_started > 0);
    let told = (report.stats.exported, report.stats.refused, report.stats.traces_shed(), report.stats.spans_dropped);
    let expected =
        (stats.exported, stats.refused, stats.traces_not_started + stats.traces_evicted, stats.spans_dropped);
    checks.check("the report says the same", told == expected && !report.is_complete());
}
