//! Requests with `reqwest`.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use opentelemetry::trace::{SpanKind, Status};
use throughline::testing::Capture;
use throughline::{Carrier, biz_tags};
use throughline_http::{Attempts, ClientLayer};
use throughline_reqwest::{ClientExt as _, RequestBuilderExt as _};

use super::sockets::{Server, serve};
use super::{assert_no_doubles, assert_number, assert_text};

/// A server without tracing that returns the headers of the request.
async fn plain() -> Server {
    let say = |headers: http::HeaderMap| async move {
        let names = ["traceparent", "x-request-id", "x-biz-id"];
        let values = names.map(|name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-"));
        values.join(" ")
    };
    let fail = || async { (http::StatusCode::BAD_GATEWAY, "no") };
    let never = || std::future::pending::<&'static str>();
    let moved = || async { axum::response::Redirect::temporary("/say") };
    let circle = || async { axum::response::Redirect::temporary("/circle") };
    serve(
        Router::new()
            .route("/say", get(say))
            .route("/fail", get(fail))
            .route("/never", get(never))
            .route("/moved", get(moved))
            .route("/circle", get(circle)),
    )
    .await
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

#[tokio::test]
async fn a_request_in_one_line() {
    #[biz_tags(biz_id)]
    async fn tagged(biz_id: &str, url: String) -> String {
        let layer = ClientLayer::new().tag_header("biz_id", "x-biz-id");
        let response = client().get(url).send_with_traced(&layer).await.expect("an answer");
        response.text().await.expect("text")
    }
    let server = plain().await;
    let capture = Capture::new();
    let url = format!("http://ada:secret@{}/say?sig=abc", server.address);
    let said = capture.run_async(throughline::in_span_async("order", tagged("order-7", url))).await;
    capture.assert_tree("order\n└── GET [client]");
    let span = capture.span("GET");
    assert_eq!(said, format!("00-{0}-{1}-01 {0} order-7", span.trace_id(), span.span_id()));
    assert_eq!(span.span_kind, SpanKind::Client);
    assert_no_doubles(&span);
    assert_text(&span, "url.full", Some(&format!("http://{}/say?sig=REDACTED", server.address)));
    assert_text(&span, "server.address", Some("127.0.0.1"));
    assert_text(&span, "network.peer.address", Some("127.0.0.1"));
    assert_text(&span, "network.protocol.version", Some("1.1"));
    assert_number(&span, "server.port", server.address.port().into());
    assert_number(&span, "http.response.status_code", 200);
}

#[tokio::test]
async fn each_send_is_a_span() {
    let server = plain().await;
    let capture = Capture::new();
    let url = format!("http://{}/fail", server.address);
    capture
        .run_async(throughline::in_span_async("order", async {
            for _ in 0..2 {
                let response = client().get(&url).send_traced().await.expect("an answer");
                assert_eq!(response.status(), 502);
            }
            let request = client().get(&url).build().expect("a request");
            client().execute_traced(request).await.expect("an answer");
        }))
        .await;
    capture
        .assert_tree("order\n├── GET [client] !error: 502\n├── GET [client] !error: 502\n└── GET [client] !error: 502");
    assert_text(&capture.named("GET")[0], "error.type", Some("502"));
}

/// Requests have no extensions, so the layer is configured.
#[tokio::test]
async fn attempts_are_counted_and_templates_named_by_the_layer() {
    let server = plain().await;
    let capture = Capture::new();
    let attempts = Attempts::new();
    let layer = ClientLayer::new().url_template("/{page}").attempts(attempts.clone());
    for _ in 0..3 {
        let call = client().get(format!("http://{}/fail", server.address)).send_with_traced(&layer);
        capture.run_async(call).await.expect("an answer");
    }
    assert_eq!(attempts.count(), 3);
    let spans = capture.named("GET /{page}");
    for (span, resent) in spans.iter().zip([None, Some("1"), Some("2")]) {
        assert_text(span, "http.request.resend_count", resent);
        assert_text(span, "url.template", Some("/{page}"));
        assert_no_doubles(span);
    }
    assert_eq!(spans.len(), 3);
}

#[tokio::test]
async fn redirects_are_part_of_the_span() {
    let server = plain().await;
    let capture = Capture::new();
    let call = client().get(format!("http://{}/moved", server.address)).send_traced();
    let response = capture.run_async(call).await.expect("an answer");
    assert_eq!(response.url().path(), "/say");
    let said = response.text().await.expect("text");
    let span = capture.span("GET");
    assert!(said.contains(&span.span_id().to_string()), "{said}");
}

#[tokio::test]
async fn errors_are_those_of_reqwest() {
    let server = plain().await;
    let capture = Capture::new();
    let timeout = client().get(format!("http://{}/never?token=t", server.address)).timeout(Duration::from_millis(20));
    let error = capture.run_async(timeout.send_traced()).await.expect_err("a timeout");
    assert!(error.is_timeout());
    let span = capture.take().remove(0);
    assert_text(&span, "error.type", Some("timeout"));

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let refused = client().get(format!("http://{nobody}/?token=t"));
    let error = capture.run_async(refused.send_traced()).await.expect_err("nobody listens");
    assert!(error.is_connect());
    let span = capture.take().remove(0);
    assert_text(&span, "error.type", Some("connect"));
    let Status::Error { description } = &span.status else { panic!("no error: {:?}", span.status) };
    assert!(description.contains("refused"), "{description}");
    assert!(!description.contains("token"), "{description}");

    let error = capture.run_async(client().get("no url").send_traced()).await.expect_err("no URL");
    assert!(error.is_builder());
    assert!(capture.spans().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn every_kind_of_error_is_named() {
    let server = plain().await;
    let closing = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = closing.local_addr().expect("its address");
    tokio::spawn(async move { drop(closing.accept().await) });
    for (url, kind) in [
        (format!("http://{}/circle", server.address), "redirect"),
        ("ftp://127.0.0.1/".to_owned(), "builder"),
        (format!("http://{closed}/"), "request"),
    ] {
        let capture = Capture::new();
        capture.run_async(client().get(url).send_traced()).await.expect_err(kind);
        assert_text(&capture.span("GET"), "error.type", Some(kind));
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_is_cancelled() {
    let server = plain().await;
    let capture = Capture::new();
    let mut call = Box::pin(capture.run_async(client().get(format!("http://{}/never", server.address)).send_traced()));
    assert!(futures::poll!(&mut call).is_pending());
    drop(call);
    assert!(capture.span("GET").is_cancelled());
}

#[tokio::test]
async fn without_an_sdk_the_context_is_passed_on() {
    let server = plain().await;
    let carrier = Carrier { traceparent: Some(super::SAMPLED.into()), ..Carrier::default() };
    let response = carrier.run_async(client().get(format!("http://{}/say", server.address)).send_traced()).await;
    let said = response.expect("an answer").text().await.expect("text");
    assert_eq!(said, format!("{} {} -", super::SAMPLED, super::TRACE));
}
