//! A shutdown with a connection that is dead but was not closed.

use std::time::Duration;

use throughline::telemetry::{Protocol, Telemetry};
use throughline_load::Behaviour;

use crate::process::{alone, until};
use crate::support::{Kept, run, trace};

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];
const LIMIT: Duration = Duration::from_secs(30);

/// Without a request timeout, as if it were longer than the shutdown.
fn start(kept: &Kept, protocol: Protocol) -> Telemetry {
    let builder = kept.over(protocol).variables(|name| match name {
        "OTEL_EXPORTER_OTLP_TIMEOUT" => Some("0".to_owned()),
        "OTEL_BSP_SCHEDULE_DELAY" => Some("10".to_owned()),
        _ => None,
    });
    builder.init().expect("a valid configuration")
}

alone! {
    fn the_queue_is_exported_over_another_connection() {
        for protocol in BOTH {
            let kept = Kept::start();
            kept.set(Behaviour::HalfOpen);
            let telemetry = start(&kept, protocol);
            trace(4);
            until("the exporter has connected", || kept.collector.connection_count() == 1);
            kept.set(Behaviour::Accept);
            for _ in 0..200 {
                trace(4);
            }
            let report = run(telemetry.shutdown(LIMIT));
            assert!(report.is_complete(), "{report:?}");
            let tally = kept.tally();
            assert_eq!((tally.complete, tally.spans, tally.duplicates), (201, 1_005, 0), "{protocol:?}");
        }
    }
}

alone! {
    /// Only a request that has already arrived is sent twice.
    fn at_most_one_request_is_sent_twice() {
        for protocol in BOTH {
            let kept = Kept::start();
            let telemetry = start(&kept, protocol);
            trace(4);
            until("the spans are accepted", || telemetry.export_stats().exported == 5);
            kept.set(Behaviour::Slow(Duration::from_secs(3600)));
            trace(4);
            until("the next one has arrived", || kept.collector.request_count() == 2);
            kept.set(Behaviour::Accept);
            for _ in 0..200 {
                trace(4);
            }
            let report = run(telemetry.shutdown(LIMIT));
            assert!(report.is_complete() && report.stats.exported == 1_010, "{report:?}");
            let tally = kept.tally();
            assert_eq!((tally.complete, tally.spans, tally.duplicates), (202, 1_010, 5), "{protocol:?}");
        }
    }
}

alone! {
    fn a_shutdown_with_a_half_open_collector_observes_its_timeout() {
        for protocol in BOTH {
            let kept = Kept::start();
            kept.set(Behaviour::HalfOpen);
            let telemetry = start(&kept, protocol);
            trace(4);
            until("the exporter has connected", || kept.collector.connection_count() == 1);
            let report = run(telemetry.shutdown(Duration::from_millis(400)));
            assert_eq!((report.stats.left_behind, report.stats.exported), (5, 0), "{report:?}");
            assert_eq!(kept.collector.connection_count(), 2, "{protocol:?}");
        }
    }
}
