//! The effects of the order of layers.

use std::convert::Infallible;

use axum::Router;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline::traced;
use throughline_http::{ClientLayer, RequestTag, ServerLayer};
use tower::buffer::BufferLayer;
use tower::{Layer as _, ServiceBuilder, ServiceExt as _, service_fn};

use super::{assert_no_doubles, assert_text, get, router, send};

#[traced]
async fn authenticate(request: axum::extract::Request, next: axum::middleware::Next) -> axum::response::Response {
    next.run(request).await
}

#[tokio::test]
async fn two_layers_make_one_span() {
    #[traced]
    async fn handle() -> &'static str {
        "ok"
    }
    let capture = Capture::new();
    let inner = ServerLayer::new().tag(RequestTag::new("order_no").path("order_no"));
    let router = Router::new().route("/orders/{order_no}", axum::routing::get(handle)).layer(inner);
    // Around the whole router, the route is not known yet.
    let service = ServerLayer::new().tag(RequestTag::new("tenant_id").header("x-tenant-id")).layer(router);
    let request = get("/orders/7", &[("x-tenant-id", "acme")]);
    let response = capture.run_async(service.oneshot(request)).await.expect("an answer");
    assert_eq!(response.headers().get_all("x-request-id").iter().count(), 1);
    response.into_body().collect().await.expect("a body");
    capture.assert_tree_with(
        &["tenant_id", "order_no"],
        "
        GET /orders/{order_no} [server] tenant_id=acme order_no=7
        └── handle tenant_id=acme order_no=7
        ",
    );
    assert_text(&capture.span("GET /orders/{order_no}"), "http.route", Some("/orders/{order_no}"));
}

/// The order of layers decides whether a span of middleware is in the trace of the request.
#[tokio::test]
async fn traced_middleware_belongs_inside_of_the_layer() {
    let layers = ServiceBuilder::new().layer(ServerLayer::new()).layer(axum::middleware::from_fn(authenticate));
    let orders = Router::new().route("/orders/{order_no}", axum::routing::get(|| async { "ok" }));
    let capture = Capture::new();
    send(&capture, orders.layer(layers), get("/orders/7", &[])).await;
    capture.assert_tree("GET /orders/{order_no} [server]\n└── authenticate");

    let outside = router(ServerLayer::new()).layer(axum::middleware::from_fn(authenticate));
    let capture = Capture::new();
    send(&capture, outside, get("/orders/7", &[])).await;
    let (request, around) = (capture.span("GET /orders/{order_no}"), capture.span("authenticate"));
    assert_ne!(request.trace_id(), around.trace_id());
    assert_eq!(request.links.links.len(), 1);
    assert_eq!(request.links.links[0].span_context.span_id(), around.span_context.span_id());
}

/// A layer between two of ours starts its own span.
#[tokio::test]
async fn the_inner_of_two_layers_knows_the_span_of_the_request() {
    let capture = Capture::new();
    let inner = ServerLayer::new().tag(RequestTag::new("order_no").path("order_no"));
    let router = router(inner).layer(axum::middleware::from_fn(authenticate));
    let service = ServerLayer::new().layer(router);
    let response = capture.run_async(service.oneshot(get("/orders/7", &[]))).await.expect("an answer");
    response.into_body().collect().await.expect("a body");
    capture.assert_tree_with(
        &["order_no", "http.route"],
        "
        GET /orders/{order_no} [server] order_no=7 http.route=/orders/{order_no}
        └── authenticate order_no=7
        ",
    );
}

/// A tag header is read by either of two layers that is configured for it, unless the outer one is public or has set
/// the tag.
#[tokio::test]
async fn the_inner_of_two_layers_reads_tag_headers_too() {
    let internal = ServerLayer::new;
    for (outer, sampled, expected) in [
        (internal(), true, Some("claimed")),
        (internal(), false, Some("claimed")),
        (internal().public(), true, None),
        (internal().tag(RequestTag::new("tenant_id").constant("acme")), true, Some("acme")),
    ] {
        let seen = || async {
            let tags = throughline::ContextExt::tags(&throughline::current_context());
            tags.iter().map(|tag| tag.value.to_string()).collect::<String>()
        };
        let inner = internal().tag_header("tenant_id", "x-tenant-id");
        let router = Router::new().route("/", axum::routing::get(seen)).layer(inner);
        let capture = if sampled { Capture::new() } else { Capture::with_sampler(Sampler::AlwaysOff) };
        let response = capture.run_async(outer.layer(router).oneshot(get("/", &[("x-tenant-id", "claimed")]))).await;
        let body = response.expect("an answer").into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body.as_ref(), expected.unwrap_or_default().as_bytes());
        if sampled {
            assert_text(&capture.span("GET /"), "tenant_id", expected);
        }
    }
}

#[tokio::test]
async fn a_route_known_to_the_outer_layer_is_kept() {
    let capture = Capture::new();
    let router = router(ServerLayer::new());
    let service = ServerLayer::new().route(|_| Some("/outside".into())).layer(router);
    let response = capture.run_async(service.oneshot(get("/orders/7", &[]))).await.expect("an answer");
    response.into_body().collect().await.expect("a body");
    let span = capture.span("GET /outside");
    assert_text(&span, "http.route", Some("/outside"));
    assert_no_doubles(&span);
}

/// A buffer calls its inner service in a task of its own, where the context of the caller is not current.
#[tokio::test]
async fn a_client_layer_belongs_outside_of_a_buffer() {
    async fn far(request: Request<()>) -> Result<Response<Option<http::HeaderValue>>, Infallible> {
        Ok(Response::new(request.headers().get("traceparent").cloned()))
    }
    let capture = Capture::new();
    let outside = ServiceBuilder::new().layer(ClientLayer::new()).layer(BufferLayer::new(1)).service(service_fn(far));
    let call = throughline::in_span_async("call", outside.oneshot(Request::default()));
    let sent = capture.run_async(call).await.expect("an answer").into_body().expect("a traceparent");
    capture.assert_tree("call\n└── GET [client]");
    let sent = sent.to_str().expect("text");
    assert!(sent.contains(&capture.span("GET").span_id().to_string()), "{sent}");

    // Inside, the request is not part of the trace.
    let capture = Capture::new();
    let inside = ServiceBuilder::new().layer(BufferLayer::new(1)).layer(ClientLayer::new()).service(service_fn(far));
    let call = throughline::in_span_async("call", inside.oneshot(Request::default()));
    let sent = capture.run_async(call).await.expect("an answer").into_body();
    capture.assert_tree("call");
    let trace = capture.span("call").trace_id().to_string();
    assert!(sent.is_none_or(|sent| !sent.to_str().expect("text").contains(&trace)));
}
