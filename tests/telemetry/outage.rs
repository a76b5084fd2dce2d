//! The collector is away, slow, or of bad will.

use std::time::Duration;

use throughline::telemetry::{Protocol, Telemetry};
use throughline_load::Behaviour;

use crate::process::{alone, until};
use crate::support::{Kept, Log, run, trace};

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];
const LIMIT: Duration = Duration::from_secs(30);

fn start(kept: &Kept, protocol: Protocol, queue: usize) -> Telemetry {
    kept.over(protocol).queue(queue).init().expect("it is valid")
}

fn shut_down(telemetry: Telemetry) -> throughline::telemetry::Report {
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
            until("it was asked", || kept.collector.asked() > 0);
            kept.set(Behaviour::Take);
            let report = shut_down(telemetry);
            assert!(report.is_complete(), "{report:?}");
            let tally = kept.tally();
            assert_eq!((tally.complete, tally.spans), (200, 1_000), "{protocol:?}");
        }
    }
}

alone! {
    fn stopped_while_it_works_on_a_request() {
        for protocol in BOTH {
            let kept = Kept::start();
            kept.set(Behaviour::Slow(Duration::from_secs(3600)));
            let telemetry = start(&kept, protocol, 10_000);
            for _ in 0..200 {
                trace(4);
            }
            until("it was asked", || kept.collector.asked() > 0);
            kept.collector.stop();
            kept.set(Behaviour::Take);
            kept.collector.listen().expect("the port is reserved");
            let counts = {
                let report = shut_down(telemetry);
                assert!(report.is_complete(), "{report:?}");
                kept.tally()
            };
            assert_eq!((counts.complete, counts.spans), (200, 1_000), "{protocol:?}");
        }
    }
}

alone! {
    fn after_that_whole_traces_go() {
        for protocol in BOTH {
            let kept = Kept::start();
            kept.collector.stop();
            let telemetry = start(&kept, protocol, 1_000);
            for _ in 0..1_000 {
                trace(4);
            }
            kept.collector.listen().expect("the port is reserved");
            until("there is room again", || telemetry.waiting() == 0);
            for _ in 0..10 {
                trace(4);
            }
            let counts = telemetry.counts();
            let report = shut_down(telemetry);
            assert!(report.is_complete(), "{report:?}");
            let tally = kept.tally();
            assert_eq!((tally.complete, tally.duplicates), (tally.traces, 0), "{protocol:?}");
            assert_eq!(tally.traces + counts.traces_not_begun + counts.traces_thrown_out, 1_010, "{counts:?}");
            assert!(tally.traces >= 140 && counts.traces_not_begun > 700, "{tally:?} {counts:?}");
        }
    }
}

alone! {
    fn what_it_refuses_for_now_is_sent_again() {
        for protocol in BOTH {
            let kept = Kept::start();
            kept.set(Behaviour::Refuse);
            let telemetry = start(&kept, protocol, 10_000);
            for _ in 0..200 {
                trace(4);
            }
            until("it was asked three times", || kept.collector.asked() >= 3);
            assert_eq!(kept.count(), 0);
            assert_eq!(telemetry.counts().refused, 0);
            kept.set(Behaviour::Take);
            let report = shut_down(telemetry);
            assert!(report.is_complete(), "{report:?}");
            assert_eq!(kept.tally().complete, 200);
        }
    }
}

alone! {
    fn what_it_refuses_for_good_is_counted_and_holds_nothing_up() {
        let log = Log::keep();
        for protocol in BOTH {
            let kept = Kept::start();
            kept.set(Behaviour::RefuseForGood);
            let telemetry = start(&kept, protocol, 10_000);
            for _ in 0..200 {
                trace(4);
            }
            until("a batch is refused", || telemetry.counts().refused >= 512);
            kept.set(Behaviour::Take);
            trace(4);
            telemetry.provider().expect("it is enabled").force_flush().expect("it takes them");
            let counts = telemetry.counts();
            assert_eq!(counts.exported + counts.refused, 1_005, "{counts:?}");
            assert!(counts.exported >= 5 && kept.count() as u64 == counts.exported, "{counts:?}");
            let report = shut_down(telemetry);
            assert!(report.is_complete(), "{report:?}");
        }
        assert!(log.count("has refused") >= 1, "{}", log.text());
        assert!(log.text().contains("InvalidArgument") || log.text().contains("400"), "{}", log.text());
    }
}

alone! {
    fn a_batch_that_is_too_large_is_halved() {
        let log = Log::keep();
        for protocol in BOTH {
            let kept = Kept::start();
            kept.set(Behaviour::AtMost(100));
            let telemetry = start(&kept, protocol, 10_000);
            for _ in 0..200 {
                trace(4);
            }
            let report = shut_down(telemetry);
            assert!(report.is_complete(), "{report:?}");
            let tally = kept.tally();
            assert_eq!((tally.complete, tally.spans, tally.duplicates), (200, 1_000, 0), "{protocol:?}");
            // A single span that is too large is refused, and the rest goes on.
            let kept = Kept::start();
            kept.set(Behaviour::AtMost(0));
            let telemetry = start(&kept, protocol, 10_000);
            trace(2);
            telemetry.provider().expect("it is enabled").force_flush().expect("there is an answer");
            assert_eq!(telemetry.counts().refused, 3);
            shut_down(telemetry);
        }
        assert!(log.count("has refused 3 spans") >= 1, "{}", log.text());
    }
}

alone! {
    fn a_partial_success_counts_what_was_refused() {
        for protocol in BOTH {
            let kept = Kept::start();
            kept.set(Behaviour::TakeAllBut(2));
            let telemetry = start(&kept, protocol, 10_000);
            trace(4);
            telemetry.provider().expect("it is enabled").force_flush().expect("there is an answer");
            let counts = telemetry.counts();
            assert_eq!((counts.exported, counts.refused), (3, 2), "{protocol:?}");
            shut_down(telemetry);
        }
    }
}

alone! {
    fn the_application_is_not_held_up() {
        for protocol in BOTH {
            for behaviour in [Behaviour::Slow(Duration::from_secs(3600)), Behaviour::Refuse, Behaviour::HalfOpen] {
                let kept = Kept::start();
                kept.set(behaviour);
                let telemetry = start(&kept, protocol, 2_000);
                // On one worker: if anything waited for the collector, nothing of this would end.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                let done = runtime.block_on(async {
                    let mut done = 0;
                    for _ in 0..50 {
                        for _ in 0..100 {
                            throughline::spawn(async { trace(3) }).await.expect("no panic");
                            done += 1;
                        }
                        until("it is asked", || kept.collector.asked() > 0 || behaviour == Behaviour::HalfOpen);
                    }
                    done
                });
                assert_eq!(done, 5_000);
                let waiting = telemetry.waiting();
                assert!((1_000..=2_000).contains(&waiting), "{behaviour:?}: {waiting}");
                let counts = telemetry.counts();
                assert_eq!(counts.exported, 0);
                assert!(counts.traces_not_begun > 4_000, "{counts:?}");
                // Its end is not held up either, beyond its limit, and tells the truth.
                let report = run(telemetry.shutdown(Duration::from_millis(300)));
                assert!(!report.is_complete());
                // A batch is on its way besides those that wait.
                assert!(report.spans_left >= waiting as u64, "{behaviour:?}: {report:?}");
            }
        }
    }
}

alone! {
    fn it_says_that_the_collector_does_not_answer() {
        let log = Log::keep();
        let kept = Kept::start();
        kept.collector.stop();
        let telemetry = start(&kept, Protocol::Grpc, 1_000);
        for _ in 0..200 {
            trace(4);
        }
        until("there is a warning", || log.count("has taken no spans for") == 1);
        let text = log.text();
        assert!(text.contains(&kept.collector.endpoint()) && text.contains("Connection refused"), "{text}");
        kept.collector.listen().expect("the port is reserved");
        let report = shut_down(telemetry);
        assert!(report.is_complete(), "{report:?}");
    }
}

alone! {
    fn a_log_that_panics_is_not_the_end() {
        use tracing_subscriber::layer::{Context, SubscriberExt as _};

        struct Panics;
        impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Panics {
            fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
                assert!(*event.metadata().level() > tracing::Level::WARN, "a log that panics");
            }
        }
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Panics)).expect("the first");
        let kept = Kept::start();
        kept.set(Behaviour::RefuseForGood);
        let telemetry = start(&kept, Protocol::Grpc, 1_000);
        trace(4);
        telemetry.provider().expect("it is enabled").force_flush().expect("there is an answer");
        assert_eq!(telemetry.counts().refused, 5);
        kept.set(Behaviour::Take);
        // Not before the warning about them was tried.
        until("it goes on", || {
            trace(0);
            telemetry.provider().expect("it is enabled").force_flush().is_ok() && kept.count() >= 3
        });
        assert!(shut_down(telemetry).is_complete());
    }
}
