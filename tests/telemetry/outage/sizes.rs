//! Requests and spans that are too large for the collector.

use super::*;

alone! {
    fn a_batch_that_is_too_large_is_split() {
        for protocol in BOTH {
            let kept = Kept::start();
            kept.set(Behaviour::MaxSpans(100));
            let telemetry = start(&kept, protocol, 10_000);
            for _ in 0..200 {
                trace(4);
            }
            let report = shut_down(telemetry);
            assert!(report.is_complete(), "{report:?}");
            let tally = kept.tally();
            assert_eq!((tally.complete, tally.spans, tally.duplicates), (200, 1_000, 0), "{protocol:?}");
        }
    }
}

alone! {
    /// Over HTTP, a status indicates that a request is too large. Even so, a batch is not sent span by span.
    fn spans_that_are_each_too_large_are_refused_after_a_bounded_number_of_requests() {
        let log = Log::keep();
        let kept = Kept::start();
        kept.set(Behaviour::MaxSpans(0));
        let telemetry = start(&kept, Protocol::HttpProtobuf, 10_000);
        trace(2);
        telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector responds");
        assert_eq!(telemetry.export_stats().refused, 3);
        let asked = kept.collector.request_count();
        assert!(asked <= 5, "{asked}");
        (0..510).for_each(|_| trace(0));
        telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector responds");
        assert_eq!(telemetry.export_stats().refused, 513);
        let more = kept.collector.request_count() - asked;
        assert!(more <= 20, "{more} requests for one batch");
        // Spans that fit are exported.
        kept.set(Behaviour::Accept);
        (0..300).for_each(|_| trace(0));
        let report = shut_down(telemetry);
        assert_eq!((report.stats.exported, report.stats.refused, kept.count()), (300, 513, 300), "{report:?}");
        assert!(log.text().contains(": status 413 Payload Too Large"), "{}", log.text());
    }
}

alone! {
    fn smaller_spans_are_not_refused_with_those_that_are_too_large() {
        let kept = Kept::start();
        kept.set(Behaviour::MaxBytes(5_000));
        let telemetry = start(&kept, Protocol::HttpProtobuf, 10_000);
        let long = "x".repeat(1_000);
        for at in 0..450 {
            let mut span = throughline::span("span").root().tag("at", at);
            for key in ["a", "b", "c", "d", "e", "f"].iter().filter(|_| at < 20) {
                span = span.tag(key, long.as_str());
            }
            span.run(|| {});
        }
        telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector responds");
        let stats = telemetry.export_stats();
        assert_eq!((stats.exported, stats.refused, kept.count()), (430, 20, 430), "{stats:?}");
        assert!(kept.collector.request_count() < 120, "{}", kept.collector.request_count());
        shut_down(telemetry);
    }
}

alone! {
    fn slightly_smaller_spans_are_not_refused_with_a_few_that_are_too_large() {
        let kept = Kept::start();
        kept.set(Behaviour::MaxBytes(5_000));
        let telemetry = start(&kept, Protocol::HttpProtobuf, 10_000);
        let long = "x".repeat(1_000);
        for at in 0..8 {
            let keys = ["a", "b", "c", "d", "e", "f"].into_iter().take(if at < 3 { 6 } else { 4 });
            keys.fold(throughline::span("span").root(), |span, key| span.tag(key, long.as_str())).run(|| {});
        }
        telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector responds");
        let stats = telemetry.export_stats();
        assert_eq!((stats.exported, stats.refused, kept.count()), (5, 3, 5), "{stats:?}");
        shut_down(telemetry);
    }
}

alone! {
    /// The default limit of gRPC servers.
    fn no_request_is_larger_than_four_mebibytes() {
        for protocol in BOTH {
            let kept = Kept::start();
            let telemetry = start(&kept, protocol, 10_000);
            let long = "x".repeat(1_000);
            for _ in 0..40 {
                throughline::span("large").root().run(|| {
                    use opentelemetry::trace::TraceContextExt as _;
                    opentelemetry::Context::map_current(|context| {
                        for at in 0..120 {
                            let attribute = opentelemetry::KeyValue::new(format!("key {at}"), long.repeat(2));
                            context.span().set_attribute(attribute);
                        }
                    });
                });
            }
            let report = shut_down(telemetry);
            assert!(report.is_complete() && report.stats.exported == 40, "{report:?}");
            let sizes: Vec<_> = kept.requests().iter().map(throughline_load::Request::bytes).collect();
            assert!(sizes.len() > 1 && sizes.iter().all(|&size| size <= 4 << 20), "{protocol:?}: {sizes:?}");
            assert_eq!(kept.count(), 40);
        }
    }
}
