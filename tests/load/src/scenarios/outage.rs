//! A collector that is killed and restarted.

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::{Checks, builder, collector, print, request, row, runtime, shut_down};

/// The collector is killed under load, and restarted after `seconds`.
pub fn outage(seconds: u64, checks: &mut Checks) {
    let down = Duration::from_secs(seconds);
    println!("outage: killed and restarted after {seconds} s, 1,000 traces of 3 spans a second\n");
    println!("with the default queue limit of 131,072 spans");
    one_outage(131_072, down, true, checks);
    println!("\nwith a queue limit of 1,000 spans");
    one_outage(1_000, down, false, checks);
}

fn one_outage(queue: usize, down: Duration, enough: bool, checks: &mut Checks) {
    let mut collector = collector();
    let telemetry = builder(&collector).max_queue_size(queue).init().expect("a valid configuration");
    let runtime = runtime();
    let mut traces = 0;
    let around = (down / 6).max(Duration::from_millis(500));

    steady(&runtime, around, &mut traces);
    collector.kill();
    row("traces before the outage", traces);
    row("spans that had arrived", collector.spans());
    steady(&runtime, down, &mut traces);
    row("traces until the restart", traces);
    row("spans queued or in flight", telemetry.queue_len());
    collector.begin().expect("its port is reserved");
    steady(&runtime, around, &mut traces);
    let stats = telemetry.export_stats();
    let report = shut_down(&runtime, telemetry);
    let tally = collector.tally().expect("the file of the collector");
    row("traces requested", traces);
    row("traces not started", stats.traces_not_started);
    row("traces evicted", stats.traces_evicted);
    print(&tally);
    println!();
    checks.check(
        "every trace that arrives is complete",
        tally.complete == tally.traces && report.stats.spans_unsent() == 0,
    );
    let accounted = tally.traces + stats.traces_not_started + stats.traces_evicted;
    checks.check("arrived + not started + evicted = requested", accounted == traces);
    if enough {
        checks.check("nothing is lost", tally.traces == traces);
    } else {
        checks.check("the queue was too small", tally.traces < traces);
    }
}

/// Runs a thousand traces per second.
fn steady(runtime: &Runtime, time: Duration, traces: &mut u64) {
    runtime.block_on(async {
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while begun.elapsed() < time {
            ticks.tick().await;
            for _ in 0..10 {
                request(3).await;
            }
            *traces += 10;
        }
    });
}
