//! Detached jobs at shutdown.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use tokio::sync::watch;

use super::{Checks, LIMIT, builder, collector, print, row, runtime, span};

/// Detached jobs are running when the shutdown begins.
///
/// # Panics
///
/// If the collector cannot be started.
pub fn jobs(count: u64, checks: &mut Checks) {
    const JOBS_PER_REQUEST: u64 = 100;
    let requests = count / JOBS_PER_REQUEST;
    let collector = collector();
    let telemetry = builder(&collector).init().expect("a valid configuration");
    let runtime = runtime();
    let (report, took) = runtime.block_on(async {
        let (go, goes) = watch::channel(false);
        let spans = i64::try_from(JOBS_PER_REQUEST).expect("small") + 1;
        for _ in 0..requests {
            span("request", spans).root().run(|| {
                for _ in 0..JOBS_PER_REQUEST {
                    let mut goes = goes.clone();
                    drop(span("job", spans).spawn(async move {
                        let _ = goes.wait_for(|go| *go).await;
                    }));
                }
            });
        }
        let begun = Instant::now();
        let mut ending = pin!(telemetry.shutdown(LIMIT));
        // The shutdown begins when it is polled.
        assert!(poll_fn(|cx| Poll::Ready(ending.as_mut().poll(cx).is_pending())).await, "the jobs run");
        go.send(true).expect("the jobs wait");
        (ending.await, begun.elapsed())
    });
    let tally = collector.tally().expect("the file of the collector");
    println!("jobs: {} running when the shutdown begins\n", requests * JOBS_PER_REQUEST);
    row("jobs waited for", report.jobs);
    row("jobs still running", report.jobs_left);
    row("spans left behind", report.stats.spans_unsent());
    row("duration, s", format!("{:.1}", took.as_secs_f64()));
    print(&tally);
    println!();
    checks.check("all were running", report.jobs as u64 == requests * JOBS_PER_REQUEST);
    checks.check("nothing is lost", tally.spans == requests * (JOBS_PER_REQUEST + 1) && report.is_complete());
    checks.check("every trace is complete", tally.complete == requests);
}
