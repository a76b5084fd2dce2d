//! Failed requests: the span and the event.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::response::IntoResponse;
use http::{Request, Response, StatusCode};
use opentelemetry::trace::Status;
use throughline::testing::Capture;
use throughline::traced;
use throughline_http::{Cause, ClientLayer, RequestTag, ServerLayer};
use throughline_reqwest::RequestBuilderExt as _;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use super::{NOT_SAMPLED, SAMPLED, TRACE, assert_no_doubles, assert_text, get, send};

/// An address where nothing listens.
async fn nowhere() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    format!("http://{address}/stock?token=hunter2")
}

#[derive(Debug)]
struct Wrapped(&'static str, Option<Box<dyn Error + Send + Sync>>);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

fn refused() -> Wrapped {
    Wrapped("cannot connect", Some(Box::new(io::Error::from(io::ErrorKind::ConnectionRefused))))
}

const REFUSED: &str = "cannot connect: connection refused";

/// The events of the server layer, a line for each.
#[derive(Clone, Default)]
struct Events {
    lines: Arc<Mutex<Vec<String>>>,
    /// Whether no formatter of this process writes IDs and tags on each line.
    bare: bool,
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "throughline::http" {
            return;
        }
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        if !self.bare {
            let current = throughline::log::current();
            let _ = write!(line.0, " {}", current.trace_id().map(|id| id.to_string()).unwrap_or_default());
            for tag in current.tags() {
                let _ = write!(line.0, " {}={}", tag.key, tag.value);
            }
        }
        self.lines.lock().expect("no panic").push(line.0);
    }
}

impl Events {
    fn taken(&self) -> Vec<String> {
        self.lines.lock().expect("no panic").clone()
    }
}

/// Sends a request to `router`, and returns its events and spans.
async fn events_of(router: Router, request: Request<axum::body::Body>) -> (Vec<String>, Capture) {
    let (events, capture) = (Events::default(), Capture::new());
    let _default = crate::subscriber::set_default(tracing_subscriber::registry().with(events.clone()));
    // Marks this process as one with such a formatter.
    let _ = throughline::log::current();
    send(&capture, router, request).await;
    (events.taken(), capture)
}

fn answering(status: u16) -> Router {
    let layer = ServerLayer::new()
        .tag(RequestTag::new("tenant_id").path("tenant"))
        .tag(RequestTag::new("region").constant("eu"));
    let handler = move || async move { StatusCode::from_u16(status).expect("a status") };
    Router::new().route("/tenants/{tenant}/orders", axum::routing::any(handler)).layer(layer)
}

#[tokio::test]
async fn a_failure_of_the_server_writes_one_event() {
    for traceparent in [SAMPLED, NOT_SAMPLED] {
        for status in [500, 502, 599] {
            let request = get("/tenants/acme/orders", &[("traceparent", traceparent)]);
            let (events, _) = events_of(answering(status), request).await;
            let [event] = events.as_slice() else { panic!("not one event: {events:?}") };
            assert_eq!(
                *event,
                format!(
                    "ERROR message=request failed http.request.method=\"GET\" \
                     http.route=\"/tenants/{{tenant}}/orders\" http.response.status_code={status} \
                     {TRACE} tenant_id=acme region=eu"
                )
            );
        }
    }
    for status in [200, 302, 404, 499] {
        let (events, _) = events_of(answering(status), get("/tenants/acme/orders", &[])).await;
        assert!(events.is_empty(), "{status}: {events:?}");
    }
}

/// Runs in its own process, where no formatter of this crate writes IDs and tags.
#[tokio::test]
async fn other_subscribers_get_ids_and_tags_as_fields() {
    const ALONE: &str = "THROUGHLINE_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let this = "http::failures::other_subscribers_get_ids_and_tags_as_fields";
        let mut again = std::process::Command::new(std::env::current_exe().expect("a path"));
        let output = again.args(["--exact", this]).env(ALONE, "1").output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let events = Events { bare: true, ..Events::default() };
    let _default = crate::subscriber::set_default(tracing_subscriber::registry().with(events.clone()));
    send(&Capture::new(), answering(500), get("/tenants/acme/orders", &[("traceparent", NOT_SAMPLED)])).await;
    let lines = events.taken();
    assert!(lines[0].contains(&format!(" trace_id={TRACE} span_id=")), "{lines:?}");
    assert!(lines[0].ends_with(" throughline.tags=\"tenant_id=acme region=eu\""), "{lines:?}");
}

/// A subscriber is application code.
#[tokio::test]
async fn a_subscriber_that_panics_does_not_fail_the_request() {
    struct Panics;
    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Panics {
        fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
            panic!("no disk");
        }
    }
    let _default = crate::subscriber::set_default(tracing_subscriber::registry().with(Panics));
    let response = send(&Capture::new(), answering(503), get("/tenants/acme/orders", &[])).await;
    assert_eq!(response.status(), 503);
}

#[tokio::test]
async fn two_layers_write_one_event() {
    let (events, _) = events_of(answering(500).layer(ServerLayer::new()), get("/tenants/acme/orders", &[])).await;
    assert_eq!(events.len(), 1, "{events:?}");
}

#[tokio::test]
async fn the_event_has_the_route_that_only_the_inner_layer_knows() {
    let outer = Router::new().fallback_service(answering(500)).layer(ServerLayer::new());
    let (events, capture) = events_of(outer, get("/tenants/acme/orders", &[])).await;
    let [event] = events.as_slice() else { panic!("not one event: {events:?}") };
    let span = capture.span("GET /tenants/{tenant}/orders");
    assert!(event.contains("http.route=\"/tenants/{tenant}/orders\""), "{event}");
    super::assert_text(&span, "http.route", Some("/tenants/{tenant}/orders"));
}

#[tokio::test]
async fn an_error_of_the_service_writes_one_event() {
    let (events, capture) = (Events::default(), Capture::new());
    let _default = crate::subscriber::set_default(tracing_subscriber::registry().with(events.clone()));
    let service = service_fn(|_: Request<()>| async { Err::<Response<String>, _>(tower::BoxError::from(refused())) });
    let layer = ServerLayer::new();
    let answer = capture.run_async(layer.layer(service).oneshot(Request::new(()))).await;
    assert!(answer.is_err());
    let events = events.taken();
    assert_eq!(events.len(), 1);
    assert!(events[0].contains(REFUSED), "{events:?}");
    assert_eq!(capture.span("GET").status, Status::error(REFUSED));
}

#[tokio::test]
async fn a_handler_can_record_the_cause() {
    let with_parts = || async { (StatusCode::BAD_GATEWAY, Cause::from_error(&refused()), "sorry").into_response() };
    let with_extension = || async {
        let mut response = StatusCode::BAD_GATEWAY.into_response();
        response.extensions_mut().insert(Cause::new(REFUSED));
        response
    };
    let fine = || async { (StatusCode::OK, Cause::from_error(&refused())).into_response() };
    let router = Router::new()
        .route("/parts", axum::routing::get(with_parts))
        .route("/extension", axum::routing::get(with_extension))
        .route("/fine", axum::routing::get(fine))
        .layer(ServerLayer::new());
    for uri in ["/parts", "/extension"] {
        let (events, capture) = events_of(router.clone(), get(uri, &[])).await;
        let span = capture.span(&format!("GET {uri}"));
        assert_eq!(span.status, Status::error(REFUSED), "{uri}");
        assert_text(&span, "error.type", Some("502"));
        assert_no_doubles(&span);
        let event = span.event("exception").expect("an event");
        assert_eq!(event.attributes, [opentelemetry::KeyValue::new("exception.message", REFUSED)]);
        assert!(events[0].contains(&format!(" error=\"{REFUSED}\"")), "{events:?}");
        // In an unsampled trace, there is only the log.
        let (events, _) = events_of(router.clone(), get(uri, &[("traceparent", NOT_SAMPLED)])).await;
        assert!(events[0].contains(&format!(" error=\"{REFUSED}\"")), "{events:?}");
    }
    let (events, capture) = events_of(router, get("/fine", &[])).await;
    assert!(events.is_empty());
    assert_eq!(capture.span("GET /fine").status, Status::Unset);
}

/// A proxy without any code for traces.
#[tokio::test]
async fn the_error_of_a_call_is_the_cause_of_a_502() {
    let url = nowhere().await;
    let with_reqwest = {
        let url = url.clone();
        move || async move {
            let client = reqwest::Client::builder().no_proxy().build().expect("a client");
            match client.get(url).send_traced().await {
                Ok(_) => StatusCode::OK,
                Err(_) => StatusCode::BAD_GATEWAY,
            }
        }
    };
    let with_hyper = move || async move {
        let connector = hyper_util::client::legacy::connect::HttpConnector::new();
        let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .build::<_, http_body_util::Empty<bytes::Bytes>>(connector);
        let request = Request::get(url).body(http_body_util::Empty::new()).expect("a request");
        match ClientLayer::new().layer(client).oneshot(request).await {
            Ok(_) => StatusCode::OK,
            Err(_) => StatusCode::BAD_GATEWAY,
        }
    };
    let router = Router::new()
        .route("/reqwest", axum::routing::get(with_reqwest))
        .route("/hyper", axum::routing::get(with_hyper))
        .layer(ServerLayer::new());
    for uri in ["/reqwest", "/hyper"] {
        for traceparent in [SAMPLED, NOT_SAMPLED] {
            let (events, capture) = events_of(router.clone(), get(uri, &[("traceparent", traceparent)])).await;
            assert!(events[0].contains("Connection refused"), "{uri} {traceparent}: {events:?}");
            assert!(!events[0].contains("hunter2"), "{events:?}");
            if traceparent == SAMPLED {
                for span in [capture.span("GET"), capture.span(&format!("GET {uri}"))] {
                    let Status::Error { description } = &span.status else { panic!("{:?}", span.status) };
                    assert!(description.contains("Connection refused"), "{uri}: {description}");
                    assert_no_doubles(&span);
                }
            }
        }
    }
}

#[tokio::test]
async fn the_error_of_a_function_is_the_cause_of_a_502() {
    #[traced]
    async fn charge() -> Result<(), io::Error> {
        Err(io::Error::other("the card has expired"))
    }
    let handler = || async {
        match charge().await {
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    };
    let dealt_with = || async {
        let _ = charge().await;
        StatusCode::OK
    };
    let router = Router::new()
        .route("/", axum::routing::get(handler))
        .route("/fine", axum::routing::get(dealt_with))
        .layer(ServerLayer::new());
    let (events, capture) = events_of(router.clone(), get("/", &[])).await;
    assert_eq!(capture.span("GET /").status, Status::error("the card has expired"));
    assert!(events[0].contains("the card has expired"));
    let (events, capture) = events_of(router, get("/fine", &[])).await;
    assert_eq!(capture.span("GET /fine").status, Status::Unset);
    assert!(events.is_empty());
}

#[tokio::test]
async fn an_error_that_is_a_response_does_not_hide_its_cause() {
    #[traced]
    async fn charge() -> Result<(), io::Error> {
        Err(io::Error::other("the card has expired"))
    }
    #[traced]
    async fn order(path: axum::extract::Path<u16>) -> Result<(), (StatusCode, &'static str)> {
        let status = StatusCode::from_u16(path.0).expect("a status");
        charge().await.map_err(|_| (status, "sorry"))
    }
    let router = Router::new().route("/{status}", axum::routing::get(order)).layer(ServerLayer::new());
    for (path, expected) in [("/404", Status::Unset), ("/500", Status::error("the card has expired"))] {
        let (_, capture) = events_of(router.clone(), get(path, &[])).await;
        assert_eq!(capture.span("GET /{status}").status, expected);
        assert_eq!(capture.span("order").status, Status::error(""));
    }
}

#[tokio::test]
async fn errors_of_a_client_have_their_causes() {
    async fn describe<E: fmt::Display + 'static>(layer: ClientLayer, error: impl Fn() -> E) -> String {
        let capture = Capture::new();
        let service = service_fn(|_: Request<()>| std::future::ready(Err::<Response<()>, E>(error())));
        let answer = capture.run_async(layer.layer(service).oneshot(Request::new(()))).await;
        assert!(answer.is_err());
        let Status::Error { description } = &capture.span("GET").status else { panic!("no error") };
        description.to_string()
    }
    let plain = ClientLayer::new;
    assert_eq!(describe(plain(), || tower::BoxError::from(refused())).await, REFUSED);
    assert_eq!(describe(plain(), || Box::<dyn Error>::from(refused())).await, REFUSED);
    assert_eq!(describe(plain(), || io::Error::other(refused())).await, REFUSED);
    assert_eq!(describe(plain(), || anyhow::Error::from(refused())).await, REFUSED);
    assert_eq!(describe(plain(), || "no error at all").await, "no error at all");
    // An unregistered type has its own text.
    assert_eq!(describe(plain(), refused).await, "cannot connect");
    assert_eq!(describe(plain().causes_of::<Wrapped>(), refused).await, REFUSED);
    // A cause that is part of the error text is not repeated.
    let told = || Wrapped("no way: connection refused", refused().1);
    assert_eq!(describe(plain().causes_of::<Wrapped>(), told).await, "no way: connection refused");
}

/// An error that is its own source.
#[tokio::test]
async fn a_cyclic_chain_of_causes_is_limited() {
    #[derive(Debug)]
    struct Circle;
    impl fmt::Display for Circle {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("again")
        }
    }
    impl Error for Circle {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }
    assert_eq!(Cause::from_error(&Circle).to_string(), "again");
}

/// A response that fails twice has one `error.type`, because an exporter would receive both.
#[tokio::test]
async fn a_failure_whose_body_fails_too_is_recorded_once() {
    let handler = || async {
        let chunks = futures::stream::iter([Ok("a"), Err(refused())]);
        (StatusCode::BAD_GATEWAY, Cause::new("no stock"), axum::body::Body::from_stream(chunks))
    };
    let router = Router::new().route("/", axum::routing::get(handler)).layer(ServerLayer::new());
    let capture = Capture::new();
    capture
        .run_async(async {
            let response = router.oneshot(get("/", &[])).await.expect("an answer");
            assert!(http_body_util::BodyExt::collect(response.into_body()).await.is_err());
        })
        .await;
    let span = capture.span("GET /");
    assert_no_doubles(&span);
    assert_eq!(span.status, Status::error(REFUSED), "the last failure is the one that the caller sees");
}
