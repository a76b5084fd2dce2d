//! The client span, and the headers that are sent.

use std::convert::Infallible;
use std::future::{Ready, ready};

use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use opentelemetry::trace::{SpanKind, Status};
use throughline::propagation::SendBaggage;
use throughline::testing::{Capture, FinishedSpan};
use throughline::{biz_tags, traced};
use throughline_http::{Attempts, ClientLayer, ServerLayer, UrlTemplate};
use tower::retry::Policy;
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};

use super::{NOT_SAMPLED, SAMPLED, assert_no_doubles, assert_number, assert_text, list};

/// A server that responds with the headers of the request.
fn echo(status: u16) -> impl Service<Request<()>, Response = Response<HeaderMap>, Error = Infallible> + Clone {
    service_fn(move |request: Request<()>| async move {
        let mut response = Response::new(request.headers().clone());
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        *response.version_mut() = Version::HTTP_2;
        response.headers_mut().insert("x-color", "red".parse().expect("a value"));
        Ok(response)
    })
}

async fn one(layer: ClientLayer, request: Request<()>, status: u16) -> (FinishedSpan, HeaderMap) {
    let capture = Capture::new();
    let response = capture.run_async(layer.layer(echo(status)).oneshot(request)).await.expect("an answer");
    assert_eq!(capture.open(), 0, "the span ends with the head");
    let mut spans = capture.spans();
    assert_eq!(spans.len(), 1, "{}", capture.tree());
    (spans.remove(0), response.into_body())
}

fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).expect("a request")
}

#[tokio::test]
async fn what_is_recorded_of_a_request() {
    let uri = "https://ada:secret@shop.example/orders/7?page=2&X-Amz-Signature=abc";
    let layer = ClientLayer::new().record_request_headers(["x-size"]).record_response_headers(["x-color"]);
    let request = Request::post(uri).header("x-size", "xl").body(()).expect("a request");
    let (span, _) = one(layer, request, 201).await;
    assert_eq!(span.name(), "POST");
    assert_eq!(span.span_kind, SpanKind::Client);
    assert_eq!(span.status, Status::Unset);
    assert_no_doubles(&span);
    for (key, expected) in [
        ("http.request.method", Some("POST")),
        ("server.address", Some("shop.example")),
        ("url.full", Some("https://REDACTED:REDACTED@shop.example/orders/7?page=2&X-Amz-Signature=REDACTED")),
        ("network.protocol.version", Some("2")),
        ("url.path", None),
        ("error.type", None),
        ("http.request.resend_count", None),
    ] {
        assert_text(&span, key, expected);
    }
    assert_number(&span, "server.port", 443);
    assert_number(&span, "http.response.status_code", 201);
    assert_eq!(span.attribute("http.request.header.x-size"), Some(&list(&["xl"])));
    assert_eq!(span.attribute("http.response.header.x-color"), Some(&list(&["red"])));
    assert!(!format!("{span:?}").contains("secret"));
}

#[tokio::test]
async fn a_path_is_not_recorded_as_a_url() {
    let request = Request::get("/orders/7?sig=a").header("host", "shop.example:81").body(()).expect("a request");
    let (span, _) = one(ClientLayer::new(), request, 200).await;
    assert_text(&span, "url.full", None);
    assert_text(&span, "url.path", Some("/orders/7"));
    assert_text(&span, "url.query", Some("sig=REDACTED"));
    assert_text(&span, "server.address", Some("shop.example"));
    assert_number(&span, "server.port", 81);
}

#[tokio::test]
async fn a_method_nobody_knows_is_no_name() {
    let request = Request::builder().method("BREW").uri("http://shop.example/pot").body(()).expect("a request");
    let (span, _) = one(ClientLayer::new(), request, 200).await;
    assert_eq!(span.name(), "HTTP");
    assert_text(&span, "http.request.method", Some("_OTHER"));
    assert_text(&span, "http.request.method_original", Some("BREW"));
    assert_number(&span, "server.port", 80);
}

#[tokio::test]
async fn a_template_is_in_the_name() {
    let mut request = get("http://shop.example/orders/7");
    request.extensions_mut().insert(UrlTemplate("/orders/{no}".into()));
    for layer in [ClientLayer::new(), ClientLayer::new().url_template("/another")] {
        let (span, _) = one(layer, request.clone(), 200).await;
        assert_eq!(span.name(), "GET /orders/{no}", "the request knows best");
        assert_text(&span, "url.template", Some("/orders/{no}"));
    }
}

#[tokio::test]
async fn client_and_server_errors_are_errors_of_the_client() {
    for (status, failed) in [(200, false), (302, false), (400, true), (404, true), (500, true), (503, true)] {
        let (span, _) = one(ClientLayer::new(), get("http://shop.example/"), status).await;
        assert_eq!(span.status, if failed { Status::error("") } else { Status::Unset }, "{status}");
        assert_text(&span, "error.type", failed.then(|| status.to_string()).as_deref());
        assert_number(&span, "http.response.status_code", i64::from(status));
        assert!(span.events.events.is_empty());
    }
}

#[tokio::test]
async fn an_error_is_recorded_and_passed_on() {
    let capture = Capture::new();
    let service =
        service_fn(|_: Request<()>| ready(Err::<Response<()>, _>(std::io::Error::other("connection refused"))));
    let answer = capture.run_async(ClientLayer::new().layer(service).oneshot(get("http://shop.example/"))).await;
    assert_eq!(answer.expect_err("an error").to_string(), "connection refused");
    let span = capture.span("GET");
    assert_eq!(span.status, Status::error("connection refused"));
    assert_text(&span, "error.type", Some("std::io::error::Error"));
}

#[tokio::test]
async fn a_request_that_is_given_up_is_cancelled() {
    let capture = Capture::new();
    let service = service_fn(|_: Request<()>| std::future::pending::<Result<Response<()>, Infallible>>());
    let mut answer =
        Box::pin(capture.run_async(ClientLayer::new().layer(service).oneshot(get("http://shop.example/"))));
    assert!(futures::poll!(&mut answer).is_pending());
    drop(answer);
    let span = capture.span("GET");
    assert!(span.is_cancelled());
    // According to the conventions, this is not a failure.
    assert_eq!(span.status, Status::Unset);
    assert_text(&span, "error.type", None);
}

#[tokio::test]
async fn a_panic_is_recorded() {
    let capture = Capture::new();
    let service = service_fn(|_: Request<()>| async {
        assert!(std::hint::black_box(false), "no pool");
        Ok::<_, Infallible>(Response::new(()))
    });
    let call = capture.run_async(ClientLayer::new().layer(service).oneshot(get("http://shop.example/")));
    assert!(tokio::spawn(call).await.expect_err("the task").is_panic());
    assert!(capture.span("GET").is_panicked());
}

#[tokio::test]
async fn the_context_is_sent() {
    let capture = Capture::new();
    let response = capture
        .run_async(throughline::in_span_async("order", async {
            ClientLayer::new().layer(echo(200)).oneshot(get("http://shop.example/")).await
        }))
        .await
        .expect("an answer");
    capture.assert_tree("order\n└── GET [client]");
    let span = capture.span("GET");
    let expected = format!("00-{}-{}-01", span.trace_id(), span.span_id());
    assert_eq!(response.body()["traceparent"], expected.as_str());
}

/// A proxy forwards the headers it has received, of which those of the trace are outdated.
#[tokio::test]
async fn headers_of_an_earlier_hop_are_replaced() {
    let request = Request::get("http://shop.example/")
        .header("traceparent", SAMPLED)
        .header("traceparent", SAMPLED)
        .header("tracestate", "a=1")
        .header("baggage", "secret=1")
        .header("accept", "*/*")
        .body(())
        .expect("a request");
    let (span, headers) = one(ClientLayer::new(), request, 200).await;
    let all: Vec<_> = headers.get_all("traceparent").iter().collect();
    assert_eq!(all, [&format!("00-{}-{}-01", span.trace_id(), span.span_id())]);
    assert!(!headers.contains_key("tracestate") && !headers.contains_key("baggage"), "{headers:?}");
    assert_eq!(headers["accept"], "*/*");
}

#[tokio::test]
async fn without_a_span_context_headers_are_unchanged() {
    let request = Request::get("/").header("traceparent", SAMPLED).body(()).expect("a request");
    let response = ClientLayer::new().layer(echo(200)).oneshot(request).await.expect("an answer");
    assert_eq!(response.body()["traceparent"], SAMPLED);
}

#[tokio::test]
async fn not_sampled_is_passed_on() {
    let capture = Capture::new();
    let context = throughline::Carrier { traceparent: Some(NOT_SAMPLED.into()), ..Default::default() };
    let call = throughline::span("order").parent(&context).run_async(async {
        ClientLayer::new().layer(echo(200)).oneshot(get("http://shop.example/")).await.expect("an answer")
    });
    let response = capture.run_async(call).await;
    let identity = response.body()["traceparent"].to_str().expect("text");
    assert!(identity.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && identity.ends_with("-00"), "{identity}");
    assert!(capture.spans().is_empty());
}

/// Makes three attempts.
#[derive(Debug, Clone)]
struct Thrice(u8);

impl Policy<Request<()>, Response<HeaderMap>, Infallible> for Thrice {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<()>,
        result: &mut Result<Response<HeaderMap>, Infallible>,
    ) -> Option<Ready<()>> {
        let failed = result.as_ref().is_ok_and(|response| response.status().is_server_error());
        (failed && self.0 > 1).then(|| {
            self.0 -= 1;
            ready(())
        })
    }

    fn clone_request(&mut self, request: &Request<()>) -> Option<Request<()>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn each_attempt_is_a_span() {
    #[traced]
    async fn order(request: Request<()>) -> Response<HeaderMap> {
        let service = ServiceBuilder::new().retry(Thrice(3)).layer(ClientLayer::new()).service(echo(503));
        service.oneshot(request).await.expect("an answer")
    }
    for counted in [true, false] {
        let capture = Capture::new();
        let mut request = get("http://shop.example/");
        let attempts = Attempts::new();
        if counted {
            request.extensions_mut().insert(attempts.clone());
        }
        let last = capture.run_async(order(request)).await;
        capture.assert_tree(
            "order\n├── GET [client] !error: 503\n├── GET [client] !error: 503\n└── GET [client] !error: 503",
        );
        let spans = capture.named("GET");
        for (at, span) in spans.iter().enumerate() {
            let expected = (counted && at > 0).then(|| at.to_string());
            assert_text(span, "http.request.resend_count", expected.as_deref());
        }
        assert_eq!(attempts.count(), if counted { 3 } else { 0 });
        let expected = format!("00-{}-{}-01", spans[2].trace_id(), spans[2].span_id());
        assert_eq!(last.body()["traceparent"], expected.as_str(), "the last one sends its own identity");
    }
}

#[tokio::test]
async fn readiness_is_that_of_the_client() {
    let mut service =
        ClientLayer::new().layer(tower::util::BoxService::new(tower::service_fn(|_: Request<()>| async {
            Ok::<_, Infallible>(Response::new(()))
        })));
    assert!(service.ready().await.is_ok());
    assert!(service.call(get("/")).await.is_ok());
}

/// A gateway that forwards the request itself to a service in the same process.
#[tokio::test]
async fn a_forwarded_request_has_its_own_span() {
    let capture = Capture::new();
    let behind = ServerLayer::new()
        .layer(service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(String::new())) }));
    let service = ClientLayer::new().layer(behind);
    let gateway = ServerLayer::new().layer(service_fn(move |request: Request<()>| service.clone().oneshot(request)));
    let response = capture.run_async(gateway.oneshot(get("http://shop.example/"))).await.expect("an answer");
    response.into_body().collect().await.expect("a body");
    capture.assert_tree("GET [server]\n└── GET [client]\n    └── GET [server]");
}

/// Calls a partner with our own baggage and that of the caller, and returns the headers that were sent.
async fn sent_to_partner(layer: ClientLayer, extend: impl FnOnce(&mut Request<()>)) -> String {
    #[biz_tags(propagate(tenant_id, order_no))]
    async fn tagged(tenant_id: &str, order_no: u64, layer: ClientLayer, request: Request<()>) -> String {
        let _ = (tenant_id, order_no);
        let echo = tower::service_fn(|request: Request<()>| async move {
            let header =
                |name| request.headers().get(name).map_or("-", |value| value.to_str().expect("text")).to_owned();
            Ok::<_, std::convert::Infallible>(http::Response::new(format!(
                "{} {}",
                header("baggage"),
                header("x-tenant")
            )))
        });
        layer.tag_header("tenant_id", "x-tenant").layer(echo).oneshot(request).await.expect("an answer").into_body()
    }
    let mut request = Request::get("http://partner.example/").header("baggage", "secret=caller").body(()).expect("one");
    extend(&mut request);
    let caller = throughline::Carrier { baggage: Some("secret=hunter2".to_owned()), ..throughline::Carrier::default() };
    let capture = Capture::new();
    let call = throughline::span("order").parent(&caller).run_async(tagged("acme", 7, layer, request));
    capture.run_async(call).await
}

#[tokio::test]
async fn baggage_can_be_restricted_for_one_client() {
    let plain = |_: &mut Request<()>| {};
    let only = |keys: &'static [&'static str]| {
        move |request: &mut Request<()>| {
            request.extensions_mut().insert(SendBaggage::only(keys.iter().copied()));
        }
    };
    let layer = ClientLayer::new;
    assert_eq!(sent_to_partner(layer(), plain).await, "order_no=7,secret=hunter2,tenant_id=acme acme");
    assert_eq!(sent_to_partner(layer().baggage(["order_no"]), plain).await, "order_no=7 acme");
    assert_eq!(sent_to_partner(layer().baggage(["ORDER_NO", "none"]), plain).await, "- acme");
    assert_eq!(sent_to_partner(layer().no_baggage(), plain).await, "- acme");
    // For a single request, which also withholds tags in their own headers.
    assert_eq!(sent_to_partner(layer(), only(&["order_no"])).await, "order_no=7 -");
    assert_eq!(sent_to_partner(layer(), only(&["tenant_id"])).await, "tenant_id=acme acme");
    assert_eq!(sent_to_partner(layer(), only(&[])).await, "- -");
    // A request cannot send more than the layer allows.
    assert_eq!(sent_to_partner(layer().baggage(["order_no"]), only(&["order_no", "secret"])).await, "order_no=7 -");
}

/// Without an SDK, only restricted headers are removed from a request.
#[tokio::test]
async fn forwarded_baggage_is_restricted_too() {
    let echo = || {
        tower::service_fn(|request: Request<()>| async move {
            let baggage = request.headers().get("baggage").is_some();
            Ok::<_, std::convert::Infallible>(http::Response::new(baggage))
        })
    };
    for (layer, sent) in [(ClientLayer::new(), true), (ClientLayer::new().no_baggage(), false)] {
        let request = Request::get("/").header("baggage", "secret=hunter2").body(()).expect("a request");
        let suppressed = throughline::Context::new().with_telemetry_suppressed();
        let call = layer.layer(echo()).oneshot(request);
        let answer = opentelemetry::trace::FutureExt::with_context(call, suppressed).await.expect("an answer");
        assert_eq!(answer.into_body(), sent);
    }
}

#[tokio::test]
async fn secrets_in_a_url_are_not_recorded() {
    let url = "http://shop.example/a;jsessionid=1/b?token=2&page=3&Client-Secret=4&mine=5&code=6";
    let layer = || ClientLayer::new().redact(["mine"]).reveal(["code"]);
    let (span, _) = one(layer(), get(url), 200).await;
    let shown =
        "http://shop.example/a;jsessionid=REDACTED/b?token=REDACTED&page=3&Client-Secret=REDACTED&mine=REDACTED&code=6";
    assert_text(&span, "url.full", Some(shown));
    // A request with only a path.
    let (span, _) = one(layer(), get("/a;jsessionid=1/b?token=2&page=3"), 200).await;
    assert_text(&span, "url.path", Some("/a;jsessionid=REDACTED/b"));
    assert_text(&span, "url.query", Some("token=REDACTED&page=3"));
}
