//! Calls, their attributes and their status.

use std::collections::HashSet;

use bytes::Bytes;
use futures::future;
use http_body_util::{BodyExt as _, Full};
use throughline::in_span_async;
use throughline::testing::Capture;
use throughline_grpc::ClientLayer;
use throughline_live::SpanLine;
use tonic::body::Body;
use tonic::{Code, Request};
use tower::{ServiceBuilder, ServiceExt as _};

use crate::{Shop, all, checkout, code, frame, lines, one, pair};

#[tokio::test(flavor = "multi_thread")]
async fn a_unary_call_is_one_trace_with_its_tags() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = shop.client();
    let answer = capture.run_async(async { checkout("acme", 1001, client.get("order")).await }).await.unwrap();
    drop(client);

    let (here, port) = (lines(&capture), shop.port().to_owned());
    let there = shop.peer.stop();
    let (client, server) = pair(&here, &there, "shop.Orders/Get");
    let checkout = one(&here, "checkout");
    assert!(client.is_child_of(checkout));
    assert_eq!(answer, format!("order {}", checkout.trace_id));
    assert!(one(&there, "load").is_child_of(server));
    assert_eq!((here.len(), there.len()), (2, 2));

    let of = |span: &SpanLine| span.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
    let mut expected = vec![
        "order_no=1001".to_owned(),
        "rpc.method=shop.Orders/Get".into(),
        "rpc.response.status_code=OK".into(),
        "rpc.system.name=grpc".into(),
        "server.address=127.0.0.1".into(),
        format!("server.port={port}"),
        "tenant_id=acme".into(),
    ];
    assert_eq!(of(client), expected);
    // The propagated tag arrived as baggage; the other one was not sent.
    assert_eq!(expected.remove(0), "order_no=1001");
    let peer_port = server.attribute("network.peer.port").expect("the peer has a port").to_owned();
    expected.insert(0, "network.peer.address=127.0.0.1".into());
    expected.insert(1, format!("network.peer.port={peer_port}"));
    assert_eq!(of(server), expected);
    assert_eq!(one(&there, "load").attribute("tenant_id"), Some("acme"));
    for span in [client, server] {
        assert_eq!((span.status.as_str(), span.links.len(), span.events.len()), ("unset", 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_a_call_is_judged_by_each_side() {
    let shop = Shop::open("internal");
    let client = shop.client();
    let mut here = Vec::new();
    for (order, expected) in [("missing", Code::NotFound), ("broken", Code::Internal)] {
        let capture = Capture::new();
        let status = capture.run_async(client.get(order)).await.unwrap_err();
        assert_eq!(status.code(), expected);
        here.extend(lines(&capture));
    }
    let capture = Capture::new();
    for path in ["/shop.Orders/Missing", "/shop.Nothing/Get"] {
        let status = capture.run_async(client.unary(path, Request::new(String::new()))).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    }
    here.extend(lines(&capture));
    // Before the first message, the status of a streaming method is in the headers, too.
    let capture = Capture::new();
    assert!(capture.run_async(client.watch("forbidden")).await.is_err());
    here.extend(lines(&capture));
    drop(client);

    let there = shop.peer.stop();
    let told = |spans: &[SpanLine]| {
        let told = |span: &SpanLine| {
            format!("{} {} {} ({})", span.name, code(span), span.status, span.attribute("error.type").unwrap_or("-"))
        };
        spans.iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&here),
        [
            "shop.Orders/Get NOT_FOUND error: no such order: 7 % (NOT_FOUND)",
            "shop.Orders/Get INTERNAL error: disk full (INTERNAL)",
            "shop.Orders/Missing UNIMPLEMENTED error: no such method (UNIMPLEMENTED)",
            "shop.Nothing/Get UNIMPLEMENTED error:  (UNIMPLEMENTED)",
            "shop.Orders/Watch PERMISSION_DENIED error: not yours (PERMISSION_DENIED)",
        ]
    );
    assert_eq!(
        told(&there),
        [
            "shop.Orders/Get NOT_FOUND unset (-)",
            "shop.Orders/Get INTERNAL error: disk full (INTERNAL)",
            "shop.Orders/Missing UNIMPLEMENTED error: no such method (UNIMPLEMENTED)",
            "shop.Nothing/Get UNIMPLEMENTED error:  (UNIMPLEMENTED)",
            "shop.Orders/Watch PERMISSION_DENIED unset (-)",
        ]
    );
    for (client, server) in here.iter().zip(&there) {
        assert!(server.is_child_of(client));
        assert!(client.events.is_empty() && server.events.is_empty(), "an answer is no exception");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_calls_at_once_do_not_mix() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = shop.client();
    let calls = (0..100).map(|order| {
        let client = client.clone();
        tokio::spawn(capture.run_async(async move {
            let tenant = format!("tenant-{order}");
            checkout(&tenant, order, async { client.get(&tenant).await.unwrap() }).await
        }))
    });
    let answers = future::join_all(calls).await;
    drop(client);

    let (here, there) = (lines(&capture), shop.peer.stop());
    assert_eq!((here.len(), there.len()), (200, 200));
    let by_id = |spans: &'_ [SpanLine], name: &str| all(spans, name).into_iter().cloned().collect::<Vec<_>>();
    let (clients, servers) = (by_id(&here, "shop.Orders/Get"), by_id(&there, "shop.Orders/Get"));
    let mut traces = HashSet::new();
    for (order, answer) in answers.into_iter().enumerate() {
        let tenant = format!("tenant-{order}");
        let is_its = |span: &&SpanLine| span.attribute("tenant_id") == Some(&tenant);
        let checkout = all(&here, "checkout").into_iter().find(is_its).unwrap();
        let client = clients.iter().find(is_its).unwrap();
        let server = servers.iter().find(is_its).unwrap();
        let load = all(&there, "load").into_iter().find(is_its).unwrap();
        assert!(client.is_child_of(checkout) && server.is_child_of(client) && load.is_child_of(server));
        assert_eq!(answer.unwrap(), format!("{tenant} {}", checkout.trace_id));
        traces.insert(checkout.trace_id.clone());
    }
    assert_eq!(traces.len(), 100);
}

/// Retries while the server answers `UNAVAILABLE`.
#[derive(Clone)]
struct Again;

type Whole = http::Request<Full<Bytes>>;

impl<B> tower::retry::Policy<Whole, http::Response<B>, tonic::transport::Error> for Again {
    type Future = future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Whole,
        result: &mut Result<http::Response<B>, tonic::transport::Error>,
    ) -> Option<Self::Future> {
        let status = result.as_ref().ok()?.headers().get("grpc-status")?;
        (Code::from_bytes(status.as_bytes()) == Code::Unavailable).then(|| future::ready(()))
    }

    fn clone_request(&mut self, request: &Whole) -> Option<Whole> {
        Some(request.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_retry_is_a_span_of_its_own() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = ServiceBuilder::new()
        .retry(Again)
        .map_request(|request: Whole| request.map(Body::new))
        .layer(ClientLayer::new())
        .service(shop.endpoint().connect_lazy());
    let request = http::Request::post("/shop.Orders/Get")
        .header("content-type", "application/grpc")
        .body(Full::new(frame("flaky")))
        .unwrap();
    let call = async move { client.oneshot(request).await.unwrap().into_body().collect().await.unwrap() };
    let answer = capture.run_async(in_span_async("buy", call)).await;
    assert_eq!(answer.trailers().unwrap()["grpc-status"], "0");

    let (here, there) = (lines(&capture), shop.peer.stop());
    let (clients, servers) = (all(&here, "shop.Orders/Get"), all(&there, "shop.Orders/Get"));
    let codes = |spans: &[&SpanLine]| spans.iter().map(|span| code(span).to_owned()).collect::<Vec<_>>();
    assert_eq!(codes(&clients), ["UNAVAILABLE", "UNAVAILABLE", "OK"]);
    assert_eq!(codes(&servers), ["UNAVAILABLE", "UNAVAILABLE", "OK"]);
    for (client, server) in clients.iter().zip(servers) {
        assert!(client.is_child_of(one(&here, "buy")) && server.is_child_of(client));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_axum_router_has_spans_for_its_grpc_services_alone() {
    let shop = Shop::open("axum");
    let capture = Capture::new();
    let client = shop.client();
    capture.run_async(client.get("order")).await.unwrap();
    let health = reqwest::Client::builder().no_proxy().build().unwrap();
    let health = health.get(format!("http://{}/health", shop.address)).send().await.unwrap();
    assert_eq!(health.text().await.unwrap(), "fine");
    drop(client);

    let (here, there) = (lines(&capture), shop.peer.stop());
    let (_, server) = pair(&here, &there, "shop.Orders/Get");
    assert_eq!(code(server), "OK");
    assert_eq!((here.len(), there.len()), (1, 2));
}
