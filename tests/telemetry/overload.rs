//! Spans end faster than they are exported.

use std::thread;
use std::time::Duration;

use opentelemetry::global;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use throughline_load::Behaviour;

use crate::process::{alone, until};
use crate::support::{Kept, Log, run, trace};

const LIMIT: Duration = Duration::from_secs(60);

/// The value of a counter, for one reason.
fn counted(exporter: &InMemoryMetricExporter, name: &str, reason: &str) -> u64 {
    let mut latest = 0;
    for resource in exporter.get_finished_metrics().expect("not poisoned") {
        for metric in resource.scope_metrics().flat_map(ScopeMetrics::metrics).filter(|metric| metric.name() == name) {
            let AggregatedMetrics::U64(MetricData::Sum(sum)) = metric.data() else { panic!("{metric:?}") };
            let points = sum.data_points().filter(|point| {
                point.attributes().any(|attribute| {
                    attribute.key.as_str() == "throughline.reason" && attribute.value.as_str() == reason
                })
            });
            // Cumulative: the last one is the total.
            latest = points.map(opentelemetry_sdk::metrics::data::SumDataPoint::value).sum::<u64>().max(latest);
        }
    }
    latest
}

alone! {
    fn every_trace_that_arrives_is_complete() {
        const THREADS: u32 = 4;
        const TRACES: u32 = 5_000;
        let log = Log::keep();
        let metrics = InMemoryMetricExporter::default();
        let meters = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(metrics.clone()).build()).build();
        global::set_meter_provider(meters.clone());
        let kept = Kept::start();
        kept.set(Behaviour::Slow(Duration::from_millis(5)));
        let telemetry = kept.builder().max_queue_size(1_000).init().expect("a valid configuration");
        thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || (0..TRACES).for_each(|n| trace((n + thread) % 12)));
            }
        });
        kept.set(Behaviour::Accept);
        until("everything is exported", || telemetry.queue_len() == 0);
        let provider = telemetry.provider().expect("telemetry is enabled").clone();
        provider.force_flush().expect("the collector accepts the spans");
        let stats = telemetry.export_stats();
        let report = run(telemetry.shutdown(LIMIT));
        let shed = stats.traces_not_started + stats.traces_evicted;
        assert_eq!((report.stats.exported, report.stats.traces_shed(), report.stats.spans_unsent()), (stats.exported, shed, 0), "{report:?}");
        assert!(!report.is_complete(), "{report:?}");

        let tally = kept.tally();
        assert_eq!((tally.complete, tally.duplicates), (tally.traces, 0), "{tally:?} {stats:?}");
        assert!(tally.traces > 0 && stats.traces_not_started > 0, "{tally:?} {stats:?}");
        assert_eq!(
            tally.traces + shed,
            u64::from(THREADS * TRACES),
            "{tally:?} {stats:?}"
        );
        assert_eq!((stats.exported, stats.refused, stats.spans_dropped), (tally.spans, 0, 0));

        meters.force_flush().expect("an in-memory exporter");
        let metered = |reason| counted(&metrics, "throughline.traces.shed", reason);
        assert_eq!(
            (metered("not_started"), metered("evicted")),
            (stats.traces_not_started, stats.traces_evicted),
            "the metric counts the same"
        );
        // At most one every ten seconds, and one at the end.
        let warnings = log.count("shed as a whole");
        let most = 2 + usize::try_from(report.elapsed.as_secs()).expect("short") / 10 + 6;
        assert!((1..=most).contains(&warnings), "{warnings}: {}", log.text());
    }
}

alone! {
    fn a_warning_is_logged_immediately_and_not_repeated_within_ten_seconds() {
        let log = Log::keep();
        let kept = Kept::start();
        kept.set(Behaviour::Unavailable);
        let telemetry = kept.builder().max_queue_size(100).init().expect("a valid configuration");
        (0..200).for_each(|_| trace(3));
        until("a warning is logged", || log.count("shed as a whole") == 1);
        // The thread wakes up twice a second. Reading the stats does not reset them.
        let mut stats = telemetry.export_stats();
        for _ in 0..4 {
            let before = kept.collector.request_count();
            (0..200).for_each(|_| trace(3));
            stats = telemetry.export_stats();
            until("the request is retried", || kept.collector.request_count() > before);
        }
        assert_eq!(log.count("shed as a whole"), 1, "{}", log.text());
        assert!(stats.traces_not_started > 800, "{stats:?}");
        kept.set(Behaviour::Accept);
        let report = run(telemetry.shutdown(LIMIT));
        assert_eq!((report.stats.spans_unsent(), report.stats.traces_shed()), (0, stats.traces_not_started), "{report:?}");
        // The shutdown logs the rest, and nothing twice.
        let told: u64 = log
            .text()
            .lines()
            .filter_map(|line| line.split_once(" shed as a whole")?.0.rsplit(' ').nth(1)?.parse::<u64>().ok())
            .sum();
        assert_eq!((log.count("shed as a whole"), told), (2, stats.traces_not_started), "{}", log.text());
        assert!(log.text().contains("limit is 100 spans (`Builder::max_queue_size`)"));
    }
}

alone! {
    fn traces_of_a_caller_are_admitted_longer() {
        use opentelemetry::Context;
        use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};

        let kept = Kept::start();
        kept.set(Behaviour::Unavailable);
        let telemetry = kept.builder().max_queue_size(1_000).init().expect("a valid configuration");
        // The first batch is in flight, so that from now on the queue only fills up.
        (0..512).for_each(|_| trace(0));
        until("a request has arrived", || kept.collector.request_count() > 0);
        assert_eq!(telemetry.queue_len(), 512, "spans in flight count");
        (0..2_000).for_each(|_| trace(0));
        assert_eq!(telemetry.queue_len(), 750, "three quarters");
        let stats = telemetry.export_stats();
        let begun = |n: u128| {
            let caller = SpanContext::new(TraceId::from(n), SpanId::from(1), TraceFlags::SAMPLED, true, TraceState::NONE);
            let caller = Context::new().with_remote_span_context(caller);
            throughline::span("entry").parent(&caller).run(|| throughline::in_span("below", || {}));
        };
        (1..=1_000).for_each(begun);
        assert_eq!(telemetry.queue_len(), 876, "seven eighths: the last admitted trace has two spans");
        let later = telemetry.export_stats();
        assert_eq!(later.traces_not_started - stats.traces_not_started, 1_000 - 63);
        drop(telemetry);
    }
}

alone! {
    fn spans_of_a_trace_larger_than_the_queue_are_dropped_and_counted() {
        let log = Log::keep();
        let kept = Kept::start();
        kept.set(Behaviour::Unavailable);
        let telemetry = kept.builder().max_queue_size(1_000).init().expect("a valid configuration");
        // The trace is exported in part, so it can no longer be evicted as a whole.
        throughline::in_span("root", || {
            (0..512).for_each(|_| throughline::in_span("child", || {}));
            until("a request has arrived", || kept.collector.request_count() > 0);
            (0..20_000).for_each(|_| throughline::in_span("child", || {}));
        });
        kept.set(Behaviour::Accept);
        until("everything is exported", || telemetry.queue_len() == 0);
        let report = run(telemetry.shutdown(LIMIT));
        let arrived = kept.count() as u64;
        let lost = 20_513 - arrived;
        assert!(lost > 10_000, "{arrived}");
        assert_eq!((report.stats.spans_dropped, report.is_complete()), (lost, false), "{report:?}");
        let told: u64 = log
            .text()
            .lines()
            .filter_map(|line| line.split_once(" dropped from traces")?.0.rsplit(' ').nth(1)?.parse::<u64>().ok())
            .sum();
        assert_eq!(told, lost, "{}", log.text());
    }
}

alone! {
    fn refused_and_left_behind_spans_are_counted_as_lost() {
        let metrics = InMemoryMetricExporter::default();
        let meters = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(metrics.clone()).build()).build();
        global::set_meter_provider(meters.clone());
        let kept = Kept::start();
        kept.set(Behaviour::Reject);
        let telemetry = kept.builder().init().expect("a valid configuration");
        trace(4);
        telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector responds");
        kept.set(Behaviour::Unavailable);
        trace(2);
        let report = run(telemetry.shutdown(Duration::from_millis(100)));
        assert_eq!((report.stats.refused, report.stats.spans_unsent(), report.stats.exported), (5, 3, 0), "{report:?}");
        meters.force_flush().expect("an in-memory exporter");
        let lost = |reason| counted(&metrics, "throughline.spans.lost", reason);
        assert_eq!((lost("refused"), lost("left_behind")), (5, 3));
    }
}

alone! {
    fn the_size_of_spans_is_limited() {
        let log = Log::keep();
        let kept = Kept::start();
        kept.set(Behaviour::Unavailable);
        let telemetry = kept.builder().max_queue_bytes(1_000_000).init().expect("a valid configuration");
        let text = "x".repeat(1_000);
        let large = || {
            throughline::span("large").root().tag("a", text.as_str()).tag("b", text.as_str()).run(|| {});
        };
        (0..2_000).for_each(|_| large());
        let stats = telemetry.export_stats();
        // Up to three quarters.
        assert!((750_000..753_000).contains(&stats.queued_bytes), "{stats:?}");
        assert!((300..400).contains(&telemetry.queue_len()), "{stats:?}");
        assert_eq!(stats.traces_not_started, 2_000 - stats.finished, "{stats:?}");
        until("a warning is logged", || log.count("the queue limit is 1000000 bytes (`Builder::max_queue_bytes`)") == 1);
        kept.set(Behaviour::Accept);
        let report = run(telemetry.shutdown(LIMIT));
        assert_eq!((report.stats.exported, report.stats.queued_bytes), (stats.finished, 0), "{report:?}");
    }
}

alone! {
    fn shedding_while_the_collector_is_down_is_logged_immediately() {
        let log = Log::keep();
        let kept = Kept::start();
        kept.set(Behaviour::Unavailable);
        let telemetry = kept.builder().max_queue_size(100).init().expect("a valid configuration");
        (0..6).for_each(|_| trace(4));
        until("a request has arrived", || kept.collector.request_count() > 0);
        assert_eq!(telemetry.export_stats().traces_shed(), 0);
        (0..100).for_each(|_| trace(4));
        until("a warning is logged", || log.count("shed as a whole") == 1);
        assert_eq!(kept.count(), 0);
        kept.set(Behaviour::Accept);
        run(telemetry.shutdown(LIMIT));
    }
}
