//! Tags from requests: their sources and precedence.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use http::Request;
use http_body_util::BodyExt as _;
use opentelemetry::KeyValue;
use throughline::biz_tags;
use throughline::propagation::SendBaggage;
use throughline::testing::{Capture, FinishedSpan};
use throughline::traced;
use throughline_http::{ClientLayer, RequestTag, ServerLayer};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::output::Output;

use super::{SAMPLED, assert_no_doubles, assert_text, get, one, send};

const PATH: &str = "/tenants/from-path/files/a/b%20c?tenant=from+query&empty=";

async fn tag_of(tag: RequestTag, uri: &str, headers: &[(&str, &str)]) -> (Option<String>, FinishedSpan) {
    let layer = ServerLayer::new().tag_header("tenant_id", "x-travel-tenant").tag(tag);
    let (span, _) = one(layer, get(uri, headers)).await;
    assert_no_doubles(&span);
    (span.attribute("tenant_id").map(ToString::to_string), span)
}

fn tag() -> RequestTag {
    RequestTag::new("tenant_id")
}

#[tokio::test]
async fn sources() {
    for (tag, expected) in [
        (tag(), None),
        (tag().header("X-Tenant-Id"), Some("from-header")),
        (tag().header("x-absent"), None),
        (tag().header("x-blank"), None),
        (tag().header("not a header"), None),
        (tag().path("tenant"), Some("from-path")),
        (tag().path("rest"), Some("a/b c")),
        (tag().path("absent"), None),
        (tag().query("tenant"), Some("from query")),
        (tag().query("empty"), None),
        (tag().query("absent"), None),
        (tag().env("CARGO_PKG_NAME"), Some("throughline-tests")),
        (tag().env("THROUGHLINE_NO_SUCH_VARIABLE"), None),
        (tag().constant("gold"), Some("gold")),
        (tag().default("unknown"), Some("unknown")),
        (tag().constant(7), Some("7")),
    ] {
        let shown = format!("{tag:?}");
        let (value, _) = tag_of(tag, PATH, &[("x-tenant-id", "from-header"), ("x-blank", "  ")]).await;
        assert_eq!(value.as_deref(), expected, "{shown}");
    }
}

/// axum permits text in front of a parameter. If it hid the parameter, the caller's header would be used.
#[tokio::test]
async fn a_parameter_may_be_a_part_of_a_segment() {
    let capture = Capture::new();
    let layer = ServerLayer::new().tag(tag().path("tenant").header("x-tenant-id"));
    let handler = |Path(tenant): Path<String>| async move { tenant };
    let router = Router::new().route("/orders/of-{tenant}", axum::routing::get(handler)).layer(layer);
    let response = send(&capture, router, get("/orders/of-a%20b", &[("x-tenant-id", "evil")])).await;
    assert_eq!(response.body(), "a b", "what the handler gets");
    assert_text(&capture.span("GET /orders/of-{tenant}"), "tenant_id", Some("a b"));
}

/// Each row removes the source that won in the row before.
#[tokio::test]
async fn priority() {
    let all =
        || tag().header("x-tenant-id").path("tenant").query("tenant").baggage("tenant_id").default("from-default");
    let reversed =
        || tag().default("from-default").baggage("tenant_id").query("tenant").path("tenant").header("x-tenant-id");
    let header = ("x-tenant-id", "from-header");
    let travel = ("x-travel-tenant", "from-travel");
    let baggage = ("baggage", "tenant_id=from-baggage");
    let no_route = "/none?tenant=from-query";
    for (tag, uri, headers, expected) in [
        (all(), PATH, &[header, travel, baggage][..], "from-path"),
        (all(), no_route, &[header, travel, baggage], "from-header"),
        (all(), no_route, &[travel, baggage], "from-query"),
        (all(), "/none", &[travel, baggage], "from-travel"),
        (all(), "/none", &[baggage], "from-baggage"),
        (all(), "/none", &[], "from-default"),
        // Sources of the layer apply in the order of configuration; the others have a fixed precedence.
        (reversed(), PATH, &[header, travel, baggage], "from-path"),
        (reversed(), no_route, &[header, travel, baggage], "from-query"),
        (reversed(), "/none", &[header, travel, baggage], "from-header"),
        (reversed(), "/none", &[travel, baggage], "from-travel"),
        (reversed(), "/none", &[baggage], "from-baggage"),
        (tag().header("x-tenant-id").constant("fixed"), PATH, &[header], "fixed"),
        (tag().header("x-tenant-id").constant("fixed"), PATH, &[travel, baggage], "fixed"),
        (tag().query("tenant").env("CARGO_PKG_NAME"), PATH, &[], "throughline-tests"),
        (tag().path("tenant").constant("fixed"), PATH, &[], "from-path"),
        (tag().constant("fixed").path("tenant"), PATH, &[], "fixed"),
        // Unless it is configured.
        (all().caller_first(), PATH, &[header, travel, baggage], "from-header"),
        (reversed().caller_first(), PATH, &[header, travel, baggage], "from query"),
        (all().caller_first(), "/tenants/from-path/files/a", &[travel, baggage], "from-path"),
        (tag().header("x-tenant-id").constant("fixed").caller_first(), PATH, &[header], "from-header"),
    ] {
        let (value, _) = tag_of(tag, uri, headers).await;
        assert_eq!(value.as_deref(), Some(expected), "{uri} {headers:?}");
    }
}

/// The baggage and the header that a handler would send to other services.
async fn told(tag: RequestTag, headers: &[(&str, &str)]) -> String {
    #[biz_tags(tenant_id)]
    async fn handle(tenant_id: String, request: Request<Body>) -> String {
        let (mut parts, _) = request.into_parts();
        parts.uri = "http://orders.internal/".parse().expect("a URI");
        let request = Request::from_parts(parts, ());
        let echo = service_fn(|request: Request<()>| async move {
            let header =
                |name| request.headers().get(name).map_or("", |value| value.to_str().expect("text")).to_owned();
            Ok::<_, std::convert::Infallible>(http::Response::new(format!(
                "{}|{}",
                header("baggage"),
                header("x-tenant-id")
            )))
        });
        let client = ClientLayer::new().tag_header("tenant_id", "x-tenant-id").layer(echo);
        client.oneshot(request).await.expect("an answer").into_body()
    }
    let capture = Capture::new();
    let handler = |Path(tenant): Path<String>, request: Request<Body>| handle(tenant, request);
    let layer = ServerLayer::new().tag_header("tenant_id", "x-travel-tenant").tag(tag);
    let router = Router::new().route("/tenants/{tenant_id}/orders", axum::routing::get(handler)).layer(layer);
    let response = send(&capture, router, get("/tenants/acme/orders?tenant=evil", headers)).await;
    for span in capture.spans() {
        assert_text(&span, "tenant_id", Some("acme"));
    }
    String::from_utf8(response.body().to_vec()).expect("text")
}

#[tokio::test]
async fn a_caller_cannot_set_the_tenant_for_downstream_services() {
    let sampled = ("traceparent", SAMPLED);
    let not_sampled = ("traceparent", super::NOT_SAMPLED);
    for evil in [
        &[("x-tenant-id", "evil")][..],
        &[("baggage", "tenant_id=evil")],
        &[("x-travel-tenant", "evil")],
        &[("x-tenant-id", "evil"), ("baggage", "tenant_id=evil"), ("x-travel-tenant", "evil")],
        &[("x-tenant-id", "evil"), ("baggage", "tenant_id=evil"), sampled],
        &[("x-tenant-id", "evil"), ("baggage", "tenant_id=evil"), not_sampled],
    ] {
        for tag in [
            tag().header("x-tenant-id").path("tenant_id").propagate(),
            tag().path("tenant_id").query("tenant").baggage("tenant_id").propagate(),
            tag().header("x-tenant-id").constant("acme").propagate(),
        ] {
            assert_eq!(told(tag.clone(), evil).await, "tenant_id=acme|acme", "{tag:?} {evil:?}");
        }
        // A tag that is not sent must at least not be contradicted.
        let told = told(tag().path("tenant_id"), evil).await;
        assert!(!told.contains("evil"), "{told} {evil:?}");
    }
}

#[tokio::test]
async fn text_from_outside_has_the_configured_type() {
    use throughline::propagation::TagType;
    let order = |headers: &'static [(&'static str, &'static str)], tag: RequestTag| async move {
        let (span, _) = one(ServerLayer::new().tag(tag), get("/orders/7?no=1002", headers)).await;
        span.attribute("order_no").cloned()
    };
    let tag = || RequestTag::new("order_no").of_type(TagType::Integer);
    assert_eq!(order(&[("x-no", "1001")], tag().header("x-no")).await, Some(1001_i64.into()));
    assert_eq!(order(&[], tag().query("no")).await, Some(1002_i64.into()));
    assert_eq!(order(&[], tag().path("order_no")).await, Some(7_i64.into()));
    assert_eq!(order(&[("baggage", "no=1003")], tag().baggage("no")).await, Some(1003_i64.into()));
    assert_eq!(order(&[("x-no", "A-7")], tag().header("x-no")).await, Some("A-7".into()));
}

/// The SDK keeps both of two attributes with the same key.
#[tokio::test]
async fn keys_are_unique() {
    let headers = [("x-a", "a"), ("x-b", "b")];
    let twice = ServerLayer::new().tag(tag().header("x-a")).tag(tag().header("x-b"));
    let (span, _) = one(twice.clone(), get("/orders/7", &headers)).await;
    assert_text(&span, "tenant_id", Some("b"));
    assert_no_doubles(&span);
    let (span, _) = one(twice, get("/orders/7", &headers[..1])).await;
    assert_text(&span, "tenant_id", None);

    let travelling = ServerLayer::new().tag_header("tenant_id", "x-a").tag_header("tenant_id", "x-b");
    for (headers, expected) in [(&headers[..], "a"), (&headers[1..], "b")] {
        let (span, _) = one(travelling.clone(), get("/orders/7", headers)).await;
        assert_text(&span, "tenant_id", Some(expected));
        assert_no_doubles(&span);
    }
}

#[tokio::test]
async fn an_explicit_argument_takes_precedence_from_there_on() {
    #[traced]
    async fn below() {}

    #[traced]
    #[biz_tags(tenant_id)]
    async fn handle(tenant_id: &str) {
        below().await;
    }
    let capture = Capture::new();
    let handler = || async {
        below().await;
        handle("from-argument").await;
        "ok"
    };
    let router = Router::new()
        .route("/", axum::routing::get(handler))
        .layer(ServerLayer::new().tag(tag().header("x-tenant-id")));
    send(&capture, router, get("/", &[("x-tenant-id", "from-header")])).await;
    capture.assert_tree_with(
        &["tenant_id"],
        "
        GET / [server] tenant_id=from-header
        ├── below tenant_id=from-header
        └── handle tenant_id=from-argument
            └── below tenant_id=from-argument
        ",
    );
}

#[tokio::test]
async fn a_missing_tag_is_reported_and_the_request_continues() {
    let (span, response) =
        one(ServerLayer::new().tag(tag().header("x-tenant-id").required()), get("/orders/7", &[])).await;
    assert_eq!(response.status(), 200);
    let event = span.event("throughline.tag.missing").expect("an event");
    assert_eq!(event.attributes, [KeyValue::new("throughline.tag.key", "tenant_id")]);

    for (tag, headers) in [
        (tag().header("x-tenant-id").required(), ("x-tenant-id", "acme")),
        (tag().header("x-tenant-id").required(), ("x-travel-tenant", "acme")),
        (tag().header("x-tenant-id").default("unknown").required(), ("accept", "*/*")),
    ] {
        let (_, span) = tag_of(tag, "/orders/7", &[headers]).await;
        assert!(span.event("throughline.tag.missing").is_none(), "{headers:?}");
    }
}

#[tokio::test]
async fn a_request_without_a_route_has_no_missing_tags() {
    let layer = || ServerLayer::new().tag(tag().header("x-tenant-id").required());
    let (span, response) = one(layer(), get("/wp-login.php", &[])).await;
    assert_eq!(response.status(), 404);
    assert!(span.event("throughline.tag.missing").is_none());
    // A route that responds with 404 exists.
    let (span, _) = one(layer(), get("/status/404", &[])).await;
    assert!(span.event("throughline.tag.missing").is_some());

    // Around a service without routes, or with routes that are not visible to the layer.
    for (status, reported) in [(200, true), (404, false), (500, true)] {
        let capture = Capture::new();
        let service = layer().layer(service_fn(move |_: Request<()>| async move {
            let response = http::Response::builder().status(status).body(String::new());
            Ok::<_, std::convert::Infallible>(response.expect("a response"))
        }));
        let response = capture.run_async(service.oneshot(Request::new(()))).await.expect("an answer");
        drop(response);
        let events = capture.span("GET").events.iter().filter(|event| event.name == "throughline.tag.missing").count();
        assert_eq!(events, usize::from(reported), "{status}");
    }
}

#[tokio::test]
async fn an_invalid_header_name_is_logged_and_ignored() {
    let output = Output::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(output.writer()).finish();
    let _default = crate::subscriber::set_default(subscriber);
    let layer = || ServerLayer::new().tag_header("biz_id", "no header").tag(tag().header("a:b").header("x-tenant-id"));
    let (span, _) = one(layer().record_request_headers(["c d"]), get(PATH, &[("x-tenant-id", "acme")])).await;
    assert_text(&span, "tenant_id", Some("acme"));
    let lines = output.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, name) in lines.iter().zip(["no header", "a:b", "c d"]) {
        assert!(line.contains(&format!("ERROR throughline: invalid header name `{name}`: ")), "{line}");
    }
}

#[tokio::test]
async fn secrets_are_hashed_or_masked() {
    let (masked, _) = tag_of(tag().header("x-tenant-id").mask(), PATH, &[("x-tenant-id", "13800138000")]).await;
    assert_eq!(masked.as_deref(), Some("*******8000"));
    let (hashed, _) = tag_of(tag().header("x-tenant-id").hash(), PATH, &[("x-tenant-id", "ada")]).await;
    let hashed = hashed.expect("a value");
    assert_eq!(hashed.len(), 32);
    // A value that was received as a tag was hashed by the sender.
    let (travelled, _) = tag_of(tag().header("x-tenant-id").hash(), PATH, &[("x-travel-tenant", &hashed)]).await;
    assert_eq!(travelled, Some(hashed));
    let (travelled, _) = tag_of(tag().header("x-tenant-id").mask(), PATH, &[("x-travel-tenant", "**ada-1234")]).await;
    assert_eq!(travelled.as_deref(), Some("**ada-1234"));
}

#[tokio::test]
async fn values_are_bounded_and_sanitized() {
    let (long, _) = tag_of(tag().header("x-tenant-id"), PATH, &[("x-tenant-id", &"x".repeat(50_000))]).await;
    assert_eq!(long.map(|value| value.chars().count()), Some(throughline::MAX_TEXT_BYTES + 1));
    let forged = "/tenants/a%0d%0aINFO%20all%20is%20well%1b%5b2J/files/x";
    let (value, _) = tag_of(tag().path("tenant"), forged, &[]).await;
    assert_eq!(value.as_deref(), Some("a\u{fffd}\u{fffd}INFO all is well\u{fffd}[2J"));
    let reordered = "/tenants/a%e2%80%8f%e2%80%8bb/files/x";
    let (value, _) = tag_of(tag().path("tenant"), reordered, &[]).await;
    assert_eq!(value.as_deref(), Some("a\u{fffd}\u{fffd}b"));
    let (bytes, _) = tag_of(tag().path("tenant"), "/tenants/%ff%fe/files/x", &[]).await;
    assert_eq!(bytes.as_deref(), Some("\u{fffd}\u{fffd}"));
}

#[tokio::test]
async fn a_tag_can_be_sent_as_baggage() {
    for headers in [
        &[("x-tenant-id", "acme")][..],
        &[("x-travel-tenant", "acme")],
        &[("traceparent", SAMPLED), ("x-tenant-id", "acme")],
    ] {
        let capture = Capture::new();
        let baggage = || async { throughline::Carrier::capture().baggage.unwrap_or_default() };
        let layer =
            ServerLayer::new().tag_header("tenant_id", "x-travel-tenant").tag(tag().header("x-tenant-id").propagate());
        let router = Router::new().route("/", axum::routing::get(baggage)).layer(layer);
        let response = send(&capture, router, get("/", headers)).await;
        assert_eq!(response.body().as_ref(), b"tenant_id=acme", "{headers:?}");
    }
}

/// Returns a header as the client layer sends it.
async fn sent(layer: ClientLayer, request: Request<()>) -> String {
    let echo = service_fn(|request: Request<()>| async move {
        let header = request.headers().get("x-biz-id").map_or(&b""[..], |value| value.as_bytes()).to_vec();
        Ok::<_, std::convert::Infallible>(http::Response::new(header))
    });
    let header = layer.layer(echo).oneshot(request).await.expect("an answer").into_body();
    String::from_utf8(header).expect("text")
}

fn client() -> ClientLayer {
    ClientLayer::new().tag_header("biz_id", "x-biz-id")
}

#[tokio::test]
async fn tags_are_sent_in_their_own_headers() {
    #[biz_tags(biz_id)]
    async fn tagged(biz_id: &str) -> String {
        sent(client(), Request::new(())).await
    }
    let capture = Capture::new();
    assert_eq!(capture.run_async(tagged("order")).await, "order");
    assert_eq!(capture.run_async(tagged("Łódź")).await, "Łódź");
    assert_eq!(capture.run_async(tagged("two\nlines")).await, "", "it cannot stand in a header");
    assert_eq!(capture.run_async(sent(client(), Request::new(()))).await, "");
}

#[tokio::test]
async fn a_header_that_the_caller_has_set_is_kept() {
    #[biz_tags(biz_id)]
    async fn tagged(biz_id: &str) -> String {
        let request = Request::get("/").header("x-biz-id", "mine").body(()).expect("a request");
        sent(client(), request).await
    }
    assert_eq!(Capture::new().run_async(tagged("order")).await, "mine");
}

/// A gateway forwards the request itself, with the header of its caller.
#[tokio::test]
async fn a_received_header_does_not_replace_the_tag() {
    let everything = || SendBaggage::only(["biz_id"]);
    for (tag, may_leave, expected) in
        [("order", everything(), "order"), ("two\nlines", everything(), ""), ("order", SendBaggage::none(), "")]
    {
        let gateway = service_fn(move |mut request: Request<()>| {
            request.extensions_mut().insert(may_leave.clone());
            async move { Ok::<_, std::convert::Infallible>(http::Response::new(sent(client(), request).await)) }
        });
        let gateway = ServerLayer::new().tag(RequestTag::new("biz_id").constant(tag)).layer(gateway);
        let request = Request::get("/").header("x-biz-id", "evil").body(()).expect("a request");
        let response = Capture::new().run_async(gateway.oneshot(request)).await.expect("an answer");
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body.as_ref(), expected.as_bytes(), "{tag}");
    }
}

#[tokio::test]
async fn tags_pass_through_a_service_even_if_not_sampled() {
    for traceparent in [SAMPLED, super::NOT_SAMPLED] {
        let capture = Capture::new();
        let router = Router::new()
            .route("/", axum::routing::get(|| sent(client(), Request::new(()))))
            .layer(ServerLayer::new().tag_header("biz_id", "x-biz-id"));
        let response = send(&capture, router, get("/", &[("traceparent", traceparent), ("x-biz-id", "order-7")])).await;
        assert_eq!(response.body().as_ref(), b"order-7");
    }
}

#[tokio::test]
async fn tags_are_on_the_spans_below() {
    let (span, _) = one(ServerLayer::new().tag(RequestTag::new("region").constant("eu")), get("/orders/7", &[])).await;
    assert_text(&span, "region", Some("eu"));
    let capture = Capture::new();
    let handler = || async {
        let job = throughline::span("job").spawn(async {});
        job.await.expect("a job");
        "ok"
    };
    let layer = ServerLayer::new().tag(RequestTag::new("region").constant("eu"));
    let router = Router::new().route("/", axum::routing::get(handler)).layer(layer);
    send(&capture, router, get("/", &[])).await;
    assert_text(&capture.span("job"), "region", Some("eu"));
}
