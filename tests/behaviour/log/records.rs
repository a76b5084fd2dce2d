//! Tags on OpenTelemetry log records.

use opentelemetry::logs::AnyValue;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, Key, TraceFlags};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::trace::Sampler;
use throughline::log::TagLogProcessor;
use throughline::testing::{Capture, FinishedSpan};
use throughline::{in_span, span, traced_spawn};
use tracing::{info, instrument};
use tracing_subscriber::layer::SubscriberExt as _;

struct Records {
    exporter: InMemoryLogExporter,
    provider: SdkLoggerProvider,
}

impl Records {
    fn new() -> Self {
        let exporter = InMemoryLogExporter::default();
        let provider = SdkLoggerProvider::builder()
            .with_log_processor(TagLogProcessor::new())
            .with_simple_exporter(exporter.clone())
            .build();
        Self { exporter, provider }
    }

    fn layer(&self) -> OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger> {
        OpenTelemetryTracingBridge::new(&self.provider)
    }

    fn while_logging<R>(&self, f: impl FnOnce() -> R) -> R {
        crate::subscriber::with_default(tracing_subscriber::registry().with(self.layer()), f)
    }

    fn all(&self) -> Vec<SdkLogRecord> {
        self.provider.force_flush().expect("nothing stands in its way");
        let logs = self.exporter.get_emitted_logs().expect("the exporter is open");
        logs.into_iter().map(|log| log.record).collect()
    }
}

#[track_caller]
fn assert_of(record: &SdkLogRecord, span: &FinishedSpan) {
    let context = record.trace_context().expect("the record is of a trace");
    assert_eq!((context.trace_id, context.span_id), (span.trace_id(), span.span_id()));
    assert_eq!(context.trace_flags, Some(TraceFlags::SAMPLED));
}

fn attributes<'r>(record: &'r SdkLogRecord, key: &str) -> Vec<&'r AnyValue> {
    record.attributes_iter().filter(|(is, _)| *is == Key::new(key.to_owned())).map(|(_, value)| value).collect()
}

#[tokio::test]
async fn a_record_has_the_ids_and_tags_of_the_current_span() {
    #[traced_spawn]
    async fn job() {
        tokio::task::yield_now().await;
        info!("in a job");
    }
    #[instrument]
    fn below() {
        info!("below");
    }
    let records = Records::new();
    let capture = Capture::new();
    let layer = tracing_opentelemetry::layer().with_tracer(capture.tracer("tracing"));
    let _default = crate::subscriber::set_default(tracing_subscriber::registry().with(layer).with(records.layer()));
    info!("outside");
    let handle = capture.run(|| {
        let order = span("order").biz_tag("tenant_id", "acme").biz_tag("n", 7);
        let order = order.biz_tag("share", 0.5).biz_tag("express", true).biz_tag("names", ["a", "b"].as_slice());
        let order = order.biz_tag("flags", [true, false].as_slice()).biz_tag("sizes", [1, 2].as_slice());
        order.biz_tag("shares", [0.5, 1.5].as_slice()).run(|| {
            info!("inside");
            below();
            job()
        })
    });
    handle.await.expect("no panic");

    let all = records.all();
    let [outside, inside, below, job] = &all[..] else { panic!("{all:?}") };
    assert!(outside.trace_context().is_none());
    assert_eq!(outside.attributes_iter().count(), 0);
    assert_of(inside, &capture.span("order"));
    assert_of(below, &capture.span("below"));
    assert_of(job, &capture.span("job"));
    for record in [inside, below, job] {
        assert_eq!(attributes(record, "tenant_id"), [&AnyValue::from("acme")]);
        assert_eq!(attributes(record, "n"), [&AnyValue::from(7)]);
        assert_eq!(attributes(record, "share"), [&AnyValue::from(0.5)]);
        assert_eq!(attributes(record, "express"), [&AnyValue::from(true)]);
        assert_eq!(attributes(record, "names"), [&["a", "b"].into_iter().collect::<AnyValue>()]);
        assert_eq!(attributes(record, "flags"), [&[true, false].into_iter().collect::<AnyValue>()]);
        assert_eq!(attributes(record, "sizes"), [&[1, 2].into_iter().collect::<AnyValue>()]);
        assert_eq!(attributes(record, "shares"), [&[0.5, 1.5].into_iter().collect::<AnyValue>()]);
    }
}

#[test]
fn attributes_of_the_event_take_precedence() {
    let records = Records::new();
    records.while_logging(|| {
        Capture::new().run(|| span("order").biz_tag("tenant_id", "acme").run(|| info!(tenant_id = "other", "x")));
    });
    assert_eq!(attributes(&records.all()[0], "tenant_id"), [&AnyValue::from("other")]);
}

#[test]
fn where_the_trace_is_not_sampled_the_flags_say_so() {
    let records = Records::new();
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    let seen = records.while_logging(|| {
        capture.run(|| {
            in_span("order", || {
                info!("x");
                Context::current().span().span_context().clone()
            })
        })
    });
    let all = records.all();
    let context = all[0].trace_context().expect("the record is of a trace");
    assert_eq!((context.trace_id, context.span_id), (seen.trace_id(), seen.span_id()));
    assert_eq!(context.trace_flags, Some(TraceFlags::default()));
}
