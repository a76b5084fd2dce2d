//! The latency of requests does not depend on the collector.

use std::time::{Duration, Instant};

use super::{Checks, builder, program, request, runtime};
use crate::{Behaviour, Remote};

/// Measures the duration of a request, by the behaviour of the collector.
///
/// # Panics
///
/// If a collector cannot be started.
pub fn latency(requests: u64, checks: &mut Checks) {
    const ROUNDS: u64 = 5;
    const KINDS: [(&str, Behaviour, usize); 5] = [
        ("healthy", Behaviour::Accept, 131_072),
        ("slow, 1 s per response", Behaviour::Slow(Duration::from_secs(1)), 131_072),
        ("unavailable", Behaviour::Unavailable, 131_072),
        ("half-open", Behaviour::HalfOpen, 131_072),
        ("unavailable, queue full", Behaviour::Unavailable, 1_000),
    ];
    println!("latency: {requests} requests of 10 spans per collector, in {ROUNDS} alternating rounds\n");
    let runtime = runtime();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); KINDS.len()];
    for _ in 0..ROUNDS {
        for ((_, behaviour, queue), times) in KINDS.iter().zip(&mut times) {
            let mut collector = Remote::start_without_storage(&program()).expect("this program starts as a collector");
            collector.set(*behaviour).expect("the collector is running");
            let telemetry = builder(&collector).max_queue_size(*queue).init().expect("a valid configuration");
            // The first requests spawn threads and open connections.
            runtime.block_on(async {
                for _ in 0..200 {
                    request(10).await;
                }
                for _ in 0..requests / ROUNDS {
                    let begun = Instant::now();
                    request(10).await;
                    times.push(begun.elapsed());
                }
                drop(telemetry.shutdown(Duration::from_millis(50)).await);
            });
        }
    }
    println!("{:<24} {:>9} {:>9} {:>9} {:>9} {:>9}  µs", "collector", "p50", "p90", "p99", "p99.9", "max");
    let mut table = Vec::new();
    for ((name, ..), times) in KINDS.iter().zip(&mut times) {
        times.sort_unstable();
        let at = |per_mille: usize| {
            let at = (times.len() * per_mille / 1_000).min(times.len() - 1);
            times[at].as_secs_f64() * 1e6
        };
        let row = [at(500), at(900), at(990), at(999), at(1_000)];
        println!("{name:<24} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1}", row[0], row[1], row[2], row[3], row[4]);
        table.push(row);
    }
    println!();
    for ((name, ..), row) in KINDS.iter().zip(&table) {
        // The durations are not compared, because other processes influence them. A request takes microseconds, and
        // would take a second or more if it waited for such a collector.
        let holds = row[1] < 100_000.0;
        checks.check(&format!("{name}: requests do not wait for it"), holds);
    }
}
