//! What `throughline::init` exports, as printed by an independent collector.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry::{Array, Context, KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use throughline::{Carrier, biz_tags, jobs, traced, traced_spawn};
use throughline_live::server;

/// Keeps the exported spans.
#[derive(Debug, Clone, Default)]
struct Sent(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Sent {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().expect("no panic").push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[traced(kind = server, link = earlier)]
#[biz_tags(tenant_id, order_no, express, sum, items = ["keyboard", "monitor"], sizes = [1u8, 2])]
async fn order(tenant_id: &str, order_no: u64, express: bool, sum: f64, earlier: Carrier) -> Result<(), String> {
    let _ = pay();
    receipt("a line\nand another, with \"quotes\" and é");
    Err("out of stock".into())
}

#[traced("POST /charges", kind = client)]
fn pay() -> Result<(), &'static str> {
    Err("declined")
}

#[traced_spawn(kind = producer, tags(text))]
async fn receipt(text: &'static str) {}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_what_arrives() {
    let (Some(grpc), Some(http), Some(log)) = (server("rotel-grpc"), server("rotel-http"), server("rotel-log")) else {
        return;
    };
    for (protocol, address) in [("grpc", grpc), ("http/protobuf", http)] {
        for compression in ["none", "gzip"] {
            let sent = Sent::default();
            let service = format!("orders {protocol} {compression} {}", std::process::id());
            let (endpoint, name) = (format!("http://{address}"), service.clone());
            let telemetry = throughline::telemetry::builder()
                .variables(move |variable| {
                    Some(match variable {
                        "OTEL_EXPORTER_OTLP_ENDPOINT" => endpoint.clone(),
                        "OTEL_EXPORTER_OTLP_PROTOCOL" => protocol.to_owned(),
                        "OTEL_EXPORTER_OTLP_COMPRESSION" => compression.to_owned(),
                        "OTEL_SERVICE_NAME" => name.clone(),
                        "OTEL_RESOURCE_ATTRIBUTES" => "deployment.environment.name=test,team=a%20b".to_owned(),
                        _ => return None,
                    })
                })
                .processor(sent.clone())
                .init()
                .expect("the variables are valid");
            let earlier = throughline::in_span("earlier", Carrier::capture);
            let result = order("acme", 1001, true, 12.5, earlier).await;
            assert!(result.is_err());
            jobs::wait(Duration::from_secs(10)).await.expect("the receipt ends");
            let report = telemetry.shutdown(Duration::from_secs(20)).await;
            assert!(report.is_complete(), "{report:?}");

            let sent = sent.0.lock().expect("no panic").clone();
            assert_eq!(sent.len(), 4);
            let arrived = read_back(&log, &sent);
            for span in &sent {
                let block = printed(span);
                let after = arrived.split_once(&block).map(|(_, after)| after);
                let is_whole = after.is_some_and(|after| {
                    after.is_empty()
                        || ["Span #", "ScopeSpans #", "ResourceSpans #"].iter().any(|next| after.starts_with(next))
                });
                assert!(is_whole, "{protocol}, {compression}: expected\n{block}\nin\n{arrived}");
            }
            // The resource is printed before its spans.
            let before = arrived.split_once(&printed(&sent[0])).map_or("", |(before, _)| before);
            let resource = before.rsplit("ResourceSpans #").next().unwrap_or_default();
            for line in [
                format!("service.name: Str({service})"),
                "deployment.environment.name: Str(test)".to_owned(),
                "team: Str(a b)".to_owned(),
                format!("process.pid: Int({})", std::process::id()),
                "telemetry.sdk.language: Str(rust)".to_owned(),
            ] {
                assert!(resource.contains(&format!("     -> {line}\n")), "{line} is not in\n{resource}");
            }
            for key in ["service.instance.id: ", "host.name: ", "telemetry.sdk.version: "] {
                assert!(resource.contains(&format!("     -> {key}")), "{key} is not in\n{resource}");
            }
        }
    }
}

/// The span as the collector prints it.
fn printed(span: &SpanData) -> String {
    let parent = match span.parent_span_id {
        SpanId::INVALID => String::new(),
        id => id.to_string(),
    };
    let (code, message) = match &span.status {
        Status::Unset => ("UNSET", ""),
        Status::Ok => ("OK", ""),
        Status::Error { description } => ("ERROR", description.as_ref()),
    };
    let kind = match span.span_kind {
        SpanKind::Internal => "INTERNAL",
        SpanKind::Server => "SERVER",
        SpanKind::Client => "CLIENT",
        SpanKind::Producer => "PRODUCER",
        SpanKind::Consumer => "CONSUMER",
    };
    // Writing to a `String` does not fail.
    let mut text = format!(
        "    Trace ID       : {}\n    Parent ID      : {parent}\n    ID             : {}\n    Name           : {}\n    Kind           : SPAN_KIND_{kind}\n\
         Start time: {}\nEnd time: {}\n    Status code    : STATUS_CODE_{code}\n    Status message : {message}\nAttributes:\n",
        span.span_context.trace_id(),
        span.span_context.span_id(),
        span.name,
        nanoseconds(span.start_time),
        nanoseconds(span.end_time),
    );
    for attribute in &span.attributes {
        let _ = writeln!(text, "     -> {}", line(attribute));
    }
    for (at, event) in span.events.iter().enumerate() {
        if at == 0 {
            text += "Events:\n";
        }
        let time = nanoseconds(event.timestamp);
        let _ = write!(
            text,
            "SpanEvent #{at}\n     -> Name: {}\n     -> Timestamp: {time}\n     -> DroppedAttributesCount: 0\n     -> Attributes::\n",
            event.name
        );
        for attribute in &event.attributes {
            let _ = writeln!(text, "          -> {}", line(attribute));
        }
    }
    for (at, link) in span.links.iter().enumerate() {
        if at == 0 {
            text += "Links:\n";
        }
        let (trace, id) = (link.span_context.trace_id(), link.span_context.span_id());
        let _ = write!(
            text,
            "SpanLink #{at}\n     -> Trace ID: {trace}\n     -> ID: {id}\n     -> TraceState: \n     -> DroppedAttributesCount: 0\n"
        );
    }
    text
}

fn nanoseconds(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH).expect("after 1970").as_nanos()
}

fn line(attribute: &KeyValue) -> String {
    let list = |items: Vec<String>| format!("Slice({})", items.join(", "));
    let value = match &attribute.value {
        Value::Bool(value) => format!("Bool({value})"),
        Value::I64(value) => format!("Int({value})"),
        Value::F64(value) => format!("Double({value})"),
        Value::String(value) => format!("Str({value})"),
        Value::Array(Array::String(items)) => list(items.iter().map(|item| format!("Str({item})")).collect()),
        Value::Array(Array::I64(items)) => list(items.iter().map(|item| format!("Int({item})")).collect()),
        other => panic!("the test has no such value: {other:?}"),
    };
    format!("{}: {value}", attribute.key)
}

/// What the collector has printed, once it knows all these spans.
fn read_back(log: &str, sent: &[SpanData]) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = std::fs::read_to_string(log).expect("the collector prints");
        let last = text.rfind("Span #").map_or("", |at| &text[at..]);
        let all = sent.iter().all(|span| text.contains(&format!(": {}\n", span.span_context.span_id())));
        // The last one may be incomplete.
        if all && sent.iter().any(|span| last.ends_with(&printed(span))) || Instant::now() > deadline {
            return text;
        }
        std::thread::yield_now();
    }
}
