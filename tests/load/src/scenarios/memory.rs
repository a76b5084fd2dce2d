//! Memory usage with many spans.

use std::fs;
use std::thread;
use std::time::Duration;

use super::{Checks, builder, load, program, row, runtime, shut_down};
use crate::{Behaviour, Remote};

/// Resident memory, in megabytes.
pub(super) fn resident() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages * 4_096.0 / 1e6
}

/// Many spans, with bounded memory.
pub fn memory(spans: u64, checks: &mut Checks) {
    println!("memory: {spans} spans\n\nthe collector keeps up: all spans are exported");
    memory_under(spans, false, checks);
    println!("\nthe collector takes 0.2 s per response: the queue is full, and traces are shed");
    memory_under(spans, true, checks);
}

fn memory_under(spans: u64, overload: bool, checks: &mut Checks) {
    const STEPS: u64 = 10;
    let mut collector = Remote::start_without_storage(&program()).expect("this program starts as a collector");
    if overload {
        collector.set(Behaviour::Slow(Duration::from_millis(200))).expect("the collector is running");
    }
    // The default size, unless there are too few spans to fill it.
    let queue = usize::try_from(spans / 50).unwrap_or(usize::MAX).min(131_072);
    let telemetry = builder(&collector).max_queue_size(queue).init().expect("a valid configuration");
    let runtime = runtime();
    println!("{:>12} {:>12} {:>12} {:>14}", "spans", "exported", "queued", "resident MB");
    let (mut all, mut sizes) = (0, Vec::new());
    for _ in 0..STEPS {
        let goal = all + spans / STEPS;
        while all < goal {
            all += load(&runtime, (goal - all).min(spans / 2_000), Duration::ZERO).1;
            while !overload && telemetry.queue_len() > (queue / 13).max(1_024) {
                thread::sleep(Duration::from_micros(200));
            }
        }
        sizes.push(resident());
        println!(
            "{all:>12} {:>12} {:>12} {:>14.1}",
            telemetry.export_stats().exported,
            telemetry.queue_len(),
            resident()
        );
    }
    let stats = telemetry.export_stats();
    let half = &sizes[sizes.len() / 2..];
    let (least, most) = half.iter().fold((f64::MAX, 0f64), |(least, most), size| (least.min(*size), most.max(*size)));
    row("range in the second half, MB", format!("{:.1}", most - least));
    checks.check("the second half is within 5 % and 5 MB", most - least <= most * 0.05 + 5.0);
    if overload {
        checks.check("the queue was full", stats.traces_not_started > 0);
        drop(runtime.block_on(telemetry.shutdown(Duration::from_millis(100))));
    } else {
        let report = shut_down(&runtime, telemetry);
        checks.check("all were exported", stats.traces_not_started == 0 && report.is_complete());
    }
}
