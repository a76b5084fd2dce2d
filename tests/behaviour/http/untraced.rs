//! Untraced requests, below which nothing is recorded.

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use throughline::RequestId;
use throughline::testing::Capture;
use throughline::{traced, traced_spawn};
use throughline_http::{ClientLayer, ServerLayer};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{SAMPLED, get, send};

#[traced(parent = headers)]
fn continued(headers: &http::HeaderMap) {
    let _ = headers;
}

#[traced(root)]
fn root() {}

#[traced_spawn]
async fn job() {}

#[traced_spawn(root)]
async fn root_job() {}

/// Runs everything that can start a trace, and returns the headers that a downstream service would receive.
async fn busy(request: Request<Body>) -> String {
    throughline::in_span("below", || {});
    root();
    continued(request.headers());
    let jobs = [job(), root_job(), throughline::spawn(async { throughline::in_span("in a job", || {}) })];
    for job in jobs {
        job.await.expect("a job");
    }
    let echo = service_fn(|request: Request<()>| async move {
        let mut names: Vec<_> = request.headers().keys().map(ToString::to_string).collect();
        names.sort_unstable();
        Ok::<_, std::convert::Infallible>(http::Response::new(names.join(" ")))
    });
    let sent = ClientLayer::new().layer(echo).oneshot(Request::new(())).await.expect("an answer").into_body();
    format!("{sent}{}", RequestId::current().map(|id| id.to_string()).unwrap_or_default())
}

fn router(layer: ServerLayer) -> Router {
    Router::new()
        .route("/healthz", axum::routing::get(busy))
        .route("/healthz/deep", axum::routing::get(busy))
        .route("/internal/{*rest}", axum::routing::get(busy))
        .route("/failing", axum::routing::get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
        .layer(layer)
}

#[tokio::test]
async fn untraced_requests_are_not_recorded() {
    let probe = |parts: &http::request::Parts| parts.headers.contains_key("x-probe");
    for (layer, uri, headers) in [
        (ServerLayer::new().untraced(["/metrics", "/healthz"]), "/healthz", &[][..]),
        (ServerLayer::new().untraced(["/healthz"]), "/healthz?full=1", &[("traceparent", SAMPLED)]),
        (ServerLayer::new().public().untraced(["/healthz"]), "/healthz", &[("traceparent", SAMPLED)]),
        (ServerLayer::new().untraced(["/internal/*"]), "/internal/a/b", &[]),
        (ServerLayer::new().untraced_if(probe), "/healthz", &[("x-probe", "1"), ("baggage", "a=1")]),
        (ServerLayer::new().untraced(["/failing"]), "/failing", &[]),
    ] {
        let capture = Capture::new();
        let response = send(&capture, router(layer), get(uri, headers)).await;
        assert_eq!(capture.tree(), "", "{uri}");
        assert_eq!(capture.open(), 0);
        assert!(!response.headers().contains_key("x-request-id"), "{uri}");
        assert_eq!(response.body().as_ref(), b"", "nothing is sent: {uri}");
    }
}

#[tokio::test]
async fn other_requests_are_traced() {
    let probe = |parts: &http::request::Parts| parts.headers.contains_key("x-probe");
    let layer = ServerLayer::new().untraced(["/healthz", "/internal/*", "/hea*"]).untraced_if(probe);
    for uri in ["/healthz/deep", "/healthz/", "/internal", "/HEALTHZ"] {
        let capture = Capture::new();
        send(&capture, router(layer.clone()), get(uri, &[])).await;
        assert!(capture.tree().starts_with("GET"), "{uri}");
    }
}

/// The body is part of the request, too.
#[tokio::test]
async fn untraced_bodies_are_not_recorded() {
    let capture = Capture::new();
    let stream = || async {
        let chunks =
            futures::stream::iter([1, 2]).map(|n| throughline::in_span("chunk", || Ok::<_, String>(format!("{n}"))));
        Body::from_stream(chunks)
    };
    let router =
        Router::new().route("/metrics", axum::routing::get(stream)).layer(ServerLayer::new().untraced(["/metrics"]));
    let response = send(&capture, router, get("/metrics", &[])).await;
    assert_eq!(response.body().as_ref(), b"12");
    assert_eq!(capture.tree(), "");
}

/// Of two layers the outer one decides.
#[tokio::test]
async fn an_inner_layer_does_not_trace_them() {
    let inner = || ServerLayer::new().public();
    let capture = Capture::new();
    let outer = ServerLayer::new().untraced(["/healthz"]);
    send(&capture, router(inner()).layer(outer), get("/healthz", &[("traceparent", SAMPLED)])).await;
    assert_eq!(capture.tree(), "");

    let capture = Capture::new();
    let inner = ServerLayer::new().untraced(["/failing"]);
    send(&capture, router(inner).layer(ServerLayer::new()), get("/failing", &[])).await;
    assert!(capture.tree().starts_with("GET"));
}

use futures::StreamExt as _;
