//! The events of calls that fail by a fault of the server.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::future;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use throughline::testing::Capture;
use throughline::traced;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use crate::{ClientLayer, ServerLayer};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// The events of the layers, a line for each, without the ID of the span.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != "span_id" {
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "throughline::grpc" {
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            self.0.lock().expect("no panic").push(line.0);
        }
    }
}

fn request(path: &str, sampled: bool) -> Request<Body> {
    let flag = u8::from(sampled);
    let request = Request::post(path).header("content-type", "application/grpc");
    let request = request.header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-0{flag}"));
    request.body(Body::empty()).expect("a request")
}

/// The events of one call of `service`, whose response is read to its end, and its spans.
async fn events_of<S, B>(service: S, request: Request<Body>) -> (Vec<String>, Capture)
where
    S: Service<Request<Body>, Response = Response<B>, Error: fmt::Debug>,
    B: http_body::Body<Error: fmt::Debug>,
{
    let (events, capture) = (Events::default(), Capture::new());
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(events.clone()));
    let call = async {
        if let Ok(response) = service.oneshot(request).await {
            let _ = response.into_body().collect().await;
        }
    };
    capture.run_async(call).await;
    assert_eq!(capture.open(), 0);
    (std::mem::take(&mut events.0.lock().expect("no panic")), capture)
}

/// A service whose calls all end with this status, in the headers.
fn answering(status: Status) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible> {
    service_fn(move |_: Request<Body>| future::ready(Ok(status.clone().into_http())))
}

const GET: &str = "/shop.Orders/Get";

#[tokio::test]
async fn a_fault_of_the_server_writes_one_event() {
    for sampled in [true, false] {
        let mut faults = Vec::new();
        for code in 0..=16 {
            let service = ServerLayer::new().layer(answering(Status::new(code.into(), "disk full")));
            let (events, _) = events_of(service, request(GET, sampled)).await;
            let [event] = events.as_slice() else {
                assert!(events.is_empty(), "{code}: {events:?}");
                continue;
            };
            faults.push(code);
            let name = match Code::from_i32(code) {
                Code::Unknown => "UNKNOWN",
                Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
                Code::Unimplemented => "UNIMPLEMENTED",
                Code::Internal => "INTERNAL",
                Code::Unavailable => "UNAVAILABLE",
                Code::DataLoss => "DATA_LOSS",
                other => panic!("{other:?} is no fault of the server"),
            };
            assert_eq!(
                *event,
                format!(
                    "ERROR message=call failed rpc.method=\"shop.Orders/Get\" rpc.response.status_code=\"{name}\" \
                     error=\"disk full\" trace_id={TRACE}"
                )
            );
        }
        assert_eq!(faults, [2, 4, 12, 13, 14, 15]);
    }
}

#[traced]
fn load() -> Result<(), std::io::Error> {
    Err(std::io::ErrorKind::ConnectionRefused.into())
}

#[tokio::test]
async fn a_status_without_a_message_is_described_by_the_last_error() {
    for (message, described) in [("", "connection refused"), ("try again", "try again")] {
        let service = ServerLayer::new().layer(service_fn(|_: Request<Body>| async move {
            let _ = load();
            // In the trailers, as that of a stream.
            let trailers = Status::unavailable(message).into_http::<()>().headers().clone();
            let body = Full::new(bytes::Bytes::from_static(b"\0\0\0\0\0"));
            let body = body.with_trailers(future::ready(Some(Ok::<HeaderMap, Infallible>(trailers))));
            Ok::<_, Infallible>(Response::new(body))
        }));
        let (events, capture) = events_of(service, request(GET, true)).await;
        let [event] = events.as_slice() else { panic!("not one event: {events:?}") };
        assert!(event.contains(&format!(" error=\"{described}\" ")), "{event}");
        let call = capture.span("shop.Orders/Get");
        assert!(call.is_error() && format!("{:?}", call.status).contains(described), "{call:?}");
        assert!(call.events.is_empty(), "a status is not an exception");
    }
}

#[tokio::test]
async fn a_call_to_a_server_that_cannot_be_reached_is_an_error_to_describe_a_status_by() {
    let unreachable = ClientLayer::new().layer(service_fn(|_: Request<Body>| {
        future::ready(Err::<Response<Body>, Box<dyn Error + Send + Sync>>("connection refused".into()))
    }));
    for sampled in [true, false] {
        let service = ServerLayer::new().layer(service_fn(|_: Request<Body>| {
            let called = unreachable.clone().oneshot(Request::new(Body::empty()));
            async move {
                assert!(called.await.is_err());
                Ok::<_, Infallible>(Status::unavailable("").into_http::<Body>())
            }
        }));
        let (events, _) = events_of(service, request(GET, sampled)).await;
        let [event] = events.as_slice() else { panic!("not one event: {events:?}") };
        assert!(event.contains(" error=\"connection refused\" "), "{event}");
    }
}

#[tokio::test]
async fn what_is_not_traced_or_not_served_writes_no_event() {
    let failing = || answering(Status::internal("disk full"));
    let untraced = ServerLayer::new().untraced(["shop.Orders/Get"]).layer(failing());
    assert!(events_of(untraced, request(GET, true)).await.0.is_empty());
    let client = ClientLayer::new().layer(failing());
    assert!(events_of(client, request(GET, true)).await.0.is_empty());
    // Two layers, one event; and a method that is not known is not named.
    let twice = ServerLayer::new().methods([""]).layer(ServerLayer::new().layer(failing()));
    let (events, _) = events_of(twice, request(GET, true)).await;
    assert!(events.len() == 1 && events[0].contains("rpc.method=\"_OTHER\""), "{events:?}");
    // A call that its caller drops is a fault of the server only after the deadline.
    let pending = service_fn(|_: Request<Body>| future::pending::<Result<Response<Body>, Infallible>>());
    let events = Events::default();
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(events.clone()));
    for (timeout, reported) in [("1H", 0), ("1n", 1)] {
        let mut request = request(GET, true);
        request.headers_mut().insert("grpc-timeout", timeout.parse().expect("a value"));
        drop(ServerLayer::new().layer(pending).call(request));
        assert_eq!(events.0.lock().expect("no panic").len(), reported, "{timeout}");
    }
}
