//! Detached jobs at shutdown: those that end in time, those that do not, and new ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use throughline::JoinSetExt as _;
use throughline::telemetry::Shutdown;
use throughline_load::trace::status::StatusCode;
use tokio::sync::oneshot;

use super::{LIMIT, SHORT};
use crate::process::{alone, until};
use crate::support::{Kept, attributes, run};

alone! {
    fn a_shutdown_waits_for_jobs_and_for_jobs_that_they_spawn() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        let report = run(async move {
            let (go, goes) = oneshot::channel::<()>();
            drop(throughline::span("first").spawn(async {
                goes.await.expect("the test sends");
                drop(throughline::span("second").spawn(async {
                    tokio::task::yield_now().await;
                    drop(throughline::spawn_blocking(|| throughline::in_span("third", || {})));
                }));
            }));
            let mut ending = Box::pin(telemetry.shutdown(LIMIT));
            // The shutdown is waiting when more jobs are spawned.
            assert!(futures::poll!(ending.as_mut()).is_pending());
            go.send(()).expect("the job waits");
            ending.await
        });
        assert!(report.is_complete() && report.jobs == 1, "{report:?}");
        let [first, second, third] = ["first", "second", "third"].map(|name| kept.span(name));
        assert_eq!(second.parent_span_id, first.span_id);
        assert_eq!((third.trace_id, second.trace_id), (first.trace_id.clone(), first.trace_id));
    }
}

alone! {
    fn open_spans_of_jobs_are_ended_and_marked() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        let (report, late) = run(async move {
            let stuck = throughline::span("stuck").spawn(throughline::in_span_async(
                "within",
                std::future::pending::<()>(),
            ));
            until("the job is running", || telemetry.open_spans().len() == 2);
            let report = telemetry.shutdown(SHORT).await;
            // The span has ended, and no longer changes.
            stuck.abort();
            (report, stuck.await)
        });
        assert!(late.is_err_and(|error| error.is_cancelled()));
        assert_eq!((report.jobs, report.jobs_left, report.stats.spans_unsent()), (1, 1, 0), "{report:?}");
        assert!(!report.is_complete());
        let mut names: Vec<_> = report.unfinished.iter().map(|span| span.name.to_string()).collect();
        names.sort();
        assert_eq!(names, ["stuck", "within"]);
        for name in ["stuck", "within"] {
            let span = kept.span(name);
            let has = attributes(&span.attributes);
            assert_eq!((has["throughline.unfinished"].as_str(), has.contains_key("throughline.cancelled")), ("true", false));
            let status = span.status.unwrap_or_default();
            assert_eq!((status.code(), status.message.as_str()), (StatusCode::Error, "process shut down before the span ended"));
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
        }
        assert_eq!(kept.span("within").parent_span_id, kept.span("stuck").span_id);
    }
}

alone! {
    fn new_jobs_are_refused_on_request() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        let report = run(async move {
            let ran = Arc::new(AtomicBool::new(false));
            let (go, goes) = oneshot::channel::<()>();
            drop(throughline::span("old").spawn({
                let ran = Arc::clone(&ran);
                async move {
                    goes.await.expect("the test sends");
                    // Many times, because another worker could poll the task before it is aborted.
                    for _ in 0..1_000 {
                        let ran = Arc::clone(&ran);
                        let late = throughline::spawn(async move { ran.store(true, Ordering::Relaxed) });
                        assert!(late.await.is_err_and(|error| error.is_cancelled()));
                    }
                    let mut set = tokio::task::JoinSet::new();
                    set.spawn_traced(async move { ran.store(true, Ordering::Relaxed) });
                    let late = set.join_next().await.expect("a task in the set");
                    assert!(late.is_err_and(|error| error.is_cancelled()));
                }
            }));
            let how = Shutdown::new(LIMIT).refuse_new_jobs();
            let ending = tokio::spawn(telemetry.shutdown_with(how));
            until("the shutdown has begun", throughline::jobs::is_closed);
            go.send(()).expect("the job waits");
            let report = ending.await.expect("no panic");
            assert!(!ran.load(Ordering::Relaxed));
            report
        });
        assert!(report.is_complete(), "{report:?}");
        kept.span("old");
    }
}
