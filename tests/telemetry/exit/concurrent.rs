//! Repeated, concurrent and cancelled shutdowns, and spans that end after a shutdown.

use std::pin::pin;
use std::thread;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkError;
use throughline::telemetry::Protocol;
use throughline_load::Behaviour;

use super::{LIMIT, begin};
use crate::process::{alone, until};
use crate::support::{Kept, attributes, run, trace};

alone! {
    fn a_second_shutdown_and_a_flush_fail_immediately() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        trace(4);
        let provider = telemetry.provider().expect("telemetry is enabled").clone();
        provider.shutdown_with_timeout(LIMIT).expect("the collector accepts the spans");
        assert!(matches!(provider.shutdown_with_timeout(LIMIT), Err(OTelSdkError::AlreadyShutdown)));
        // Without waiting half a minute for a thread that has finished.
        provider.force_flush().expect_err("shut down");
        let report = run(telemetry.shutdown(LIMIT));
        assert!(report.is_complete() && report.elapsed < Duration::from_secs(20), "{report:?}");
        assert_eq!(kept.tally().complete, 1);
        // The application still starts spans.
        trace(4);
        let _ = provider.tracer("late");
        assert_eq!(kept.count(), 5);
    }
}

alone! {
    fn a_concurrent_shutdown_waits_and_reports_the_result() {
        let kept = Kept::start();
        kept.set(Behaviour::Unavailable);
        for limit in [Duration::from_millis(100), LIMIT] {
            let telemetry = kept.builder().init().expect("a valid configuration");
            trace(4);
            let provider = telemetry.provider().expect("telemetry is enabled").clone();
            let (waiting, asked) = (kept.count(), kept.collector.request_count());
            thread::scope(|scope| {
                let other = scope.spawn(move || provider.shutdown_with_timeout(LIMIT));
                until("a request has arrived", || kept.collector.request_count() > asked);
                let report = run(async {
                    let mut ending = pin!(telemetry.shutdown(limit));
                    begin(ending.as_mut()).await;
                    if limit == LIMIT {
                        kept.set(Behaviour::Accept);
                    }
                    ending.await
                });
                let left = if limit == LIMIT { 0 } else { 5 };
                assert_eq!((report.stats.spans_unsent(), report.is_complete()), (left, left == 0), "{report:?}");
                kept.set(Behaviour::Accept);
                other.join().expect("no panic").expect("the collector accepts the spans");
            });
            assert_eq!(kept.count() - waiting, 5);
            kept.set(Behaviour::Unavailable);
        }
    }
}

alone! {
    fn spans_left_behind_by_an_earlier_shutdown_are_reported() {
        let kept = Kept::start();
        kept.collector.stop();
        let telemetry = kept.builder().init().expect("a valid configuration");
        trace(4);
        let _ = telemetry.provider().expect("telemetry is enabled").shutdown_with_timeout(Duration::from_millis(10));
        let report = run(telemetry.shutdown(LIMIT));
        assert_eq!(report.stats.spans_unsent(), 5, "{report:?}");
    }
}

alone! {
    fn cancelling_a_shutdown_that_waits_for_jobs_still_flushes() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        trace(4);
        run(async move {
            drop(throughline::span("stuck").spawn(std::future::pending::<()>()));
            let ending = telemetry.shutdown(LIMIT);
            assert!(tokio::time::timeout(Duration::from_millis(50), ending).await.is_err());
        });
        assert_eq!(kept.count(), 6);
        assert_eq!(attributes(&kept.span("stuck").attributes)["throughline.unfinished"], "true");
    }
}

alone! {
    fn cancelling_a_shutdown_that_exports_still_flushes() {
        let kept = Kept::start();
        kept.set(Behaviour::Unavailable);
        let telemetry = kept.builder().init().expect("a valid configuration");
        trace(4);
        run(async {
            let mut ending = Box::pin(telemetry.shutdown(LIMIT));
            begin(ending.as_mut()).await;
            until("a request has arrived", || kept.collector.request_count() > 0);
            kept.set(Behaviour::Accept);
            drop(ending);
        });
        assert_eq!(kept.count(), 5);
    }
}

alone! {
    fn a_flush_while_a_batch_is_in_flight() {
        let kept = Kept::start();
        kept.set(Behaviour::Unavailable);
        let telemetry = kept.builder().init().expect("a valid configuration");
        (0..200).for_each(|_| trace(4));
        until("a request has arrived", || kept.collector.request_count() > 0);
        let provider = telemetry.provider().expect("telemetry is enabled").clone();
        thread::scope(|scope| {
            let flush = scope.spawn(move || provider.force_flush());
            until("the request is retried", || kept.collector.request_count() > 2);
            kept.set(Behaviour::Accept);
            flush.join().expect("no panic").expect("the collector accepts the spans");
        });
        assert_eq!(kept.tally().complete, 200);
    }
}

alone! {
    fn spans_that_end_after_a_shutdown_are_harmless() {
        for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
            let kept = Kept::start();
            let telemetry = kept.over(protocol).max_open_spans(0).init().expect("a valid configuration");
            throughline::in_span("open", || {
                let report = run(telemetry.shutdown(LIMIT));
                assert!(report.is_complete(), "{report:?}");
            });
            assert_eq!(kept.count(), 0);
        }
    }
}
