//! Metrics and logs of the SDK, in a process that exports its traces with `init`.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry::logs::AnyValue;
use opentelemetry::{KeyValue, global};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use opentelemetry_sdk::metrics::data::{Metric, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::resource::{ResourceDetector as _, TelemetryResourceDetector};
use throughline_load::Behaviour;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::process::{alone, until};
use crate::support::{Kept, run, trace};

const LIMIT: Duration = Duration::from_secs(30);

/// Keeps the log records of this process in memory.
struct Records(InMemoryLogExporter, SdkLoggerProvider);

impl Records {
    fn keep() -> Self {
        let exporter = InMemoryLogExporter::default();
        let provider = SdkLoggerProvider::builder().with_batch_exporter(exporter.clone()).build();
        let subscriber = tracing_subscriber::registry().with(OpenTelemetryTracingBridge::new(&provider));
        tracing::subscriber::set_global_default(subscriber).expect("the first of this process");
        Self(exporter, provider)
    }

    /// The number of records with this text.
    fn count(&self, text: &str) -> usize {
        self.1.force_flush().expect("an in-memory exporter");
        let records = self.0.get_emitted_logs().expect("the exporter is open");
        let has_text = |body: &AnyValue| matches!(body, AnyValue::String(body) if body.as_str().contains(text));
        records.iter().filter(|log| log.record.body().is_some_and(has_text)).count()
    }
}

alone! {
    /// The export thread suppresses telemetry so that requests are not traced, but not for its own messages.
    fn log_records_of_the_sdk_include_what_the_export_thread_logs() {
        let records = Records::keep();
        let kept = Kept::start();
        kept.set(Behaviour::Reject);
        let telemetry = kept.builder().open_span_warning(Duration::ZERO).init().expect("a valid configuration");
        let open = throughline::span("open").root().start();
        trace(0);
        telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector responds");
        until("the refusal is logged", || records.count("refused 1 span") == 1);
        until("the open span is logged", || records.count("the span `open`") == 1);
        drop(open);
        assert_eq!(run(telemetry.shutdown(LIMIT)).stats.refused, 2);
        assert_eq!(records.count("shut down in"), 1);
    }
}

alone! {
    fn metrics_of_the_sdk_share_the_resource_and_include_the_last_losses() {
        let kept = Kept::start();
        let telemetry = kept.builder().service_name("orders").init().expect("a valid configuration");
        let traces = telemetry.provider().expect("telemetry is enabled");
        let attributes = traces.resource().iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        let resource = Resource::builder().with_attributes(attributes);
        let resource = resource.with_detector(Box::new(TelemetryResourceDetector)).build();
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).build();
        let meters = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
        // After `init`, because only then is the resource known.
        global::set_meter_provider(meters.clone());
        trace(0);
        telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector accepts the spans");
        kept.set(Behaviour::Unavailable);
        trace(0);
        assert_eq!(run(telemetry.shutdown(Duration::from_millis(200))).stats.left_behind, 1);
        meters.shutdown().expect("an in-memory exporter");

        let exports = exporter.get_finished_metrics().expect("the exporter is open");
        let metrics = exports.last().expect("there is a loss");
        let known = |(key, value): (&opentelemetry::Key, &opentelemetry::Value)| (key.to_string(), value.to_string());
        let mut expected = kept.resource();
        let version = TelemetryResourceDetector.detect().get(&"telemetry.sdk.version".into()).expect("a version");
        for (key, own, sdk) in [
            ("telemetry.sdk.name", "throughline", "opentelemetry".to_owned()),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION"), version.to_string()),
        ] {
            assert_eq!(expected.insert(key.to_owned(), sdk).as_deref(), Some(own));
        }
        assert_eq!(metrics.resource().iter().map(known).collect::<BTreeMap<_, _>>(), expected);
        let names: Vec<_> = metrics.scope_metrics().flat_map(ScopeMetrics::metrics).map(Metric::name).collect();
        assert_eq!(names, ["throughline.spans.lost"]);
    }
}
