//! Calls that are cancelled, and servers that die, panic or are unreachable.

use throughline::testing::{Capture, FinishedSpan};
use throughline_grpc::ClientLayer;
use tonic::transport::Endpoint;
use tonic::{Code, Status, Streaming};
use tower::ServiceBuilder;

use crate::{Orders, Shop, assert_cancelled, lines, pair};

/// Waits until a handler that never completes has started, while the runtime keeps running.
fn wait_until_it_hangs(shop: &Shop) {
    tokio::task::block_in_place(|| assert_eq!(shop.peer.ready(), "hanging"));
}

/// A stream that never ends, of which one message has arrived.
async fn endless(shop: &Shop, capture: &Capture) -> Streaming<String> {
    let client = shop.client();
    let mut updates = capture.run_async(client.watch("endless")).await.unwrap();
    assert!(updates.message().await.unwrap().is_some());
    wait_until_it_hangs(shop);
    updates
}

/// The error status with which a stream ends.
async fn failure_of(mut updates: Streaming<String>) -> Status {
    loop {
        match updates.message().await {
            Ok(state) => assert!(state.is_some(), "the stream ends without an error"),
            Err(status) => break status,
        }
    }
}

#[track_caller]
fn assert_both_cancelled(capture: &Capture, shop: Shop, name: &str) {
    let (here, there) = (lines(capture), shop.peer.stop());
    let (client, server) = pair(&here, &there, name);
    assert_cancelled(client);
    assert_cancelled(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_gives_up_a_call_cancels_both_sides() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = shop.client();
    let call = tokio::spawn(capture.run_async(async move { client.get("endless").await }));
    wait_until_it_hangs(&shop);
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());

    assert_both_cancelled(&capture, shop, "shop.Orders/Get");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_drops_a_stream_cancels_both_sides() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let updates = endless(&shop, &capture).await;
    assert_eq!(capture.open(), 1);
    drop(updates);

    assert_both_cancelled(&capture, shop, "shop.Orders/Watch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_a_stream_fails_the_client() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let updates = endless(&shop, &capture).await;
    drop(shop.peer);
    let status = failure_of(updates).await;
    let span = capture.span("shop.Orders/Watch");
    assert!(span.is_error() && !span.is_cancelled());
    assert_same_code(&span, &status);
}

#[track_caller]
fn assert_same_code(span: &FinishedSpan, status: &Status) {
    let seen = span.attribute("rpc.response.status_code").expect("a call has a status").to_string();
    assert_eq!(seen.replace('_', ""), format!("{:?}", status.code()).to_uppercase());
    assert_eq!(span.attribute("error.type").map(ToString::to_string), Some(seen));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_fails_the_client() {
    // A bound port on which nothing listens, so that no other process can take it.
    let deaf = tokio::net::TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{}", deaf.local_addr().unwrap())).unwrap();
    let capture = Capture::new();
    let client = ServiceBuilder::new().layer(ClientLayer::new()).service(endpoint.connect_lazy());
    // A lazily connected channel is ready; the call fails.
    let status = capture.run_async(Orders(client).get("order")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let span = capture.span("shop.Orders/Get");
    assert_same_code(&span, &status);
    assert_eq!(span.attribute("server.address"), None, "nobody has said where the channel leads");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_is_recorded_on_both_sides() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = shop.client();
    let (unary, streaming) = capture
        .run_async(async {
            let unary = client.get("explosive").await.unwrap_err();
            let updates = client.watch("explosive").await.unwrap();
            (unary, failure_of(updates).await)
        })
        .await;
    drop(client);

    assert_same_code(&capture.span("shop.Orders/Get"), &unary);
    assert_same_code(&capture.span("shop.Orders/Watch"), &streaming);
    let (here, there) = (lines(&capture), shop.peer.stop());
    for (method, message) in [("Get", "error: boom"), ("Watch", "error: boom in the stream")] {
        let (client, server) = pair(&here, &there, &format!("shop.Orders/{method}"));
        assert!(client.status.starts_with("error: "));
        assert_eq!((server.status.as_str(), server.attribute("error.type")), (message, Some("panic")));
        assert_eq!(server.events, ["exception"]);
    }
}
