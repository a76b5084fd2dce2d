//! The scenarios. Each prints its counts, and checks guarantees.

mod audit;
mod counts;
mod dump;
mod jobs;
mod latency;
mod memory;
mod outage;
mod shed;
mod times;
mod worst;

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use throughline::telemetry::{Builder, Protocol, Telemetry};
use tokio::runtime::Runtime;

use crate::{EXPECTED, Remote, Tally};

pub use self::audit::{audit, unaudited};
pub use self::counts::counts;
pub use self::dump::dump;
pub use self::jobs::jobs;
pub use self::latency::latency;
pub use self::memory::memory;
pub use self::outage::outage;
pub use self::shed::shed;
pub use self::worst::worst;

/// The timeout of a shutdown with many spans to export.
const LIMIT: Duration = Duration::from_secs(300);

/// Checks guarantees, and counts those that are violated.
#[derive(Debug, Default)]
pub struct Checks {
    violated: u32,
}

impl Checks {
    fn check(&mut self, what: &str, holds: bool) {
        println!("{} {what}", if holds { "holds:   " } else { "VIOLATED:" });
        self.violated += u32::from(!holds);
    }

    /// Whether all guarantees hold.
    pub fn hold(&self) -> bool {
        self.violated == 0
    }
}

fn row(name: &str, value: impl std::fmt::Display) {
    println!("{name:<44} {value:>12}");
}

fn program() -> PathBuf {
    env::current_exe().expect("this program has a path")
}

fn collector() -> Remote {
    Remote::start(&program()).expect("this program starts as a collector")
}

fn builder(collector: &Remote) -> Builder {
    throughline::telemetry::builder().variables(|_| None).collector(collector.endpoint(), Protocol::Grpc)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn span(name: &'static str, expected: i64) -> throughline::SpanBuilder {
    throughline::span(name).tag(EXPECTED, expected)
}

/// A trace of `spans` spans, up to three levels deep, that yields to other tasks.
async fn request(spans: i64) {
    let work = async move {
        for n in 1..spans {
            let step = async { tokio::task::yield_now().await };
            if n % 3 == 0 {
                span("step", spans).run_async(step).await;
            } else {
                step.await;
                span("query", spans).run(|| {});
            }
        }
    };
    span("request", spans).root().run_async(work).await;
}

/// Runs requests of one to twenty spans, 64 concurrently, with a pause after each, until there are `spans` spans.
/// Returns the number of traces and spans.
fn load(runtime: &Runtime, spans: u64, pause: Duration) -> (u64, u64) {
    const CONCURRENCY: u64 = 64;
    let begun = Arc::new(AtomicU64::new(0));
    let traces = Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        let tasks: Vec<_> = (0..CONCURRENCY)
            .map(|task| {
                let (begun, traces) = (Arc::clone(&begun), Arc::clone(&traces));
                tokio::spawn(async move {
                    let mut size = task;
                    while begun.load(Ordering::Relaxed) < spans {
                        size = (size * 7 + 3) % 20;
                        begun.fetch_add(size + 1, Ordering::Relaxed);
                        traces.fetch_add(1, Ordering::Relaxed);
                        request(i64::try_from(size).expect("small") + 1).await;
                        if !pause.is_zero() {
                            tokio::time::sleep(pause).await;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
    (traces.load(Ordering::Relaxed), begun.load(Ordering::Relaxed))
}

fn print(tally: &Tally) {
    row("traces that arrived", tally.traces);
    row("  of them complete", tally.complete);
    row("spans that arrived", tally.spans);
    row("  duplicates", tally.duplicates);
}

fn shut_down(runtime: &Runtime, telemetry: Telemetry) -> throughline::telemetry::ShutdownReport {
    runtime.block_on(telemetry.shutdown(LIMIT))
}
