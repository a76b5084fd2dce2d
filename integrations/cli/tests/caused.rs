//! Breaks that are caused on purpose through the public API of two processes, and found in what they have exported.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanId, SpanKind, TraceContextExt as _, TraceId, Tracer as _};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::IdGenerator;
use prost::Message as _;
use throughline::testing::Capture;
use throughline::{in_span, span};

/// What a process exports to a file.
fn export(file: &str, service: &'static str, capture: &Capture) -> PathBuf {
    let resource = Resource::builder_empty().with_service_name(service).build();
    let spans = capture.spans().iter().map(|span| (**span).clone()).collect();
    let resource_spans = group_spans_by_resource_and_scope(spans, &ResourceAttributesWithSchema::from(&resource));
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(file);
    fs::write(&path, ExportTraceServiceRequest { resource_spans }.encode_to_vec()).expect("a folder to write to");
    path
}

/// What the program finds in the files: the kind, the service and the name of the span of each break, and the detail of
/// the first example.
fn found(files: &[PathBuf]) -> Vec<[String; 4]> {
    let program = Command::new(env!("CARGO_BIN_EXE_throughline")).args(["audit", "--json"]).args(files).output();
    let output = program.expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let breaks = report["breaks"].as_array().expect("a list");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    breaks
        .iter()
        .map(|found| {
            assert_eq!(found["count"], 1, "{report}");
            [&found["kind"], &found["service"], &found["span"], &found["examples"][0]["detail"]].map(text)
        })
        .collect()
}

/// Both processes take the trace id from a request that the client sends twice.
#[test]
fn a_trace_that_is_begun_in_two_processes_has_two_roots() {
    let of_process = |file, service| {
        let capture = Capture::new();
        let server = span("GET /orders").kind(SpanKind::Server).trace_id(TraceId::from(0x0af7_6519));
        capture.run(|| server.run(|| in_span("load", || ())));
        export(file, service, &capture)
    };
    let files = [of_process("root-1.pb", "orders"), of_process("root-2.pb", "archive")];
    assert_eq!(found(&files[..1]), [[""; 4]; 0]);
    let detail = "`GET /orders` is a root of the same trace";
    assert_eq!(found(&files), [["second-root", "archive", "GET /orders", detail]]);
}

/// The ids of a process that was copied: both go on with the same.
#[derive(Debug)]
struct Repeated;

impl IdGenerator for Repeated {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(7)
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(7)
    }
}

#[test]
fn ids_that_two_processes_share_are_a_cycle() {
    let of_process = |file, service, name| {
        let capture = Capture::with_provider(|builder| builder.with_id_generator(Repeated));
        capture.run(|| in_span(name, || ()));
        export(file, service, &capture)
    };
    let files = [of_process("id-1.pb", "orders", "place"), of_process("id-2.pb", "worker", "print")];
    let found = found(&files);
    let cycles: Vec<_> = found.iter().filter(|found| found[0] == "cycle").collect();
    assert_eq!(cycles, [&["cycle", "worker", "print", "it has the same ID as `place`"]], "{found:?}");
}

#[test]
fn a_span_below_itself_is_a_cycle() {
    let capture = Capture::with_provider(|builder| builder.with_id_generator(Repeated));
    capture.run(|| in_span("outer", || in_span("inner", || ())));
    let found = found(&[export("own.pb", "orders", &capture)]);
    assert!(found.iter().any(|found| found[0] == "cycle"), "{found:?}");
}

/// The callee states a start by its own clock, which is a second behind.
#[test]
fn clocks_that_differ_are_found() {
    let now = SystemTime::now();
    let (orders, stock) = (Capture::new(), Capture::new());
    let context = {
        let tracer = orders.tracer("orders");
        let client = tracer.span_builder("GET /stock").with_kind(SpanKind::Client).with_start_time(now);
        let context = orders.context().with_span(client.start_with_context(&tracer, &orders.context()));
        context.span().end_with_timestamp(now + Duration::from_millis(50));
        context
    };
    let identity = context.span().span_context().clone();
    let remote = stock.context().with_remote_span_context(opentelemetry::trace::SpanContext::new(
        identity.trace_id(),
        identity.span_id(),
        identity.trace_flags(),
        true,
        identity.trace_state().clone(),
    ));
    let tracer = stock.tracer("stock");
    let server = tracer.span_builder("GET /stock").with_kind(SpanKind::Server);
    let start = now - Duration::from_secs(1);
    let server = remote.with_span(server.with_start_time(start).start_with_context(&tracer, &remote));
    server.span().end_with_timestamp(start + Duration::from_millis(20));
    let files = [export("clock-1.pb", "orders", &orders), export("clock-2.pb", "stock", &stock)];
    let detail = "it began 1.0 s before its parent `GET /stock`";
    assert_eq!(found(&files), [["clock-skew", "stock", "GET /stock", detail]]);
}
