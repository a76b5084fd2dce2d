//! The server span, according to the semantic conventions.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use http::{Request, StatusCode, Version};
use opentelemetry::trace::{SpanKind, Status};
use throughline::testing::Capture;
use throughline::traced;
use throughline_http::{RequestTag, ServerLayer};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{NOT_SAMPLED, assert_no_doubles, assert_number, assert_text, get, list, one, router, send};

#[tokio::test]
async fn what_is_recorded_of_a_request() {
    let headers = [("host", "shop.example:8080"), ("user-agent", "curl/8.5"), ("x-secret", "s")];
    let (span, _) = one(ServerLayer::new(), get("/orders/7?page=2&sig=abc", &headers)).await;
    assert_eq!(span.name(), "GET /orders/{order_no}");
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.status, Status::Unset);
    assert_no_doubles(&span);
    for (key, expected) in [
        ("http.request.method", Some("GET")),
        ("http.request.method_original", None),
        ("http.route", Some("/orders/{order_no}")),
        ("url.path", Some("/orders/7")),
        ("url.query", Some("page=2&sig=REDACTED")),
        ("url.scheme", Some("http")),
        ("server.address", Some("shop.example")),
        ("user_agent.original", Some("curl/8.5")),
        ("network.protocol.version", Some("1.1")),
        ("client.address", None),
        ("network.peer.address", None),
        ("error.type", None),
        ("http.request.header.x-secret", None),
    ] {
        assert_text(&span, key, expected);
    }
    assert_number(&span, "server.port", 8080);
    assert_number(&span, "http.response.status_code", 200);
}

#[tokio::test]
async fn a_path_without_a_route_is_not_in_the_name() {
    let (span, response) = one(ServerLayer::new(), get("/no/such/path", &[])).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(span.name(), "GET");
    assert_text(&span, "http.route", None);
    assert_text(&span, "url.path", Some("/no/such/path"));
}

#[tokio::test]
async fn a_method_nobody_knows_is_no_name() {
    let request =
        Request::builder().method("BREW").uri("/orders/7").body(axum::body::Body::empty()).expect("a request");
    let (span, _) = one(ServerLayer::new(), request).await;
    assert_eq!(span.name(), "HTTP /orders/{order_no}");
    assert_text(&span, "http.request.method", Some("_OTHER"));
    assert_text(&span, "http.request.method_original", Some("BREW"));
}

/// Runs in its own process, because the list is read once.
#[tokio::test]
async fn the_environment_names_the_methods() {
    const LIST: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
    if std::env::var_os(LIST).is_none() {
        let this = "http::server::the_environment_names_the_methods";
        let mut again = std::process::Command::new(std::env::current_exe().expect("a path"));
        let output = again.args(["--exact", this]).env(LIST, "GET, PROPFIND,").output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    for (method, name, known, original) in [
        ("GET", "GET", "GET", None),
        ("PROPFIND", "PROPFIND", "PROPFIND", None),
        ("propfind", "HTTP", "_OTHER", Some("propfind")),
        ("POST", "HTTP", "_OTHER", Some("POST")),
    ] {
        let request = Request::builder().method(method).uri("/none").body(axum::body::Body::empty());
        let (span, _) = one(ServerLayer::new(), request.expect("a request")).await;
        assert_eq!(span.name(), name);
        assert_text(&span, "http.request.method", Some(known));
        assert_text(&span, "http.request.method_original", original);
    }
}

#[tokio::test]
async fn a_failure_of_the_server_is_an_error() {
    for code in [500, 503, 599] {
        let (span, _) = one(ServerLayer::new(), get(&format!("/status/{code}"), &[])).await;
        assert_eq!(span.status, Status::error(""));
        assert_text(&span, "error.type", Some(&code.to_string()));
        assert!(span.events.events.is_empty(), "an answer is no exception");
        assert_no_doubles(&span);
    }
}

#[tokio::test]
async fn a_client_error_is_not_an_error_of_the_server() {
    for code in [200, 302, 400, 404, 429, 499] {
        let (span, _) = one(ServerLayer::new(), get(&format!("/status/{code}"), &[])).await;
        assert_eq!(span.status, Status::Unset, "{code}");
        assert_text(&span, "error.type", None);
        assert_number(&span, "http.response.status_code", code);
    }
}

#[tokio::test]
async fn the_other_end_is_known_from_the_connection() {
    let forwarded = [("x-forwarded-for", "203.0.113.9")];
    for (layer, headers, client) in [
        (ServerLayer::new(), &forwarded[..], "192.0.2.7"),
        (ServerLayer::new().proxies(1), &forwarded, "203.0.113.9"),
        (ServerLayer::new().proxies(1), &[], "192.0.2.7"),
    ] {
        let capture = Capture::new();
        let peer: SocketAddr = "192.0.2.7:4711".parse().expect("an address");
        // This is what axum's service with connect info does.
        let router = router(layer).layer(Extension(ConnectInfo(peer)));
        send(&capture, router, get("/orders/7", headers)).await;
        let span = capture.span("GET /orders/{order_no}");
        assert_text(&span, "network.peer.address", Some("192.0.2.7"));
        assert_number(&span, "network.peer.port", 4711);
        assert_text(&span, "client.address", Some(client));
    }
}

#[tokio::test]
async fn forwarded_headers_are_trusted_up_to_the_number_of_proxies() {
    let forged_and_real = [("x-forwarded-for", "10.0.0.1, 203.0.113.9"), ("x-forwarded-proto", "https")];
    let rfc = [
        ("forwarded", "for=10.0.0.1;host=evil.example, for=\"[2001:db8::1]:4711\";proto=https;host=shop.example"),
        ("host", "inner"),
    ];
    for (proxies, headers, client, scheme, host) in [
        (0, &forged_and_real[..], None, "http", None),
        (1, &forged_and_real[..], Some("203.0.113.9"), "https", None),
        (2, &forged_and_real[..], Some("10.0.0.1"), "https", None),
        (9, &forged_and_real[..], Some("10.0.0.1"), "https", None),
        (0, &rfc[..], None, "http", Some("inner")),
        (1, &rfc[..], Some("2001:db8::1"), "https", Some("shop.example")),
        (1, &[("x-forwarded-for", "unknown")][..], None, "http", None),
        (1, &[("x-forwarded-for", "192.0.2.1:99")][..], Some("192.0.2.1"), "http", None),
        (1, &[("x-forwarded-proto", "javascript")][..], None, "http", None),
        (
            1,
            &[("x-forwarded-host", "evil.example, shop.example"), ("host", "inner")][..],
            None,
            "http",
            Some("shop.example"),
        ),
    ] {
        let (span, _) = one(ServerLayer::new().proxies(proxies), get("/orders/7", headers)).await;
        assert_text(&span, "client.address", client);
        assert_text(&span, "url.scheme", Some(scheme));
        assert_text(&span, "server.address", host);
    }
}

/// What the caller sends, or makes a proxy quote, does not change how the last element is read.
#[tokio::test]
async fn a_caller_cannot_forge_what_a_proxy_has_written() {
    let real = Some("203.0.113.9");
    let forged = ("x-forwarded-for", &b"10.0.0.1"[..]);
    for (headers, client, host) in [
        // In a quoted string, as a host that the proxy has received.
        (vec![("forwarded", &b"for=203.0.113.9;host=\"a,for=10.0.0.1\""[..])], real, Some("a,for=10.0.0.1")),
        (vec![("forwarded", b"for=203.0.113.9;host=\"a;for=10.0.0.1;b\"")], real, Some("a;for=10.0.0.1;b")),
        (vec![("forwarded", b"host=\"a\\\",for=10.0.0.1\";for=203.0.113.9")], real, None),
        // A quote that is not closed.
        (vec![("forwarded", b"for=10.0.0.1;host=\", for=203.0.113.9;host=shop.example")], real, Some("shop.example")),
        (vec![("forwarded", b"for=10.0.0.1;x=\"\\\", for=203.0.113.9")], real, None),
        // Bytes that are not text.
        (vec![forged, ("x-forwarded-for", b"\xff, 203.0.113.9")], real, None),
        (vec![("forwarded", b"for=10.0.0.1"), ("forwarded", b"x=\xff, for=203.0.113.9;host=\xff")], real, None),
        // The proxy does not say who the client is, and has not written the other header.
        (vec![forged, ("forwarded", b"for=unknown")], None, None),
        (vec![forged, ("forwarded", b"for=_hidden;host=shop.example")], None, Some("shop.example")),
        (vec![forged, ("forwarded", b"proto=https")], Some("10.0.0.1"), None),
    ] {
        let mut request = get("/orders/7", &[]);
        for (name, value) in &headers {
            request.headers_mut().append(*name, http::HeaderValue::from_bytes(value).expect("a header value"));
        }
        let (span, _) = one(ServerLayer::new().proxies(1), request).await;
        assert_text(&span, "client.address", client);
        assert_text(&span, "server.address", host);
    }
}

#[tokio::test]
async fn ports_follow_the_scheme() {
    for (layer, host, port) in [
        (ServerLayer::new(), "shop.example", 80),
        (ServerLayer::new().scheme("https"), "shop.example", 443),
        (ServerLayer::new().scheme("https"), "shop.example:8443", 8443),
    ] {
        let (span, _) = one(layer, get("/orders/7", &[("host", host)])).await;
        assert_text(&span, "server.address", Some("shop.example"));
        assert_number(&span, "server.port", port);
    }
    // The scheme of the URI, as in HTTP/2, takes precedence over that of the layer.
    for (layer, scheme, port) in [(ServerLayer::new().scheme("https"), "http", 80), (ServerLayer::new(), "https", 443)]
    {
        let (span, _) = one(layer, get(&format!("{scheme}://shop.example/orders/7"), &[])).await;
        assert_text(&span, "url.scheme", Some(scheme));
        assert_number(&span, "server.port", port);
    }
    let (span, _) = one(ServerLayer::new(), get("/orders/7", &[("host", "[::1]:80")])).await;
    assert_text(&span, "server.address", Some("::1"));
    let (span, _) = one(ServerLayer::new(), get("/orders/7", &[("host", "no host at all")])).await;
    assert_text(&span, "server.address", None);
}

#[tokio::test]
async fn versions_are_those_of_the_conventions() {
    for (version, expected) in [
        (Version::HTTP_09, "0.9"),
        (Version::HTTP_10, "1.0"),
        (Version::HTTP_11, "1.1"),
        (Version::HTTP_2, "2"),
        (Version::HTTP_3, "3"),
    ] {
        let mut request = get("/orders/7", &[]);
        *request.version_mut() = version;
        let (span, _) = one(ServerLayer::new(), request).await;
        assert_text(&span, "network.protocol.version", Some(expected));
    }
}

#[tokio::test]
async fn headers_are_recorded_on_demand() {
    let layer = ServerLayer::new()
        .record_request_headers(["X-Color", "x-absent", "not a header"])
        .record_response_headers(["content-type"]);
    let request = get("/orders/7", &[("x-color", "red"), ("x-color", "blue")]);
    let (span, _) = one(layer, request).await;
    assert_eq!(span.attribute("http.request.header.x-color"), Some(&list(&["red", "blue"])));
    assert_eq!(span.attribute("http.request.header.x-absent"), None);
    let content_type = span.attribute("http.response.header.content-type");
    assert_eq!(content_type, Some(&list(&["text/plain; charset=utf-8"])));
}

#[tokio::test]
async fn more_parameters_can_be_redacted() {
    let (span, _) = one(ServerLayer::new().redact(["token"]), get("/orders/7?token=t&page=1", &[])).await;
    assert_text(&span, "url.query", Some("token=REDACTED&page=1"));
}

#[tokio::test]
async fn a_nested_router_is_seen_as_a_whole() {
    let capture = Capture::new();
    let inner = Router::new().route("/orders/{order_no}", axum::routing::get(|| async { "ok" }));
    let layer = ServerLayer::new().tag(RequestTag::new("version").path("version"));
    let router = Router::new().nest("/api/{version}", inner.layer(layer));
    send(&capture, router, get("/api/v2/orders/7", &[])).await;
    let span = capture.span("GET /api/{version}/orders/{order_no}");
    assert_text(&span, "url.path", Some("/api/v2/orders/7"));
    assert_text(&span, "version", Some("v2"));
}

#[tokio::test]
async fn a_closure_can_provide_the_route_outside_of_the_router() {
    let capture = Capture::new();
    let route = |parts: &http::request::Parts| match parts.uri.path() {
        "/empty" => Some("".into()),
        path => path.starts_with("/orders/").then(|| "/orders/{no}".into()),
    };
    let service =
        service_fn(|_: Request<()>| async { Ok::<_, std::convert::Infallible>(http::Response::new(String::new())) });
    let service = ServerLayer::new().route(route).layer(service);
    for path in ["/orders/7", "/other", "/empty"] {
        let request = Request::get(path).version(Version::HTTP_2).body(()).expect("a request");
        capture.run_async(service.clone().oneshot(request)).await.expect("an answer");
    }
    capture.assert_tree("GET /orders/{no} [server]\nGET [server]\nGET [server]");
    for span in capture.named("GET") {
        assert_text(&span, "network.protocol.version", Some("2"));
        assert_text(&span, "http.route", None);
    }
}

#[tokio::test]
async fn an_error_of_the_service_is_recorded_and_passed_on() {
    let capture = Capture::new();
    let service = service_fn(|_: Request<()>| async {
        Err::<http::Response<String>, _>(std::io::Error::other("the pool is empty"))
    });
    let answer = capture.run_async(ServerLayer::new().layer(service).oneshot(Request::new(()))).await;
    assert_eq!(answer.expect_err("an error").to_string(), "the pool is empty");
    let span = capture.span("GET");
    assert_eq!(span.status, Status::error("the pool is empty"));
    assert_text(&span, "error.type", Some("std::io::error::Error"));
    assert!(span.event("exception").is_some());
}

#[tokio::test]
async fn a_panic_is_recorded_and_goes_on() {
    fn panic_later() -> Result<http::Response<String>, std::convert::Infallible> {
        panic!("no such order")
    }
    for sync in [false, true] {
        let capture = Capture::new();
        let service = service_fn(move |_: Request<()>| {
            assert!(!sync, "no such order");
            async { panic_later() }
        });
        let service = ServerLayer::new().layer(service);
        let task = tokio::spawn(capture.run_async(async move { service.oneshot(Request::new(())).await.is_ok() }));
        assert!(task.await.expect_err("the task").is_panic());
        let span = capture.span("GET");
        assert!(span.is_panicked(), "{span:?}");
        assert_eq!(span.status, Status::error("no such order"));
    }
}

#[tokio::test]
async fn an_unsampled_request_is_handled_and_propagated_but_not_recorded() {
    let capture = Capture::new();
    let router = Router::new()
        .route("/", axum::routing::get(|| async { throughline::Carrier::capture().traceparent.unwrap_or_default() }))
        .layer(ServerLayer::new());
    let response = send(&capture, router, get("/", &[("traceparent", NOT_SAMPLED)])).await;
    assert!(capture.spans().is_empty() && capture.open() == 0);
    let passed_on = String::from_utf8_lossy(response.body()).into_owned();
    assert!(passed_on.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{passed_on}");
    assert!(passed_on.ends_with("-00"), "{passed_on}");
    assert_eq!(response.headers()["x-request-id"], "0af7651916cd43dd8448eb211c80319c");
}

#[tokio::test]
async fn a_handler_runs_in_the_span() {
    #[traced]
    async fn load() {}
    let capture = Capture::new();
    let handler = || async {
        load().await;
        throughline::span("job").spawn(load()).await.expect("a job");
        "ok"
    };
    let router = Router::new().route("/", axum::routing::get(handler)).layer(ServerLayer::new());
    send(&capture, router, get("/", &[])).await;
    capture.assert_tree("GET / [server]\n├── load\n└── job\n    └── load");
}

#[tokio::test]
async fn secrets_in_a_url_are_not_recorded() {
    let layer = ServerLayer::new().redact(["mine"]).reveal(["code"]);
    let uri = "/orders/7;jsessionid=1?token=2&page=3;sig=4&Mine=5&code=6&next=%2Fcb%3Fpassword%3D7";
    let (span, _) = one(layer, get(uri, &[])).await;
    assert_text(&span, "url.path", Some("/orders/7;jsessionid=REDACTED"));
    assert_text(&span, "url.query", Some("token=REDACTED&page=3;sig=REDACTED&Mine=REDACTED&code=6&next=REDACTED"));
}
