//! The layers' options, and the origins.

mod failures;

use std::convert::Infallible;
use std::sync::mpsc;

use http::{Request, Response};
use throughline::propagation::{self, SendBaggage};
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Carrier, Context, Snapshot, SpanKind, in_span, traced};
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::metadata::Headers;
use crate::{ClientLayer, ServerLayer, inject, inject_context};

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
    let span = throughline::span("order").parent(&caller);
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

/// A gateway forwards the request that it has received, with its metadata and extensions.
#[tokio::test]
async fn a_forwarded_request_is_another_call_with_one_context() {
    let (sender, received) = mpsc::channel();
    let behind = ServerLayer::new().layer(service_fn(move |request: Request<Body>| {
        sender.send(request.headers().clone()).expect("the test listens");
        async { Ok::<_, Infallible>(answer()) }
    }));
    let gateway = ServerLayer::new().public().layer(ClientLayer::new().layer(behind));
    let mut request = call("http://orders/shop.Orders/Get");
    for (name, value) in OLD {
        request.headers_mut().append(name, value.parse().expect("a value"));
    }
    request.headers_mut().insert("accept", "*/*".parse().expect("a value"));
    let capture = Capture::new();
    drop(capture.run_async(gateway.oneshot(request)).await.expect("an answer"));

    let spans = capture.spans();
    let [server, client, behind] = ["server", "client", "behind"].map(|which| {
        let of_kind = |span: &&FinishedSpan| match which {
            "server" => span.parent_id().is_none(),
            "client" => span.span_kind == SpanKind::Client,
            _ => span.parent_id().is_some() && span.span_kind == SpanKind::Server,
        };
        let found: Vec<_> = spans.iter().filter(of_kind).collect();
        assert_eq!(found.len(), 1, "{which}: {}", capture.tree());
        found[0]
    });
    assert!(client.is_child_of(server) && behind.is_child_of(client));
    let headers = received.recv().expect("the call has arrived");
    let expected = format!("00-{}-{}-01", client.trace_id(), client.span_id());
    assert_eq!(headers.get_all("traceparent").iter().collect::<Vec<_>>(), [&expected]);
    assert!(!headers.contains_key("tracestate") && !headers.contains_key("baggage"), "{headers:?}");
    assert_eq!(headers["accept"], "*/*");
}

/// The metadata of another context.
const OLD: [(&str, &str); 4] = [
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
    ("tracestate", "evil=1"),
    ("baggage", "tenant_id=evil"),
];

#[test]
fn injection_leaves_nothing_of_another_context() {
    let old = || {
        let mut metadata = MetadataMap::new();
        for (name, value) in OLD {
            metadata.append(name, value.parse().expect("a value"));
        }
        metadata.insert("accept", "*/*".parse().expect("a value"));
        metadata
    };
    let mut metadata = old();
    inject_context(&Context::new(), &mut metadata);
    assert_eq!(metadata.len(), 5, "without a context, nothing is removed");
    Capture::new().run(|| in_span("send", || inject(&mut metadata)));
    assert_eq!(metadata.get_all("traceparent").iter().count(), 1);
    assert_eq!(metadata.len(), 2, "{metadata:?}");
}

/// The restriction also applies to baggage that the request already has.
#[tokio::test]
async fn baggage_of_a_forwarded_request_is_kept_back_without_a_span() {
    for (layer, is_sent) in [(ClientLayer::new(), true), (ClientLayer::new().no_baggage(), false)] {
        let echo = service_fn(move |request: Request<Body>| async move {
            assert_eq!(request.headers().contains_key("baggage"), is_sent);
            Ok::<_, Infallible>(answer())
        });
        let mut request = call("http://orders/shop.Orders/Get");
        request.headers_mut().insert("baggage", "secret=hunter2".parse().expect("a value"));
        let suppressed = Context::new().with_telemetry_suppressed();
        let answered = Snapshot::from_context(&suppressed).run_async(layer.layer(echo).oneshot(request)).await;
        assert!(answered.is_ok());
    }
}

#[tokio::test]
async fn health_checks_leave_no_trace() {
    let busy = || {
        service_fn(|request: Request<Body>| async move {
            in_span("below", || {});
            throughline::span("again").parent(&propagation::extract(&Headers(request.headers()))).run(|| {});
            Ok::<_, Infallible>(answer())
        })
    };
    let layer = ServerLayer::new().untraced(["grpc.health.v1.Health/*"]).untraced(["shop.Orders/Ping"]);
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

#[traced(kind = server, parent = request)]
fn receive<T>(request: &tonic::Request<T>) {}

#[traced(links = batch)]
fn receive_all(batch: &[MetadataMap]) {}

#[test]
fn requests_and_metadata_are_origins_of_the_attributes() {
    let capture = Capture::new();
    let mut request = tonic::Request::new(());
    let sender = capture.run(|| {
        in_span("send", || {
            inject(request.metadata_mut());
            throughline::current_context()
        })
    });
    let mut metadata = MetadataMap::new();
    inject_context(&sender, &mut metadata);
    assert_eq!(metadata.get("traceparent"), request.metadata().get("traceparent"));
    capture.run(|| {
        receive(&request);
        receive_all(&[metadata, MetadataMap::new()]);
    });
    let (send, receive) = (capture.span("send"), capture.span("receive"));
    assert!(receive.is_child_of(&send));
    assert_eq!(receive.attribute("rpc.system.name").map(ToString::to_string).as_deref(), Some("grpc"));
    assert!(capture.span("receive_all").is_linked_to(&send));
}
