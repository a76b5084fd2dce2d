//! The audit on the export thread: when a trace is judged, and what metrics tell.

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, global};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use tokio::sync::oneshot;

use super::*;

alone! {
    fn without_an_exporter_spans_are_audited_all_the_same() {
        let variables = |name: &str| (name == "OTEL_TRACES_EXPORTER").then(|| "none".to_owned());
        let builder = throughline::telemetry::builder().variables(variables).service_name("orders");
        let telemetry = builder.audit(Rules::new()).init().expect("it is valid");
        let audit = telemetry.audit().expect("it was asked for");
        throughline::in_span("request", || ());
        run(telemetry.shutdown(LIMIT));
        assert_eq!((audit.report().total.traces, audit.report().is_unbroken()), (1, true));
    }
}

alone! {
    /// They are in the queue, because of the delay here, or because the collector was away.
    fn a_trace_is_not_judged_before_its_spans_have_left_the_queue() {
        let kept = Kept::start();
        let variables = |name: &str| (name == "OTEL_BSP_SCHEDULE_DELAY").then(|| "3600000".to_owned());
        let rules = Rules::new().quiet(Duration::from_millis(50));
        let telemetry = kept.builder().variables(variables).audit(rules).init().expect("it is valid");
        let audit = telemetry.audit().expect("it was asked for");
        throughline::in_span("request", || {
            throughline::in_span("step", || ());
            throughline::span("orphan").parent(&caller(false)).run(|| ());
            telemetry.provider().expect("it is enabled").force_flush().expect("the collector accepts it");
        });
        // `orphan` has had its time, and `step` has been there for as long. Its parent is queued.
        until("a trace is judged", || audit.report().total.traces > 0);
        let report = audit.report();
        assert_eq!((report.total.traces, report.skipped.traces_pending), (1, 1), "{report}");
        assert_eq!(&*report.breaks[0].span, "orphan", "{report}");
        run(telemetry.shutdown(LIMIT));
        let report = audit.report();
        assert_eq!((report.total.traces, report.total.complete, report.skipped.spans_late), (2, 1, 0), "{report}");
    }
}

alone! {
    /// A job may be at work when the request that began it is over.
    fn a_trace_is_not_judged_before_its_jobs_have_ended() {
        let kept = Kept::start();
        let (telemetry, audit) = audited(&kept, Rules::new());
        run(async {
            let (begin, has_begun) = oneshot::channel();
            let (end, has_to_end) = oneshot::channel::<()>();
            let work = async {
                begin.send(()).expect("it is awaited");
                has_to_end.await
            };
            let job = throughline::in_span("request", || throughline::span("job").spawn(work));
            has_begun.await.expect("the job runs");
            telemetry.provider().expect("it is enabled").force_flush().expect("the collector accepts it");
            let report = audit.report();
            assert_eq!((report.total.traces, report.skipped.traces_pending), (0, 1), "{report}");
            end.send(()).expect("it is awaited");
            job.await.expect("no panic").expect("it was told to end");
            telemetry.shutdown(LIMIT).await
        });
        let report = audit.report();
        assert_eq!((report.total.traces, report.total.spans, report.skipped.spans_late), (1, 2, 0), "{report}");
    }
}

/// A meter provider with a mistake.
struct Broken;

impl MeterProvider for Broken {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        panic!("no meters")
    }
}

alone! {
    fn a_meter_provider_that_panics_does_not_end_the_export() {
        global::set_meter_provider(Broken);
        let kept = Kept::start();
        let (telemetry, audit) = audited(&kept, Rules::new());
        let provider = telemetry.provider().expect("it is enabled");
        for exported in 1..=3 {
            throughline::in_span("request", || ());
            provider.force_flush().expect("there is an answer");
            assert_eq!(telemetry.export_stats().exported, exported);
        }
        assert_eq!(run(telemetry.shutdown(LIMIT)).stats.exported, 3);
        assert_eq!(audit.report().total.traces, 3);
    }
}

alone! {
    fn it_is_counted_by_metrics() {
        let metrics = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(metrics.clone()).build();
        let meters = SdkMeterProvider::builder().with_reader(reader).build();
        global::set_meter_provider(meters.clone());
        found_in(Rules::new(), async {
            throughline::in_span("request", || ());
            consume(&HashMap::new());
            consume(&HashMap::new());
        });
        meters.force_flush().expect("it is kept");
        let mut counts = Vec::new();
        for resource in metrics.get_finished_metrics().expect("it is kept") {
            for metric in resource.scope_metrics().flat_map(ScopeMetrics::metrics) {
                let AggregatedMetrics::U64(MetricData::Sum(sum)) = metric.data() else { continue };
                counts.extend(sum.data_points().map(|point| {
                    let attributes: Vec<_> = point.attributes().map(|pair| format!("{}={}", pair.key, pair.value)).collect();
                    format!("{} {} {}", metric.name(), attributes.join(" "), point.value())
                }));
            }
        }
        counts.sort();
        assert_eq!(counts, [
            "throughline.audit.breaks throughline.audit.break=unparented-entry 2",
            "throughline.audit.traces throughline.audit.complete=false 2",
            "throughline.audit.traces throughline.audit.complete=true 1",
        ]);
    }
}
