//! Trust boundaries of a server.

use throughline::RequestId;
use throughline::testing::Capture;
use throughline_http::{RequestTag, ServerLayer};

use super::{NOT_SAMPLED, PARENT, SAMPLED, TRACE, assert_text, get, send};
use opentelemetry::baggage::BaggageExt as _;

fn router(layer: ServerLayer) -> axum::Router {
    let baggage = || async { throughline::Carrier::capture().baggage.unwrap_or_default() };
    axum::Router::new().route("/", axum::routing::get(baggage)).layer(layer)
}

#[tokio::test]
async fn an_internal_service_continues() {
    let capture = Capture::new();
    let headers = [("traceparent", SAMPLED), ("tracestate", "a=1"), ("baggage", "tenant=acme")];
    let response = send(&capture, router(ServerLayer::new()), get("/", &headers)).await;
    let span = capture.span("GET /");
    assert_eq!(span.trace_id().to_string(), TRACE);
    assert_eq!(span.parent_id().map(|id| id.to_string()).as_deref(), Some(PARENT));
    assert_eq!(span.span_context.trace_state().header(), "a=1");
    assert!(span.links.is_empty());
    assert_eq!(response.body().as_ref(), b"tenant=acme");
}

#[tokio::test]
async fn a_public_service_starts_a_linked_trace() {
    for traceparent in [SAMPLED, NOT_SAMPLED] {
        let capture = Capture::new();
        let headers = [("traceparent", traceparent), ("tracestate", "a=1"), ("baggage", "tenant=acme")];
        let response = send(&capture, router(ServerLayer::new().public()), get("/", &headers)).await;
        // Recorded even if the caller is not sampled.
        let span = capture.span("GET /");
        assert_ne!(span.trace_id().to_string(), TRACE);
        assert_eq!(span.parent_id(), None);
        assert_eq!(span.span_context.trace_state().header(), "");
        let [link] = span.links.links.as_slice() else { panic!("not one link: {:?}", span.links) };
        assert_eq!(link.span_context.trace_id().to_string(), TRACE);
        assert_eq!(link.span_context.span_id().to_string(), PARENT);
        assert_eq!(response.body().as_ref(), b"", "baggage is ignored");
        assert_eq!(response.headers()["x-request-id"], span.trace_id().to_string().as_str());
    }
}

#[tokio::test]
async fn a_public_service_without_a_caller_has_no_link() {
    let capture = Capture::new();
    send(&capture, router(ServerLayer::new().public()), get("/", &[("traceparent", "nonsense")])).await;
    assert!(capture.span("GET /").links.is_empty());
}

#[tokio::test]
async fn public_callers_do_not_choose_trace_ids() {
    for (layer, answered) in
        [(ServerLayer::new().public(), true), (ServerLayer::new().public().fresh_request_id(), false)]
    {
        let capture = Capture::new();
        let response = send(&capture, router(layer), get("/", &[("x-request-id", TRACE)])).await;
        let span = capture.span("GET /");
        let trace = span.trace_id().to_string();
        assert_ne!(trace, TRACE);
        assert_text(&span, "http.request.header.x-request-id", Some(&format!("[\"{TRACE}\"]")));
        let expected = if answered { TRACE } else { &trace };
        assert_eq!(response.headers()["x-request-id"], expected);
    }
}

#[tokio::test]
async fn fresh_ids_are_for_first_entries() {
    let capture = Capture::new();
    let layer = || ServerLayer::new().fresh_request_id();
    let headers = [("x-request-id", "order-7"), ("traceparent", SAMPLED)];
    let response = send(&capture, router(layer()), get("/", &headers)).await;
    assert_eq!(response.headers()["x-request-id"], "order-7", "the caller is inside of the trace");
    let response = send(&capture, router(layer()), get("/", &headers[..1])).await;
    assert_ne!(response.headers()["x-request-id"], "order-7");
}

#[tokio::test]
async fn tag_headers_are_read_from_internal_callers_only() {
    for (layer, expected) in [(ServerLayer::new(), Some("acme")), (ServerLayer::new().public(), None)] {
        let capture = Capture::new();
        let headers = [("x-tenant-id", "acme")];
        send(&capture, router(layer.tag_header("tenant_id", "x-tenant-id")), get("/", &headers)).await;
        assert_text(&capture.span("GET /"), "tenant_id", expected);
    }
    // A header that is configured as the source of a tag is read from any caller.
    let capture = Capture::new();
    let layer = ServerLayer::new().public().tag(RequestTag::new("tenant_id").header("x-tenant-id"));
    send(&capture, router(layer), get("/", &[("x-tenant-id", "acme")])).await;
    assert_text(&capture.span("GET /"), "tenant_id", Some("acme"));
}

#[tokio::test]
async fn requests_do_not_affect_each_other() {
    let capture = Capture::new();
    let router = router(ServerLayer::new().tag_header("tenant_id", "x-tenant-id"));
    let headers = [("traceparent", SAMPLED), ("baggage", "a=1"), ("x-tenant-id", "acme"), ("x-request-id", "order-7")];
    send(&capture, router.clone(), get("/", &headers)).await;
    let first = capture.take().remove(0);
    let response = send(&capture, router, get("/", &[])).await;
    let second = capture.take().remove(0);
    assert_ne!(second.trace_id(), first.trace_id());
    assert_text(&second, "tenant_id", None);
    assert_eq!(response.body().as_ref(), b"");
    assert_eq!(response.headers()["x-request-id"], second.trace_id().to_string().as_str());
    assert_eq!(RequestId::current(), None);
    assert!(throughline::Context::current().baggage().is_empty());
}
