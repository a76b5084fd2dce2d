//! Exported spans arrive with everything that was recorded.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use throughline::biz_tags;
use throughline_load::trace::{Span, span, status::StatusCode};

use crate::process::Program;
use crate::support::{Kept, attributes, hex, run};

const LIMIT: Duration = Duration::from_secs(30);

/// The caller, in another process.
fn caller() -> Context {
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").expect("hex"),
        SpanId::from_hex("b7ad6b7169203331").expect("hex"),
        TraceFlags::SAMPLED,
        true,
        TraceState::from_key_value([("vendor", "x")]).expect("a state"),
    ))
}

fn other() -> SpanContext {
    let state = TraceState::from_key_value([("other", "y")]).expect("a state");
    SpanContext::new(TraceId::from(7), SpanId::from(8), TraceFlags::SAMPLED, true, state)
}

#[biz_tags(order_no)]
fn order(order_no: u32) {
    let _ = order_no;
    let failed = throughline::span("charge")
        .kind(throughline::SpanKind::Client)
        .tag("amount", 12.5)
        .tag("urgent", true)
        .link(&Context::new().with_remote_span_context(other()))
        .try_run(|| Err::<(), _>("declined"));
    assert!(failed.is_err());
}

/// Records spans with everything that they can have.
fn work(provider: &throughline::telemetry::TracerProvider) {
    throughline::span("receive").kind(throughline::SpanKind::Server).parent(&caller()).run(|| order(7));
    // A span of another library, with data that Throughline does not record itself.
    let tracer = provider.tracer("other");
    let mut span = tracer
        .span_builder("by hand")
        .with_kind(SpanKind::Producer)
        .with_links(vec![Link::new(other(), vec![KeyValue::new("why", "retry")], 0)])
        .start(&tracer);
    span.set_attribute(KeyValue::new(
        "list",
        Value::Array(Array::String(vec![StringValue::from("a"), StringValue::from("b")])),
    ));
    span.set_attribute(KeyValue::new("count", -3));
    span.add_event("paused", vec![KeyValue::new("ms", 5)]);
    span.set_status(Status::Ok);
    span.end();
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn without_code(span: &Span) -> BTreeMap<String, String> {
    let mut attributes = attributes(&span.attributes);
    attributes.retain(|key, _| !key.starts_with("code."));
    attributes
}

/// Runs the second process, and checks everything that arrives.
fn arrives(protocol: &str, compression: &str) {
    const RESOURCE: &str = "deployment.environment.name=test,team=a%20b,service.name=overruled";
    let kept = Kept::start();
    let program = Program::start(
        "send",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &kept.collector.endpoint()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20a%2Cb, tenant=t1"),
            ("OTEL_RESOURCE_ATTRIBUTES", RESOURCE),
            ("OTEL_SERVICE_NAME", "orders"),
        ],
    );
    let id = program.id().to_string();
    program.succeed();

    for resource in kept.requests().into_iter().flat_map(|request| request.spans) {
        assert_eq!(resource.schema_url, "https://opentelemetry.io/schemas/1.42.0");
    }
    let [receive, charge, by_hand] = ["receive", "charge", "by hand"].map(|name| kept.span(name));
    assert_eq!(kept.count(), 3);
    assert_eq!(hex(&receive.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&receive.parent_span_id), "b7ad6b7169203331");
    assert_eq!(receive.trace_state, "vendor=x");
    assert_eq!(receive.kind(), span::SpanKind::Server);
    assert_eq!(without_code(&receive), map(&[("order_no", "7")]));
    assert_eq!(receive.status.clone().unwrap_or_default().code(), StatusCode::Unset);
    // Sampled, with a remote parent.
    assert_eq!(receive.flags, 0x301);
    assert!(receive.links.is_empty() && receive.events.is_empty());

    assert_eq!((&charge.trace_id, &charge.parent_span_id), (&receive.trace_id, &receive.span_id));
    assert_eq!((charge.flags, charge.trace_state.as_str()), (0x101, "vendor=x"));
    assert_eq!(charge.kind(), span::SpanKind::Client);
    let expected = [("order_no", "7"), ("amount", "12.5"), ("urgent", "true"), ("error.type", "&str")];
    let charged = without_code(&charge);
    for (key, value) in expected {
        assert_eq!(charged.get(key).map(String::as_str), Some(value), "{key}: {charged:?}");
    }
    let status = charge.status.clone().unwrap_or_default();
    assert_eq!((status.code(), status.message.as_str()), (StatusCode::Error, "declined"));
    assert_eq!(charge.events.len(), 1);
    assert_eq!(charge.events[0].name, "exception");
    assert_eq!(attributes(&charge.events[0].attributes)["exception.message"], "declined");
    let link = &charge.links[0];
    assert_eq!((hex(&link.trace_id), hex(&link.span_id)), (format!("{:032x}", 7), format!("{:016x}", 8)));
    assert_eq!(link.flags, 0x301);
    assert!(receive.start_time_unix_nano > 0);
    assert!(receive.start_time_unix_nano <= charge.start_time_unix_nano);
    assert!(charge.start_time_unix_nano <= charge.end_time_unix_nano);
    assert!(charge.end_time_unix_nano <= receive.end_time_unix_nano);

    assert_ne!(by_hand.trace_id, receive.trace_id);
    assert!(by_hand.parent_span_id.is_empty());
    assert_eq!(by_hand.kind(), span::SpanKind::Producer);
    assert_eq!(attributes(&by_hand.attributes), map(&[("list", "[a, b]"), ("count", "-3")]));
    assert_eq!(by_hand.status.clone().unwrap_or_default().code(), StatusCode::Ok);
    assert_eq!(by_hand.events[0].name, "paused");
    assert!(by_hand.events[0].time_unix_nano >= by_hand.start_time_unix_nano);
    assert_eq!(attributes(&by_hand.events[0].attributes), map(&[("ms", "5")]));
    assert_eq!(attributes(&by_hand.links[0].attributes), map(&[("why", "retry")]));
    assert_eq!((by_hand.links[0].flags, by_hand.links[0].trace_state.as_str()), (0x301, "other=y"));

    let resource = kept.resource();
    for (key, value) in [
        ("service.name", "orders"),
        ("deployment.environment.name", "test"),
        ("team", "a b"),
        ("telemetry.sdk.name", "throughline"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ("process.pid", &id),
    ] {
        assert_eq!(resource.get(key).map(String::as_str), Some(value), "{key}: {resource:?}");
    }
    let instance = &resource["service.instance.id"];
    assert!(instance.len() == 36 && instance.split('-').count() == 5, "{instance}");
    assert!(!resource["host.name"].is_empty());

    let scopes: Vec<_> = kept
        .requests()
        .into_iter()
        .flat_map(|request| request.spans)
        .flat_map(|spans| spans.scope_spans)
        .filter_map(|scope| scope.scope)
        .collect();
    assert!(scopes.iter().any(|scope| scope.name == "throughline" && scope.version == env!("CARGO_PKG_VERSION")));
    assert!(scopes.iter().any(|scope| scope.name == "other"));

    for request in kept.requests() {
        assert_eq!(request.over_http, protocol == "http/protobuf");
        let all = |name: &str| -> Vec<_> { request.headers.get_all(name).iter().map(|v| v.to_str().ok()).collect() };
        assert_eq!(all("authorization"), [Some("Bearer a,b")], "once");
        assert_eq!(all("tenant"), [Some("t1")], "once");
        let encoding = all(if request.over_http { "content-encoding" } else { "grpc-encoding" });
        assert_eq!(encoding, if compression == "gzip" { vec![Some("gzip")] } else { vec![] });
        if request.over_http {
            assert_eq!(all("content-type"), [Some("application/x-protobuf")]);
        }
    }
}

/// The role of the second process.
pub(crate) fn send() {
    let telemetry = throughline::init().expect("the variables are valid");
    work(telemetry.provider().expect("telemetry is enabled"));
    let report = run(telemetry.shutdown(LIMIT));
    assert!(report.is_complete(), "{report:?}");
}

#[test]
fn over_grpc() {
    arrives("grpc", "none");
}

#[test]
fn over_grpc_with_gzip() {
    arrives("grpc", "gzip");
}

#[test]
fn over_http() {
    arrives("http/protobuf", "none");
}

#[test]
fn over_http_with_gzip() {
    arrives("http/protobuf", "gzip");
}
