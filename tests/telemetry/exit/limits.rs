//! The timeout of a shutdown, with and without a runtime.

use std::pin::pin;
use std::time::Duration;

use throughline::telemetry::ShutdownReport;
use tokio::sync::oneshot;

use super::{LIMIT, SHORT, begin};
use crate::process::alone;
use crate::support::{Kept, attributes, run, trace};

fn dead(limit: Duration) -> ShutdownReport {
    let kept = Kept::start();
    kept.collector.stop();
    let telemetry = kept.builder().init().expect("a valid configuration");
    (0..100).for_each(|_| trace(4));
    run(telemetry.shutdown(limit))
}

alone! {
    fn a_shutdown_with_a_dead_collector_observes_its_timeout() {
        for limit in [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(700)] {
            let report = dead(limit);
            assert_eq!(report.stats.spans_unsent(), 500, "{report:?}");
            // With a margin, for a busy machine.
            assert!(report.elapsed < limit + Duration::from_secs(5), "{report:?}");
        }
    }
}

alone! {
    fn a_timeout_that_overflows_the_clock() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        trace(4);
        let report = run(async move {
            drop(throughline::spawn(async {}));
            telemetry.shutdown(Duration::MAX).await
        });
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(kept.tally().complete, 1);
    }
}

alone! {
    fn a_full_blocking_thread_pool_does_not_delay_the_shutdown() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        trace(4);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let report = runtime.block_on(async move {
            drop(throughline::spawn_blocking(move || assert!(ends.recv().is_err())));
            telemetry.shutdown(SHORT).await
        });
        assert_eq!((report.jobs, report.jobs_left, report.stats.spans_unsent()), (1, 1, 0), "{report:?}");
        assert_eq!(kept.tally().complete, 1);
        drop(end);
    }
}

alone! {
    fn without_a_tokio_runtime() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        trace(4);
        let report = futures::executor::block_on(telemetry.shutdown(LIMIT));
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(kept.tally().complete, 1);
    }
}

alone! {
    fn in_a_runtime_without_a_timer_and_outside_of_it() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        let (end, ends) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let report = runtime.block_on(async {
            drop(throughline::span("job").spawn(ends));
            let mut ending = pin!(telemetry.shutdown(LIMIT));
            begin(ending.as_mut()).await;
            end.send(()).expect("the job waits");
            ending.await
        });
        assert!(report.is_complete() && report.jobs == 1, "{report:?}");
        assert!(!attributes(&kept.span("job").attributes).contains_key("throughline.unfinished"));

        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        drop(throughline::span("stuck").spawn_on(runtime.handle(), std::future::pending::<()>()));
        let report = futures::executor::block_on(telemetry.shutdown(SHORT));
        assert_eq!((report.jobs_left, report.unfinished.len(), report.stats.spans_unsent()), (1, 1, 0), "{report:?}");
        kept.span("stuck");
    }
}
