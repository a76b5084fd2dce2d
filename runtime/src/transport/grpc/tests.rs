//! What the layers can be told not to do.

use std::convert::Infallible;

use http::{Request, Response};
use opentelemetry::Context;
use tonic::body::Body;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{ClientLayer, ServerLayer};
use crate::Carrier;
use crate::propagation::SendBaggage;
use crate::testing::Capture;

fn call(path: &str) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/grpc");
    request.body(Body::empty()).expect("a request")
}

fn answer() -> Response<Body> {
    Response::builder().header("grpc-status", "0").body(Body::empty()).expect("a response")
}

/// The baggage that a call is sent with.
async fn sent(layer: ClientLayer, request: Request<Body>) -> String {
    let echo = service_fn(|request: Request<Body>| async move {
        let baggage = request.headers().get("baggage").map_or("", |value| value.to_str().expect("text")).to_owned();
        let mut response = answer();
        response.headers_mut().insert("x-sent", baggage.parse().expect("a value"));
        Ok::<_, Infallible>(response)
    });
    let caller = Carrier { baggage: Some("order_no=7,tenant_id=acme".to_owned()), ..Carrier::default() };
    let span = crate::span("order").parent(&caller);
    let response = Capture::new().run_async(span.run_async(layer.layer(echo).oneshot(request))).await;
    response.expect("an answer").headers()["x-sent"].to_str().expect("text").to_owned()
}

#[tokio::test]
async fn baggage_can_be_kept_from_one_channel_or_call() {
    let path = "http://orders/shop.Orders/Get";
    assert_eq!(sent(ClientLayer::new(), call(path)).await, "order_no=7,tenant_id=acme");
    assert_eq!(sent(ClientLayer::new().baggage(["order_no"]), call(path)).await, "order_no=7");
    assert_eq!(sent(ClientLayer::new().no_baggage(), call(path)).await, "");
    let mut request = call(path);
    request.extensions_mut().insert(SendBaggage::only(["tenant_id"]));
    assert_eq!(sent(ClientLayer::new(), request.map(|_| Body::empty())).await, "tenant_id=acme");
    let mut request = call(path);
    request.extensions_mut().insert(SendBaggage::only(["tenant_id"]));
    assert_eq!(sent(ClientLayer::new().baggage(["order_no"]), request).await, "");
}

#[tokio::test]
async fn health_checks_leave_no_trace() {
    let busy = || {
        service_fn(|request: Request<Body>| async move {
            crate::in_span("below", || {});
            crate::span("again").parent(request.headers()).run(|| {});
            Ok::<_, Infallible>(answer())
        })
    };
    let layer = ServerLayer::new().untraced(["grpc.health.v1.Health/*", "shop.Orders/Ping"]);
    for (path, traced) in [
        ("/grpc.health.v1.Health/Check", false),
        ("/shop.Orders/Ping", false),
        ("/shop.Orders/PingPong", true),
        ("/grpc.health.v1.Healthy/Check", true),
    ] {
        let capture = Capture::new();
        let response = capture.run_async(layer.layer(busy()).oneshot(call(path))).await.expect("an answer");
        drop(response);
        assert_eq!(!capture.tree().is_empty(), traced, "{path}: {}", capture.tree());
    }
    assert!(!Context::current().is_telemetry_suppressed());
}
