//! The layers, in this process alone: several of them, and responses that break the protocol.

use bytes::Bytes;
use futures::{StreamExt as _, future, stream};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Body as _, Frame};
use throughline::in_span;
use throughline::testing::{Capture, FinishedSpan};
use throughline_grpc::{ClientLayer, ServerLayer};
use throughline_live::SpanLine;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::Service;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tower::{Layer as _, ServiceBuilder, ServiceExt as _, service_fn};

use crate::{Orders, assert_cancelled, code, frame};

/// A call of `path` in this process, answered by `response`.
async fn call_here(capture: &Capture, layer: ServerLayer, path: &str, response: http::Response<Body>) {
    let response = std::sync::Mutex::new(Some(response));
    let service = layer.layer(service_fn(|_: http::Request<()>| {
        let response = response.lock().unwrap().take().unwrap();
        future::ready(Ok::<_, std::convert::Infallible>(response))
    }));
    let request = http::Request::post(path).header("content-type", "application/grpc").body(()).unwrap();
    let response = capture.run_async(service.oneshot(request)).await.unwrap();
    // Like `hyper`, which does not poll a body that reports its end.
    let mut body = response.into_body();
    while !body.is_end_stream() && body.frame().await.is_some() {}
}

/// Sends a call with a caller's span through `service`, and returns the spans that have ended.
async fn call_through<S, B>(service: S) -> Vec<FinishedSpan>
where
    S: Service<http::Request<Body>, Response = http::Response<B>>,
    S::Error: std::fmt::Debug,
    B: hyper::body::Body,
    B::Error: std::fmt::Debug,
{
    let capture = Capture::new();
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = http::Request::post("/shop.Orders/Get")
        .header("content-type", "application/grpc")
        .header("traceparent", caller)
        .body(Body::empty())
        .unwrap();
    let whole = async { service.oneshot(request).await.unwrap().into_body().collect().await.unwrap() };
    let answer = capture.run_async(whole).await;
    drop(answer);
    assert_eq!(capture.open(), 0);
    capture.spans()
}

fn handler()
-> impl Service<http::Request<Body>, Response = http::Response<Body>, Error = std::convert::Infallible, Future: Send>
+ Clone
+ Send {
    service_fn(|_: http::Request<Body>| async {
        in_span("load", || ());
        Ok(Status::not_found("order").into_http())
    })
}

#[tokio::test]
async fn below_an_http_layer_a_call_is_part_of_the_request() {
    use throughline_http::ServerLayer as HttpLayer;

    for (http, grpc, is_public) in [
        (HttpLayer::new(), ServerLayer::new(), false),
        // The outer layer has decided whether the caller is trusted.
        (HttpLayer::new().public(), ServerLayer::new(), true),
        (HttpLayer::new().public(), ServerLayer::new().public(), true),
    ] {
        let spans = call_through(ServiceBuilder::new().layer(http).layer(grpc).service(handler())).await;
        let names: Vec<_> = spans.iter().map(FinishedSpan::name).collect();
        assert_eq!(names, ["load", "shop.Orders/Get", "POST"]);
        let [load, call, request] = &spans[..] else { unreachable!() };
        assert!(load.is_child_of(call) && call.is_child_of(request));
        assert_eq!(request.parent_id().is_none(), is_public);
        assert!(call.links.is_empty(), "{call:?}");
    }
}

#[tokio::test]
async fn of_two_layers_the_outer_one_opens_the_span() {
    let service = ServiceBuilder::new().layer(ServerLayer::new().public()).layer(ServerLayer::new()).service(handler());
    let spans = call_through(service).await;
    let names: Vec<_> = spans.iter().map(FinishedSpan::name).collect();
    assert_eq!(names, ["load", "shop.Orders/Get"]);
    assert!(spans[0].is_child_of(&spans[1]) && spans[1].parent_id().is_none());
}

/// A proxy, or a server that does not speak gRPC: `tonic` reads only the first bytes.
#[tokio::test]
async fn an_answer_that_is_not_grpc_fails_the_client() {
    for (http, kind, expected) in [
        (502, "text/html", "UNAVAILABLE"),
        (404, "text/html", "UNIMPLEMENTED"),
        (503, "application/grpc", "UNAVAILABLE"),
        (200, "text/html", "UNKNOWN"),
    ] {
        let capture = Capture::new();
        let client = ClientLayer::new().layer(service_fn(move |_: http::Request<Body>| {
            let start = Frame::data(Bytes::from_static(b"<html><body>Bad Gateway"));
            let start = stream::iter([Ok::<_, std::convert::Infallible>(start)]);
            let page = StreamBody::new(start.chain(stream::pending()));
            let page = http::Response::builder().status(http).header("content-type", kind).body(page).unwrap();
            future::ready(Ok::<_, std::convert::Infallible>(page))
        }));
        capture.run_async(Orders(client).get("order")).await.unwrap_err();
        let span = SpanLine::from(&capture.span("shop.Orders/Get"));
        assert_eq!((code(&span), span.attribute("error.type")), (expected, Some(expected)), "{http} {kind}");
        assert_eq!(span.status, format!("error: no grpc-status in the response, HTTP status {http}"));
    }
}

/// The codec is outside of the layer, which only sees that the response is not read to its end.
#[tokio::test]
async fn a_response_that_is_too_large_is_cancelled() {
    let capture = Capture::new();
    let client = ClientLayer::new().layer(service_fn(|_: http::Request<Body>| {
        let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let body = Full::new(frame("too large")).with_trailers(future::ready(Some(Ok(trailers))));
        let response = http::Response::builder().header("content-type", "application/grpc").body(body).unwrap();
        future::ready(Ok::<_, std::convert::Infallible>(response))
    }));
    let mut client = Grpc::new(client).max_decoding_message_size(4);
    let path = http::uri::PathAndQuery::from_static("/shop.Orders/Get");
    let call = client.unary(Request::new(String::new()), path, ProstCodec::<String, String>::default());
    assert_eq!(capture.run_async(call).await.unwrap_err().code(), Code::OutOfRange);
    assert_cancelled(&SpanLine::from(&capture.span("shop.Orders/Get")));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_known_methods_name_spans() {
    let capture = Capture::new();
    let layer = ServerLayer::new().methods(["shop.Orders/Get"]);
    let fine = || http::Response::builder().header("grpc-status", "0").body(Body::empty()).unwrap();
    for path in ["/shop.Orders/Get", "/shop.Orders/Hack", "/nonsense"] {
        call_here(&capture, layer.clone(), path, fine()).await;
    }
    let told: Vec<_> = capture.spans().iter().map(SpanLine::from).collect();
    let told = told
        .iter()
        .map(|span| (span.name.as_str(), span.attribute("rpc.method").unwrap(), span.attribute("rpc.method_original")));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("shop.Orders/Get", "shop.Orders/Get", None),
            ("grpc", "_OTHER", Some("shop.Orders/Hack")),
            ("grpc", "_OTHER", Some("nonsense")),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_without_a_status_has_the_one_that_its_caller_derives() {
    for (http, body, expected) in [
        (404, Body::empty(), "UNIMPLEMENTED"),
        (503, Body::empty(), "UNAVAILABLE"),
        (200, Body::new(Full::new(Bytes::from_static(b"x")).map_err(|never| match never {})), "UNKNOWN"),
    ] {
        let capture = Capture::new();
        let response = http::Response::builder().status(http).body(body).unwrap();
        call_here(&capture, ServerLayer::new(), "/shop.Orders/Get", response).await;
        let span = SpanLine::from(&capture.span("shop.Orders/Get"));
        assert_eq!(code(&span), expected);
        assert!(span.status.starts_with("error: no grpc-status"), "{span:?}");
    }
}
