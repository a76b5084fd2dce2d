//! The collector is down, slow, or misbehaves.

mod sizes;

use std::time::{Duration, Instant};

use throughline::telemetry::{Protocol, Telemetry};
use throughline_load::Behaviour;

use crate::process::{alone, until};
use crate::support::{Kept, Log, run, trace};

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];
const LIMIT: Duration = Duration::from_secs(30);

fn start(kept: &Kept, protocol: Protocol, queue: usize) -> Telemetry {
    kept.over(protocol).max_queue_size(queue).init().expect("a valid configuration")
}

fn shut_down(telemetry: Telemetry) -> throughline::telemetry::ShutdownReport {
    run(telemetry.shutdown(LIMIT))
}

alone! {
    fn nothing_is_lost_while_the_queue_holds() {
        for protocol in BOTH {
            let kept = Kept::start();
            let telemetry = start(&kept, protocol, 10_000);
            for _ in 0..200 {
                trace(4);
            }
            until("the first have arrived", || kept.count() > 0);
            kept.collector.stop();
            for _ in 0..800 {
                trace(4);
            }
            kept.collector.listen().expect("the port is reserved");
            let report = shut_down(telemetry);
            assert!(report.is_complete(), "{report:?}");
            let tally = kept.tally();
            assert_eq!((tally.traces, tally.complete, tally.spans), (1_000, 1_000, 5_000), "{protocol:?}");
        }
    }
}

alone! {
    fn a_connection_that_breaks_in_the_middle_of_a_request_loses_nothing() {
        for protocol in BOTH {
            let kept = Kept::start();
            kept.set(Behaviour::HangUp);
            let telemetry = start(&kept, protocol, 10_000);
            for _ in 0..200 {
                trace(4);
            }
            until("a request has arrived", || kept.collector.request_count() > 0);
            kept.set(Behaviour::Accept);
            let report = shut_down(telemetry);
            assert!(report.is_complete(), "{report:?}");
            let tally = kept.tally();
            assert_eq!((tally.complete, tally.spans), (200, 1_000), "{protocol:?}");
        }
    }
}

alone! {
    fn a_collector_that_is_stopped_during_a_request_loses_nothing() {
        for protocol in BOTH {
            let kept = Kept::start();
            kept.set(Behaviour::Slow(Duration::from_secs(3600)));
            let telemetry = start(&kept, protocol, 10_000);
            for _ in 0..200 {
                trace(4);
            }
            until("a request has arrived", || kept.collector.request_count() > 0);
            kept.collector.stop();
            kept.set(Behaviour::Accept);
            kept.collector.listen().expect("the port is reserved");
            let stats = {
                let report = shut_down(telemetry);
                assert!(report.is_complete(), "{report:?}");
                kept.tally()
            };
            assert_eq!((stats.complete, stats.spans), (200, 1_000), "{protocol:?}");
        }
    }
}

alone! {
    fn whole_traces_are_shed_when_the_queue_is_full() {
        for protocol in BOTH {
            let kept = Kept::start();
            kept.collector.stop();
            let telemetry = start(&kept, protocol, 1_000);
            for _ in 0..1_000 {
                trace(4);
            }
            kept.collector.listen().expect("the port is reserved");
            until("there is room again", || telemetry.queue_len() == 0);
            for _ in 0..10 {
                trace(4);
            }
            let stats = telemetry.export_stats();
            let report = shut_down(telemetry);
            assert!(!report.is_complete() && report.stats.spans_unsent() == 0, "{report:?}");
            let tally = kept.tally();
            assert_eq!((tally.complete, tally.duplicates), (tally.traces, 0), "{protocol:?}");
            assert_eq!(tally.traces + stats.traces_not_started + stats.traces_evicted, 1_010, "{stats:?}");
            assert!(tally.traces >= 140 && stats.traces_not_started > 700, "{tally:?} {stats:?}");
        }
    }
}

alone! {
    fn shedding_because_of_failing_exports_is_logged_with_the_reason() {
        let log = Log::keep();
        for (protocol, reason) in [(Protocol::Grpc, "Unavailable: not now"), (Protocol::HttpProtobuf, "status 503")] {
            let kept = Kept::start();
            kept.set(Behaviour::Unavailable);
            let telemetry = start(&kept, protocol, 100);
            (0..10).for_each(|_| trace(4));
            until("a request has failed", || kept.collector.request_count() >= 2);
            (0..20).for_each(|_| trace(4));
            assert!(telemetry.export_stats().traces_shed() > 0);
            until("the message is logged", || {
                log.text().lines().any(|line| {
                    line.contains(&format!("({protocol}) fails, and the queue limit is 100 spans")) && line.contains(reason)
                })
            });
            kept.set(Behaviour::Accept);
            shut_down(telemetry);
        }
        assert_eq!(log.count("spans end faster"), 0, "{}", log.text());
    }
}

alone! {
    fn retryable_failures_are_retried() {
        for protocol in BOTH {
            let kept = Kept::start();
            kept.set(Behaviour::Unavailable);
            let telemetry = start(&kept, protocol, 10_000);
            for _ in 0..200 {
                trace(4);
            }
            until("three requests have arrived", || kept.collector.request_count() >= 3);
            assert_eq!(kept.count(), 0);
            assert_eq!(telemetry.export_stats().refused, 0);
            kept.set(Behaviour::Accept);
            let report = shut_down(telemetry);
            assert!(report.is_complete(), "{report:?}");
            assert_eq!(kept.tally().complete, 200);
        }
    }
}

alone! {
    fn refused_spans_are_counted_and_do_not_block_the_queue() {
        let log = Log::keep();
        for protocol in BOTH {
            let kept = Kept::start();
            kept.set(Behaviour::Reject);
            let telemetry = start(&kept, protocol, 10_000);
            for _ in 0..200 {
                trace(4);
            }
            until("a batch is refused", || telemetry.export_stats().refused >= 512);
            kept.set(Behaviour::Accept);
            trace(4);
            telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector accepts the spans");
            let stats = telemetry.export_stats();
            assert_eq!(stats.exported + stats.refused, 1_005, "{stats:?}");
            assert!(stats.exported >= 5 && kept.count() as u64 == stats.exported, "{stats:?}");
            let report = shut_down(telemetry);
            assert_eq!((report.stats.exported, report.stats.refused), (stats.exported, stats.refused), "{report:?}");
            assert!(!report.is_complete(), "{report:?}");
            let text = report.to_string();
            assert!(text.contains(&format!("{} spans refused", stats.refused)), "{text}");
        }
        assert!(log.count("refused") >= 1, "{}", log.text());
        assert!(log.text().contains("InvalidArgument") || log.text().contains("400"), "{}", log.text());
    }
}

alone! {
    /// However fast the collector responds.
    fn the_backoff_doubles() {
        let kept = Kept::start();
        kept.set(Behaviour::Unavailable);
        let telemetry = start(&kept, Protocol::HttpProtobuf, 10_000);
        let begun = Instant::now();
        for _ in 0..200 {
            trace(4);
        }
        until("there were three retries", || kept.collector.request_count() >= 4);
        // At least 100 ms, 200 ms and 400 ms.
        assert!(begun.elapsed() >= Duration::from_millis(700), "{:?}", begun.elapsed());
        kept.set(Behaviour::Accept);
        assert!(shut_down(telemetry).is_complete());
    }
}

alone! {
    /// Over gRPC, no status reliably indicates a request that is too large, so the error is retried, and no span is
    /// lost.
    fn out_of_range_is_retried_until_the_request_is_accepted() {
        let kept = Kept::start();
        kept.set(Behaviour::MaxSpans(0));
        let telemetry = start(&kept, Protocol::Grpc, 10_000);
        trace(2);
        until("the request is split and retried", || kept.collector.request_count() >= 7);
        assert_eq!((telemetry.export_stats().refused, telemetry.queue_len()), (0, 3));
        kept.set(Behaviour::Accept);
        let report = shut_down(telemetry);
        assert!(report.is_complete() && report.stats.exported == 3, "{report:?}");
        assert_eq!((kept.tally().complete, kept.tally().duplicates), (1, 0));
    }
}

alone! {
    fn rejected_spans_of_a_partial_success_are_counted() {
        let log = Log::keep();
        for protocol in BOTH {
            // A collector may claim to reject more spans than were sent.
            for (rejected, refused) in [(2, 2), (5, 5), (6, 5), (i64::MAX, 5)] {
                let kept = Kept::start();
                kept.set(Behaviour::PartialSuccess(rejected));
                let telemetry = start(&kept, protocol, 10_000);
                trace(4);
                telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector responds");
                let stats = telemetry.export_stats();
                assert_eq!((stats.exported, stats.refused), (5 - refused, refused), "{protocol:?} {rejected}");
                shut_down(telemetry);
            }
        }
        assert_eq!(log.count(" spans: not those"), 8, "{}", log.text());
    }
}

alone! {
    fn the_application_does_not_wait_for_the_collector() {
        for protocol in BOTH {
            for behaviour in [Behaviour::Slow(Duration::from_secs(3600)), Behaviour::Unavailable, Behaviour::HalfOpen] {
                let kept = Kept::start();
                kept.set(behaviour);
                let telemetry = start(&kept, protocol, 2_000);
                // On a single thread: if anything waited for the collector, this would not complete.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                let done = runtime.block_on(async {
                    let mut done = 0;
                    for _ in 0..50 {
                        for _ in 0..100 {
                            throughline::spawn(async { trace(3) }).await.expect("no panic");
                            done += 1;
                        }
                        until("a request has arrived", || kept.collector.request_count() > 0 || behaviour == Behaviour::HalfOpen);
                    }
                    done
                });
                assert_eq!(done, 5_000);
                let waiting = telemetry.queue_len();
                assert!((1_000..=2_000).contains(&waiting), "{behaviour:?}: {waiting}");
                let stats = telemetry.export_stats();
                assert_eq!(stats.exported, 0);
                assert!(stats.traces_not_started > 4_000, "{stats:?}");
                // The shutdown observes its timeout, and its report is correct.
                let report = run(telemetry.shutdown(Duration::from_millis(300)));
                assert!(!report.is_complete());
                assert_eq!(report.stats.spans_unsent(), waiting as u64, "{behaviour:?}: {report:?}");
                assert_eq!(report.stats.traces_shed(), stats.traces_not_started + stats.traces_evicted);
            }
        }
    }
}

alone! {
    fn an_outage_and_its_end_are_logged() {
        let log = Log::keep_from(tracing::Level::INFO);
        let kept = Kept::start();
        kept.collector.stop();
        let telemetry = start(&kept, Protocol::Grpc, 1_000);
        for _ in 0..200 {
            trace(4);
        }
        until("a warning is logged", || log.count("no successful export to") == 1);
        let text = log.text();
        let expected = format!(
            "no successful export to `{}` (grpc) for 10 s; {} spans queued (limit 1000): transport error: tcp connect \
             error: Connection refused (os error 111)\n",
            kept.collector.endpoint(),
            telemetry.queue_len(),
        );
        assert!(text.contains(&expected), "{text}");
        let shed = telemetry.export_stats().traces_not_started;
        kept.collector.listen().expect("the port is reserved");
        until("the message is logged", || log.count("succeeds again after ") == 1);
        let expected = format!("lost in the meantime: {shed} traces not started");
        assert!(shed > 0 && log.text().contains(&expected), "{}", log.text());
        let report = shut_down(telemetry);
        assert_eq!((report.stats.traces_shed(), report.stats.spans_unsent()), (shed, 0), "{report:?}");
    }
}

alone! {
    fn a_subscriber_that_panics_does_not_end_the_export() {
        use tracing_subscriber::layer::{Context, SubscriberExt as _};

        struct Panics;
        impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Panics {
            fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
                assert!(*event.metadata().level() > tracing::Level::WARN, "a log that panics");
            }
        }
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Panics)).expect("the first");
        let kept = Kept::start();
        kept.set(Behaviour::Reject);
        let telemetry = start(&kept, Protocol::Grpc, 1_000);
        trace(4);
        telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector responds");
        assert_eq!(telemetry.export_stats().refused, 5);
        kept.set(Behaviour::Accept);
        // Several flushes, so that the warning about the refusal was attempted.
        until("the export continues", || {
            trace(0);
            telemetry.provider().expect("telemetry is enabled").force_flush().is_ok() && kept.count() >= 3
        });
        assert_eq!(shut_down(telemetry).stats.refused, 5);
    }
}
