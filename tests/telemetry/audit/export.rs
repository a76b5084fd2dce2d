//! The audit on the export thread: when a trace is judged, and metrics.

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, global};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use tokio::sync::oneshot;

use super::*;

alone! {
    fn spans_are_audited_without_an_exporter() {
        let variables = |name: &str| (name == "OTEL_TRACES_EXPORTER").then(|| "none".to_owned());
        let builder = throughline::telemetry::builder().variables(variables).service_name("orders");
        let telemetry = builder.audit(Rules::new()).init().expect("a valid configuration");
        let audit = telemetry.audit().expect("the audit is enabled");
        throughline::in_span("request", || ());
        run(telemetry.shutdown(LIMIT));
        assert_eq!((audit.report().total.traces, audit.report().is_unbroken()), (1, true));
    }
}

alone! {
    /// Here, spans stay in the queue because of the schedule delay. In an outage, the effect is the same.
    fn a_trace_is_not_judged_before_its_spans_have_left_the_queue() {
        let kept = Kept::start();
        let variables = |name: &str| (name == "OTEL_BSP_SCHEDULE_DELAY").then(|| "3600000".to_owned());
        let rules = Rules::new().quiet(Duration::from_millis(50));
        let telemetry = kept.builder().variables(variables).audit(rules).init().expect("a valid configuration");
        let audit = telemetry.audit().expect("the audit is enabled");
        throughline::in_span("request", || {
            throughline::in_span("step", || ());
            throughline::span("orphan").parent(&caller(false)).run(|| ());
            telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector accepts the spans");
        });
        // `step` has been quiet for as long as `orphan`, but its parent is queued.
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
    /// A job may still be running when the request that spawned it is over.
    fn a_trace_is_not_judged_before_its_jobs_have_ended() {
        let kept = Kept::start();
        let (telemetry, audit) = audited(&kept, Rules::new());
        run(async {
            let (begin, has_begun) = oneshot::channel();
            let (end, has_to_end) = oneshot::channel::<()>();
            let work = async {
                begin.send(()).expect("the receiver is alive");
                has_to_end.await
            };
            let job = throughline::in_span("request", || throughline::span("job").spawn(work));
            has_begun.await.expect("the job runs");
            telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector accepts the spans");
            let report = audit.report();
            assert_eq!((report.total.traces, report.skipped.traces_pending), (0, 1), "{report}");
            end.send(()).expect("the receiver is alive");
            job.await.expect("no panic").expect("the sender is alive");
            telemetry.shutdown(LIMIT).await
        });
        let report = audit.report();
        assert_eq!((report.total.traces, report.total.spans, report.skipped.spans_late), (1, 2, 0), "{report}");
    }
}

/// A meter provider that panics.
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
        let provider = telemetry.provider().expect("telemetry is enabled");
        for exported in 1..=3 {
            throughline::in_span("request", || ());
            provider.force_flush().expect("the collector responds");
            assert_eq!(telemetry.export_stats().exported, exported);
        }
        assert_eq!(run(telemetry.shutdown(LIMIT)).stats.exported, 3);
        assert_eq!(audit.report().total.traces, 3);
    }
}

alone! {
    fn breaks_and_traces_are_counted_by_metrics() {
        let metrics = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(metrics.clone()).build();
        let meters = SdkMeterProvider::builder().with_reader(reader).build();
        global::set_meter_provider(meters.clone());
        found_in(Rules::new(), async {
            throughline::in_span("request", || ());
            consume(&HashMap::new());
            consume(&HashMap::new());
        });
        meters.force_flush().expect("an in-memory exporter");
        let mut counts = Vec::new();
        for resource in metrics.get_finished_metrics().expect("an in-memory exporter") {
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
