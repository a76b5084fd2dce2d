//! Deadlines that pass on either side.

use std::time::Duration;

use futures::future;
use throughline::testing::Capture;
use throughline_grpc::ClientLayer;
use throughline_live::SpanLine;
use tonic::body::Body;
use tonic::{Code, Request};
use tower::{Layer as _, service_fn};

use crate::{Orders, Shop, client_of, code, lines, one, send_raw};

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_on_the_server_differs_from_a_cancellation() {
    let shop = Shop::open("internal");
    let answer = send_raw(&shop, &[("x-order", "endless"), ("grpc-timeout", "30m")]).await;
    // `CANCELLED` is what `tonic` answers.
    assert_eq!(answer.headers()["grpc-status"], "1");
    let there = shop.peer.stop();
    let server = one(&there, "shop.Orders/Get");
    assert_eq!((code(server), server.attribute("error.type")), ("DEADLINE_EXCEEDED", Some("DEADLINE_EXCEEDED")));
    assert_eq!(
        (server.status.as_str(), server.attribute("throughline.cancelled")),
        ("error: the deadline has passed", Some("true"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_on_the_client_is_its_own_error() {
    let shop = Shop::open("internal");
    // With a deadline that is sent to the server, and with one that is not.
    let mut with_deadline = Request::new("endless".to_owned());
    with_deadline.set_timeout(Duration::from_millis(40));
    let local_deadline = client_of(&shop.endpoint().timeout(Duration::from_millis(40)));
    let capture = Capture::new();
    capture
        .run_async(async {
            assert!(shop.client().unary("/shop.Orders/Get", with_deadline).await.is_err());
            assert!(local_deadline.get("endless").await.is_err());
        })
        .await;
    drop(local_deadline);

    let (here, there) = (lines(&capture), shop.peer.stop());
    for client in &here {
        assert_eq!((code(client), client.attribute("error.type")), ("DEADLINE_EXCEEDED", Some("DEADLINE_EXCEEDED")));
        assert!(client.status.starts_with("error: "));
    }
    // How far the calls get depends on the machine.
    assert_eq!(here.len(), 2);
    for server in &there {
        assert!(here.iter().any(|client| server.is_child_of(client)), "{server:?}");
    }
}

/// A server that enforces the deadline may be faster than the client, and `tonic`'s then answers `CANCELLED`.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cancelled_after_its_deadline_was_too_late() {
    for (timeout, expected) in [(Some("1n"), "DEADLINE_EXCEEDED"), (Some("1H"), "CANCELLED"), (None, "CANCELLED")] {
        let capture = Capture::new();
        let client = ClientLayer::new().layer(service_fn(|_: http::Request<Body>| {
            let cancelled = http::Response::builder().header("grpc-status", "1").body(Body::empty()).unwrap();
            future::ready(Ok::<_, std::convert::Infallible>(cancelled))
        }));
        let mut request = Request::new("order".to_owned());
        if let Some(timeout) = timeout {
            request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
        }
        let client = Orders(client);
        let call = client.unary("/shop.Orders/Get", request);
        assert_eq!(capture.run_async(call).await.unwrap_err().code(), Code::Cancelled);
        let span = SpanLine::from(&capture.span("shop.Orders/Get"));
        assert_eq!((code(&span), span.status.as_str()), (expected, "error: "), "{timeout:?}");
    }
}
