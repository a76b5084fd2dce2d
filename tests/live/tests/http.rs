//! HTTP from process to process: axum and hyper, reqwest and hyper's client, over real sockets.

use std::collections::BTreeSet;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use throughline::testing::{Capture, FinishedSpan};
use throughline::{biz_tags, traced};
use throughline_http::{ClientLayer, UrlTemplate};
use throughline_live::{Peer, SpanLine};
use throughline_reqwest::RequestBuilderExt as _;
use tower::{Layer as _, ServiceExt as _};

fn peer(role: &str) -> (Peer, String) {
    let peer = Peer::start(env!("CARGO_BIN_EXE_peer"), role, &[]);
    let address = peer.ready();
    (peer, address)
}

fn travelling() -> ClientLayer {
    ClientLayer::new().tag_header("tenant_id", "x-tenant-id")
}

fn named<'a>(spans: &'a [SpanLine], name: &str) -> &'a SpanLine {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no span `{name}`: {spans:#?}"));
    assert!(found.next().is_none(), "more than one span `{name}`: {spans:#?}");
    span
}

#[track_caller]
fn assert_attributes(span: &SpanLine, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        assert_eq!(span.attribute(key), Some(*value), "{key} of {span:#?}");
    }
}

/// What a server and the functions below it have recorded of a request by `client`.
fn assert_continues(spans: &[SpanLine], server: &str, client: &FinishedSpan) {
    let server = named(spans, server);
    assert_eq!(server.kind, "server");
    assert_eq!(server.status, "unset");
    assert_eq!(server.trace_id, client.trace_id().to_string());
    assert_eq!(server.parent_id, Some(client.span_id().to_string()));
    assert!(server.links.is_empty() && server.events.is_empty(), "{server:#?}");
    let (load, store) = (named(spans, "load"), named(spans, "store"));
    assert!(load.is_child_of(server) && store.is_child_of(load));
    for span in [server, load, store] {
        assert_attributes(span, &[("tenant_id", "acme"), ("order_no", "7")]);
    }
    assert_attributes(store, &[("biz_id", "order")]);
}

#[traced]
#[biz_tags(tenant_id, propagate(region))]
async fn by_reqwest(tenant_id: &str, region: &str, url: &str) -> reqwest::Result<(String, String)> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let response = client.get(url).send_with_traced(&travelling()).await?;
    let id = response.headers()["x-request-id"].to_str().unwrap_or_default().to_owned();
    Ok((id, response.text().await?))
}

#[tokio::test]
async fn reqwest_to_axum() {
    let (peer, address) = peer("http-axum");
    let capture = Capture::new();
    let url = format!("http://{address}/orders/7?sig=abc");
    let (id, baggage) = capture.run_async(by_reqwest("acme", "eu", &url)).await.expect("an answer");
    let spans = peer.stop();

    assert_eq!(baggage, "region=eu");
    let client = capture.span("GET");
    assert!(client.is_child_of(&capture.span("by_reqwest")));
    assert_eq!(id, client.trace_id().to_string(), "one id for both");
    assert_continues(&spans, "GET /orders/{order_no}", &client);
    let (host, port) = address.split_once(':').expect("an address");
    assert_attributes(
        named(&spans, "GET /orders/{order_no}"),
        &[
            ("http.request.method", "GET"),
            ("http.route", "/orders/{order_no}"),
            ("http.response.status_code", "200"),
            ("url.path", "/orders/7"),
            ("url.query", "sig=REDACTED"),
            ("url.scheme", "http"),
            ("server.address", host),
            ("server.port", port),
            ("network.peer.address", "127.0.0.1"),
            ("network.protocol.version", "1.1"),
        ],
    );
    assert_eq!(spans.len(), 3, "{spans:#?}");
}

#[traced]
#[biz_tags(tenant_id)]
async fn by_hyper(tenant_id: &str, url: &str, http2: bool) -> String {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
    let request = http::Request::get(url).extension(UrlTemplate("/orders".into())).body(Empty::new());
    let response = travelling().layer(client).oneshot(request.expect("a request")).await.expect("an answer");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

#[tokio::test]
async fn hyper_to_hyper() {
    for (http2, version) in [(false, "1.1"), (true, "2")] {
        let (peer, address) = peer("http-hyper");
        let capture = Capture::new();
        capture.run_async(by_hyper("acme", &format!("http://{address}/orders?order_no=7"), http2)).await;
        let spans = peer.stop();
        let client = capture.span("GET /orders");
        assert_eq!(client.attribute("network.protocol.version").map(ToString::to_string).as_deref(), Some(version));
        // There is no router, so no route is known.
        assert_continues(&spans, "GET", &client);
        assert_attributes(named(&spans, "GET"), &[("network.protocol.version", version), ("url.path", "/orders")]);
        assert_eq!(named(&spans, "GET").attribute("http.route"), None);
    }
}

/// On more than one thread, because a task of the client closes the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_is_seen_on_the_other_side() {
    let (peer, address) = peer("http-axum");
    let capture = Capture::new();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let call = client.get(format!("http://{address}/stream")).send_traced();
    let mut response = capture.run_async(call).await.expect("an answer");
    assert_eq!(response.chunk().await.expect("data").as_deref(), Some(&b"first"[..]));
    // The stream never ends, so the server can only stop after this.
    drop((response, client));
    let spans = peer.stop();
    let server = named(&spans, "GET /stream");
    assert_attributes(server, &[("throughline.cancelled", "true"), ("http.response.status_code", "200")]);
    assert_eq!(server.status, "unset");
    assert!(capture.span("GET").attribute("throughline.cancelled").is_none(), "the client has its answer");
}

#[tokio::test]
async fn each_attempt_has_its_own_counterpart() {
    let (peer, address) = peer("http-axum");
    let capture = Capture::new();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = format!("http://{address}/fail");
    capture
        .run_async(throughline::in_span_async("order", async {
            for _ in 0..3 {
                assert_eq!(client.get(&url).send_traced().await.expect("an answer").status(), 503);
            }
        }))
        .await;
    drop(client);
    let spans = peer.stop();
    capture
        .assert_tree("order\n├── GET [client] !error: 503\n├── GET [client] !error: 503\n└── GET [client] !error: 503");
    let sent: BTreeSet<_> = capture.named("GET").iter().map(|span| Some(span.span_id().to_string())).collect();
    let received: BTreeSet<_> = spans.iter().map(|span| span.parent_id.clone()).collect();
    assert_eq!(sent, received);
    assert_eq!(spans.len(), 3);
    for span in &spans {
        assert_attributes(span, &[("error.type", "503")]);
        assert_eq!(span.status, "error: ");
    }
}
