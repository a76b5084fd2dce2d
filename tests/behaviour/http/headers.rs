//! Header maps and requests as carriers and origins.

use http::{HeaderMap, HeaderValue, Request};
use opentelemetry::propagation::Extractor as _;
use opentelemetry::trace::TraceContextExt as _;
use throughline::testing::Capture;
use throughline::{Origin, propagation, traced};
use throughline_http::{Headers, HeadersMut};

use super::{PARENT, SAMPLED, TRACE};

fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
    headers.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
}

#[test]
fn a_header_map_is_a_parent() {
    #[traced(parent = headers)]
    fn receive(headers: &HeaderMap) {
        let _ = headers;
    }
    let capture = Capture::new();
    capture.run(|| receive(&map(&[("traceparent", SAMPLED)])));
    let span = capture.span("receive");
    assert_eq!(span.trace_id().to_string(), TRACE);
    assert_eq!(span.parent_id().map(|id| id.to_string()).as_deref(), Some(PARENT));
}

#[test]
fn a_request_and_its_head_are_origins() {
    let request = Request::get("/").header("traceparent", SAMPLED).body("any body").expect("a request");
    assert_eq!(request.origin().span().span_context().trace_id().to_string(), TRACE);
    let (parts, _) = request.into_parts();
    assert_eq!(parts.origin().span().span_context().span_id().to_string(), PARENT);
}

#[test]
fn injection_replaces() {
    let capture = Capture::new();
    let mut headers = map(&[("traceparent", SAMPLED), ("tracestate", "old=1"), ("accept", "*/*")]);
    headers.append("traceparent", SAMPLED.parse().expect("a value"));
    let identity = capture.run(|| {
        throughline::in_span("send", || {
            propagation::inject(&mut HeadersMut(&mut headers));
            throughline::Carrier::capture().traceparent.expect("an identity")
        })
    });
    let all: Vec<_> = headers.get_all("traceparent").iter().collect();
    assert_eq!(all, [&identity]);
    assert!(!headers.contains_key("tracestate"), "it belongs to the other trace");
    assert_eq!(headers["accept"], "*/*");
}

/// For propagators other than Throughline's.
#[test]
fn a_header_map_is_an_extractor() {
    let headers = map(&[("traceparent", SAMPLED), ("b3", "0")]);
    let carrier = Headers(&headers);
    assert_eq!(carrier.get("TraceParent"), Some(SAMPLED));
    assert_eq!((carrier.get("tracestate"), carrier.get_all("tracestate")), (None, None));
    let mut keys = carrier.keys();
    keys.sort_unstable();
    assert_eq!(keys, ["b3", "traceparent"]);
}

#[test]
fn all_values_of_a_repeated_header_are_extracted() {
    let mut headers = map(&[("traceparent", SAMPLED), ("tracestate", "a=1")]);
    headers.append("tracestate", "b=2".parse().expect("a value"));
    assert_eq!(Headers(&headers).get_all("tracestate"), Some(vec!["a=1", "b=2"]));
    let context = headers.origin();
    assert_eq!(context.span().span_context().trace_state().header(), "a=1,b=2");
    headers.append("traceparent", SAMPLED.parse().expect("a value"));
    assert!(!headers.origin().span().span_context().is_valid());
}

#[test]
fn a_header_that_is_not_text_is_invalid_rather_than_absent() {
    let mut headers = map(&[("traceparent", SAMPLED), ("tracestate", "a=1")]);
    headers.append("tracestate", HeaderValue::from_bytes(b"b=\xff").expect("a value"));
    assert_eq!(Headers(&headers).get_all("tracestate").map(|all| all.len()), Some(2));
    let context = headers.origin();
    assert_eq!(context.span().span_context().trace_id().to_string(), TRACE);
    assert_eq!(context.span().span_context().trace_state().header(), "", "the whole state is discarded");

    headers.append("traceparent", HeaderValue::from_bytes(b"\xff").expect("a value"));
    assert!(!headers.origin().span().span_context().is_valid(), "there are two");
}
