//! The X-Request-ID is the trace ID.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get as on_get;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, Sampler};
use throughline::testing::Capture;
use throughline::{Context, Outcome, RequestId, Snapshot};
use throughline_http::{ClientLayer, Outgoing, ServerLayer, Target};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::output::Output;

use super::{SAMPLED, TRACE, assert_no_doubles, get, one, router, send};

const RECORDED: &str = "http.request.header.x-request-id";
/// A caller in another trace than that of `UUID`.
const OTHER: &str = "00-11111111111111111111111111111111-b7ad6b7169203331-01";
const UUID: &str = "0AF76519-16cd-43dd-8448-eb211c80319c";

/// The result of one request.
struct Ids {
    trace: String,
    answered: String,
    recorded: Option<String>,
    has_parent: bool,
}

async fn ids(layer: ServerLayer, headers: &[(&str, &str)]) -> Ids {
    let (span, response) = one(layer, get("/orders/7", headers)).await;
    assert_no_doubles(&span);
    assert_eq!(response.headers().get_all("x-request-id").iter().count(), 1);
    Ids {
        trace: span.trace_id().to_string(),
        answered: response.headers()["x-request-id"].to_str().expect("text").to_owned(),
        recorded: span.attribute(RECORDED).map(ToString::to_string),
        has_parent: span.parent_id().is_some(),
    }
}

#[tokio::test]
async fn an_id_is_generated_at_the_first_entry() {
    let ids = ids(ServerLayer::new(), &[]).await;
    assert_eq!(ids.answered, ids.trace);
    assert_eq!(ids.answered.len(), 32);
    assert!(ids.answered.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    assert_eq!(ids.recorded, None);
}

#[tokio::test]
async fn a_suitable_id_becomes_the_trace_id() {
    for given in [TRACE, UUID, "0af76519-16cd-43dd-8448-eb211c80319c", "0AF7651916CD43DD8448EB211C80319C"] {
        for traceparent in [None, Some("00-00000000000000000000000000000000-b7ad6b7169203331-01"), Some("nonsense")] {
            let headers: Vec<_> = [Some(("x-request-id", given)), traceparent.map(|value| ("traceparent", value))]
                .into_iter()
                .flatten()
                .collect();
            let ids = ids(ServerLayer::new(), &headers).await;
            assert_eq!(ids.trace, TRACE, "{headers:?}");
            assert_eq!(ids.answered, given, "passed on as it came");
            assert_eq!(ids.recorded, None);
            assert!(!ids.has_parent, "the trace begins here: no span was made up");
        }
    }
}

#[tokio::test]
async fn another_id_is_an_attribute() {
    for given in ["order-7", "00000000000000000000000000000000", "0af7651916cd43dd8448eb211c80319", "{x} y=z"] {
        let ids = ids(ServerLayer::new(), &[("x-request-id", given)]).await;
        assert_eq!(ids.answered, given);
        assert_eq!(ids.recorded, Some(format!("[\"{given}\"]")));
        assert_ne!(ids.trace, TRACE);
        assert!(!ids.has_parent);
    }
}

#[tokio::test]
async fn a_valid_traceparent_names_the_trace() {
    let ids_without = ids(ServerLayer::new(), &[("traceparent", SAMPLED)]).await;
    assert_eq!((ids_without.trace.as_str(), ids_without.answered.as_str()), (TRACE, TRACE));

    let other = "11111111111111111111111111111111";
    let ids_with = ids(ServerLayer::new(), &[("traceparent", SAMPLED), ("x-request-id", other)]).await;
    assert_eq!((ids_with.trace.as_str(), ids_with.answered.as_str()), (TRACE, other));
    assert_eq!(ids_with.recorded, Some(format!("[\"{other}\"]")));

    let same = ids(ServerLayer::new(), &[("traceparent", SAMPLED), ("x-request-id", UUID)]).await;
    assert_eq!((same.trace.as_str(), same.answered.as_str(), same.recorded), (TRACE, UUID, None));
}

#[tokio::test]
async fn an_invalid_id_is_replaced() {
    let long = "x".repeat(257);
    for given in ["", "   ", "é", &long] {
        let ids = ids(ServerLayer::new(), &[("x-request-id", given)]).await;
        assert_eq!(ids.answered, ids.trace, "{given}");
        assert_eq!(ids.recorded, None);
    }
}

#[tokio::test]
async fn the_sampler_decides_with_the_id_that_was_given() {
    let capture = Capture::with_sampler(Sampler::TraceIdRatioBased(0.5));
    for (given, sampled) in [("00000000000000010000000000000001", true), ("0000000000000001ffffffffffffffff", false)] {
        let response = send(&capture, router(ServerLayer::new()), get("/orders/7", &[("x-request-id", given)])).await;
        assert_eq!(response.headers()["x-request-id"], given);
        assert_eq!(capture.take().len(), usize::from(sampled), "{given}");
    }
}

#[tokio::test]
async fn with_another_id_generator_the_request_keeps_its_id() {
    let (output, capture) =
        (Output::default(), Capture::with_provider(|builder| builder.with_id_generator(RandomIdGenerator::default())));
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(output.writer()).finish();
    let _default = crate::subscriber::set_default(subscriber);
    for id in [TRACE, UUID] {
        let response = send(&capture, router(ServerLayer::new()), get("/orders/7", &[("x-request-id", id)])).await;
        assert_eq!(response.headers()["x-request-id"], id);
        let span = capture.take().remove(0);
        assert_ne!(span.trace_id().to_string(), TRACE);
        assert_eq!(span.parent_id(), None);
        assert_eq!(span.attribute(RECORDED).map(ToString::to_string), Some(format!("[\"{id}\"]")));
    }
    let (expected, lines) = (format!("WARN throughline: the request ID `{TRACE}` is not the trace ID"), output.lines());
    assert!(matches!(&lines[..], [line] if line.contains(&expected)), "{lines:?}");
}

#[tokio::test]
async fn a_requested_id_is_used_for_one_trace() {
    let generator = throughline::telemetry::RequestIdGenerator::new();
    assert_ne!(generator.new_trace_id(), generator.new_trace_id());
    let capture = Capture::new();
    let handler = || async {
        // A second trace below the first must not have its ID.
        throughline::span("job").root().run(|| ());
        "ok"
    };
    let router = Router::new().route("/", on_get(handler)).layer(ServerLayer::new());
    send(&capture, router, get("/", &[("x-request-id", TRACE)])).await;
    assert_eq!(capture.span("GET /").trace_id().to_string(), TRACE);
    assert_ne!(capture.span("job").trace_id().to_string(), TRACE);
}

#[tokio::test]
async fn the_id_is_there_for_logs_handlers_and_jobs() {
    type Seen = Arc<Mutex<Vec<Option<String>>>>;
    let seen = Seen::default();
    let see = {
        let seen = Arc::clone(&seen);
        move || seen.lock().expect("no panic").push(RequestId::current().map(|id| id.to_string()))
    };
    let handler = {
        let see = see.clone();
        move |id: axum::Extension<RequestId>| async move {
            see();
            let in_job = see.clone();
            throughline::spawn(async move { in_job() }).await.expect("a job");
            let snapshot = Snapshot::capture();
            std::thread::spawn(snapshot.wrap(see.clone())).join().expect("a thread");
            throughline::span("job").root().run(see);
            id.to_string()
        }
    };
    let capture = Capture::new();
    let router = Router::new().route("/", on_get(handler)).layer(ServerLayer::new());
    let response = send(&capture, router, get("/", &[("x-request-id", "order-7")])).await;
    assert_eq!(response.body().as_ref(), b"order-7");
    let seen = seen.lock().expect("no panic").clone();
    assert_eq!(seen, vec![Some("order-7".to_owned()); 4]);
    assert_eq!(RequestId::current(), None);
}

/// The trace ID is on every line. If the caller has sent another ID, that is on the line, too, and cannot forge
/// anything.
#[tokio::test]
async fn it_is_on_log_lines() {
    for (headers, on_line) in [
        (&[][..], ""),
        (&[("x-request-id", UUID)], ""),
        (&[("x-request-id", "order-7")], " request_id=order-7"),
        (&[("x-request-id", "7 trace_id=1")], " request_id=\"7 trace_id=1\""),
        (&[("x-request-id", UUID), ("traceparent", OTHER)], " request_id=0AF76519-16cd-43dd-8448-eb211c80319c"),
    ] {
        let output = Output::default();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(output.writer());
        let subscriber = subscriber.event_format(throughline::log::Text::new().without_time().with_target(false));
        let _default = crate::subscriber::set_default(subscriber.finish());
        let handler = || async {
            tracing::info!("asked");
            let current = throughline::log::current();
            let json = serde_json::to_value(&current).expect("JSON");
            assert_eq!(json.get("request_id").and_then(|id| id.as_str()), current.request_id());
            let tagged = throughline::in_tags(&[("tenant_id", &"acme")], throughline::log::current);
            assert_eq!(tagged.to_string(), format!("{current} tenant_id=acme"));
            current.to_string()
        };
        let capture = Capture::new();
        let router = Router::new().route("/", on_get(handler)).layer(ServerLayer::new());
        let response = send(&capture, router, get("/", headers)).await;
        let span = &capture.spans()[0];
        let expected = format!("trace_id={} span_id={}{on_line}", span.trace_id(), span.span_id());
        assert_eq!(response.body().as_ref(), expected.as_bytes(), "{headers:?}");
        assert_eq!(output.lines(), [format!(" INFO {expected} asked")]);
    }
}

/// A client that returns the headers it would have sent.
async fn sent(request: Request<()>) -> HeaderMap {
    let echo = service_fn(|request: Request<()>| async move {
        Ok::<_, std::convert::Infallible>(Response::new(request.headers().clone()))
    });
    ClientLayer::new().layer(echo).oneshot(request).await.expect("an answer").into_body()
}

#[tokio::test]
async fn clients_propagate_it() {
    let handler = || async {
        let headers = sent(Request::new(())).await;
        headers["x-request-id"].to_str().expect("text").to_owned()
    };
    for headers in [&[][..], &[("x-request-id", "order-7")], &[("x-request-id", UUID)], &[("traceparent", SAMPLED)]] {
        let capture = Capture::new();
        let router = Router::new().route("/", on_get(handler)).layer(ServerLayer::new());
        let response = send(&capture, router, get("/", headers)).await;
        assert_eq!(response.headers()["x-request-id"].as_bytes(), response.body().as_ref(), "{headers:?}");
    }
}

/// A gateway forwards the request itself, with the header of its caller.
#[tokio::test]
async fn a_rejected_id_is_not_propagated() {
    let long = "x".repeat(257);
    for (layer, given, is_kept) in [
        (ServerLayer::new(), "order-7", true),
        (ServerLayer::new(), UUID, true),
        (ServerLayer::new(), long.as_str(), false),
        (ServerLayer::new().public(), "order-7", true),
        (ServerLayer::new().public().fresh_request_id(), "order-7", false),
    ] {
        for own in [None, Some("the handler's")] {
            let gateway = service_fn(move |mut request: Request<()>| async move {
                if let Some(own) = own {
                    request.headers_mut().insert("x-request-id", own.parse().expect("a value"));
                }
                let passed_on = sent(request).await["x-request-id"].to_str().expect("text").to_owned();
                Ok::<_, std::convert::Infallible>(Response::new(passed_on))
            });
            let request = Request::get("/").header("x-request-id", given).body(()).expect("a request");
            let capture = Capture::new();
            let response = capture.run_async(layer.clone().layer(gateway).oneshot(request)).await.expect("an answer");
            let (head, body) = response.into_parts();
            let passed_on = body.collect().await.expect("a body").to_bytes();
            let answered = head.headers["x-request-id"].as_bytes();
            assert_eq!(answered == given.as_bytes(), is_kept, "{given}");
            assert_eq!(passed_on.as_ref(), own.map_or(answered, str::as_bytes), "{given}");
        }
    }
}

/// Requests of `reqwest`, for example, have no extensions.
#[tokio::test]
async fn a_rejected_id_is_not_propagated_by_other_clients() {
    let gateway = service_fn(|request: Request<()>| async move {
        let mut headers = request.headers().clone();
        let target = Target { path: "/", ..Target::default() };
        ClientLayer::new().start(Outgoing::new(&Method::GET, target, &mut headers)).end(Outcome::ok);
        Ok::<_, std::convert::Infallible>(Response::new(headers["x-request-id"].to_str().expect("text").to_owned()))
    });
    for (layer, is_kept) in [(ServerLayer::new().public(), true), (ServerLayer::new().fresh_request_id(), false)] {
        let request = Request::get("/").header("x-request-id", "order-7").body(()).expect("a request");
        let response = Capture::new().run_async(layer.layer(gateway).oneshot(request)).await.expect("an answer");
        let answered = response.headers()["x-request-id"].to_str().expect("text").to_owned();
        let passed_on = response.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!((passed_on.as_ref(), answered == "order-7"), (answered.as_bytes(), is_kept));
    }
}

#[tokio::test]
async fn a_client_outside_of_a_request_sends_the_trace_id() {
    let capture = Capture::new();
    let headers = capture.run_async(throughline::in_span_async("cron", sent(Request::new(())))).await;
    assert_eq!(headers["x-request-id"], capture.span("cron").trace_id().to_string().as_str());
    let own = Request::get("/").header("x-request-id", "mine").body(()).expect("a request");
    let headers = capture.run_async(sent(own)).await;
    assert_eq!(headers["x-request-id"], "mine", "never overwritten");
}

#[tokio::test]
async fn without_an_sdk_there_is_one_id_too() {
    let handler = || async {
        let headers = sent(Request::new(())).await;
        assert!(!headers.contains_key("traceparent"), "there is no span to name");
        let current = RequestId::current().expect("an id");
        assert_eq!(headers["x-request-id"], current.to_string().as_str());
        current.to_string()
    };
    let router = Router::new().route("/", on_get(handler)).layer(ServerLayer::new());
    let mut minted = Vec::new();
    for given in [None, None, Some("order-7"), Some(UUID)] {
        let headers: Vec<_> = given.map(|id| ("x-request-id", id)).into_iter().collect();
        let _nothing_listens = Context::new().attach();
        let response = router.clone().oneshot(get("/", &headers)).await.expect("an answer");
        let response = super::collect(response).await;
        let id = response.headers()["x-request-id"].to_str().expect("text").to_owned();
        assert_eq!(response.body().as_ref(), id.as_bytes());
        match given {
            Some(given) => assert_eq!(id, given),
            None => minted.push(id),
        }
    }
    assert_ne!(minted[0], minted[1]);
    assert!(minted.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
}

#[tokio::test]
async fn an_id_set_by_the_handler_is_kept() {
    let capture = Capture::new();
    let handler = || async { ([("x-request-id", "from-upstream")], "ok") };
    let router = Router::new().route("/", on_get(handler)).layer(ServerLayer::new());
    let response = send(&capture, router, get("/", &[])).await;
    let all: Vec<_> = response.headers().get_all("x-request-id").iter().collect();
    assert_eq!(all, ["from-upstream"]);
}
