//! The system has no more threads; see `NoThreads` for the variables.

use std::pin::pin;

use throughline::telemetry::Protocol;
use throughline_load::NoThreads;
use tokio::sync::oneshot;

use crate::exit::{LIMIT, SHORT, begin};
use crate::process::alone;
use crate::support::{Kept, run, trace};

alone! {
    with ["MALLOC_ARENA_MAX" = "1", "RUST_MIN_STACK" = "67108864"]
    fn a_shutdown_waits_for_jobs() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        let report = run(async move {
            let (end, ends) = oneshot::channel::<()>();
            drop(throughline::span("job").spawn(ends));
            let _no_threads = NoThreads::begin().expect("a limit");
            let mut ending = pin!(telemetry.shutdown(LIMIT));
            begin(ending.as_mut()).await;
            end.send(()).expect("the job waits");
            ending.await
        });
        assert!(report.is_complete() && report.jobs == 1, "{report:?}");
        kept.span("job");
    }
}

alone! {
    with ["MALLOC_ARENA_MAX" = "1", "RUST_MIN_STACK" = "67108864"]
    fn a_shutdown_observes_its_timeout() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let report = runtime.block_on(async move {
            let job = throughline::span("job").spawn(std::future::pending::<()>());
            let no_threads = NoThreads::begin().expect("a limit");
            let report = telemetry.shutdown(SHORT).await;
            drop(no_threads);
            job.abort();
            report
        });
        assert_eq!((report.jobs_left, report.stats.exported), (1, 1), "{report:?}");
        assert!(report.elapsed >= SHORT / 2 && report.elapsed < LIMIT, "{report:?}");
    }
}

alone! {
    with ["MALLOC_ARENA_MAX" = "1", "RUST_MIN_STACK" = "67108864"]
    fn the_name_of_the_collector_is_resolved() {
        for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
            let kept = Kept::start();
            let path = if protocol == Protocol::Grpc { "" } else { "/v1/traces" };
            let endpoint = kept.collector.endpoint().replace("127.0.0.1", "localhost") + path;
            let telemetry = kept.builder().collector(endpoint, protocol).init().expect("a valid configuration");
            let no_threads = NoThreads::begin().expect("a limit");
            (0..100).for_each(|_| trace(4));
            telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector accepts spans");
            drop(no_threads);
            let report = run(telemetry.shutdown(LIMIT));
            assert!(report.is_complete(), "{protocol:?}: {report:?}");
            assert_eq!(kept.tally().complete, 100);
        }
    }
}
