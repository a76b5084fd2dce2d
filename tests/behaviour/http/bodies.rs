//! The span ends with the body.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use opentelemetry::trace::Status;
use throughline::testing::Capture;
use throughline_http::{ResponseBody, ServerLayer};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{assert_no_doubles, assert_number, assert_text};

/// The result of one poll of a body.
#[derive(Debug, Clone, Copy)]
enum Step {
    Data(&'static str),
    Trailers,
    Fails,
    Panics,
    Waits,
}

#[derive(Debug, Default)]
struct Steps {
    steps: VecDeque<Step>,
    hint: Option<u64>,
}

impl Drop for Steps {
    fn drop(&mut self) {
        throughline::in_span("dropped", || ());
    }
}

impl Body for Steps {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        throughline::in_span("polled", || ());
        match self.steps.pop_front() {
            None => Poll::Ready(None),
            Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data.into())))),
            Some(Step::Trailers) => Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::new())))),
            Some(Step::Fails) => Poll::Ready(Some(Err(std::io::Error::other("the disk is gone")))),
            Some(Step::Panics) => panic!("no more rows"),
            Some(Step::Waits) => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.hint.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

async fn respond(
    capture: &Capture,
    method: Method,
    response: impl FnOnce() -> Response<Steps> + Clone + Send + 'static,
) -> Response<ResponseBody<Steps>> {
    let service = service_fn(move |_: Request<()>| {
        let response = response.clone()();
        async move { Ok::<_, Infallible>(response) }
    });
    let request = Request::builder().method(method).body(()).expect("a request");
    let answer = capture.run_async(ServerLayer::new().layer(service).oneshot(request)).await;
    answer.expect("an answer")
}

async fn body(capture: &Capture, steps: &'static [Step]) -> ResponseBody<Steps> {
    let response = || Response::new(Steps { steps: steps.iter().copied().collect(), hint: None });
    respond(capture, Method::GET, response).await.into_body()
}

fn is_open(capture: &Capture) -> bool {
    capture.named("GET").is_empty()
}

#[tokio::test]
async fn the_span_ends_with_the_body() {
    let capture = Capture::new();
    let mut body = body(&capture, &[Step::Data("a"), Step::Data("b")]).await;
    for _ in 0..2 {
        assert!(is_open(&capture));
        body.frame().await.expect("a frame").expect("data");
    }
    assert!(is_open(&capture));
    assert!(body.frame().await.is_none());
    let span = capture.span("GET");
    assert!(!span.is_cancelled() && span.status == Status::Unset);
    assert_number(&span, "http.response.status_code", 200);
    drop(body);
    assert_eq!(capture.named("GET").len(), 1);
}

#[tokio::test]
async fn the_body_is_polled_and_dropped_in_the_span() {
    let capture = Capture::new();
    let mut body = body(&capture, &[Step::Data("a")]).await;
    body.frame().await.expect("a frame").expect("data");
    drop(body);
    capture.assert_tree("GET [server] !cancelled\n├── polled\n└── dropped");
}

#[tokio::test]
async fn trailers_end_the_span() {
    let capture = Capture::new();
    let mut body = body(&capture, &[Step::Data("a"), Step::Trailers]).await;
    body.frame().await.expect("a frame").expect("data");
    assert!(is_open(&capture));
    assert!(body.frame().await.expect("a frame").expect("trailers").is_trailers());
    assert!(!capture.span("GET").is_cancelled());
}

#[tokio::test]
async fn an_error_is_recorded_and_passed_on() {
    let capture = Capture::new();
    let body = body(&capture, &[Step::Data("a"), Step::Fails]).await;
    let error = body.collect().await.expect_err("an error");
    assert_eq!(error.to_string(), "the disk is gone");
    let span = capture.span("GET");
    assert_eq!(span.status, Status::error("the disk is gone"));
    assert_text(&span, "error.type", Some("std::io::error::Error"));
    assert!(span.event("exception").is_some());
    assert_no_doubles(&span);
}

#[tokio::test]
async fn a_panic_is_recorded() {
    let capture = Capture::new();
    let body = body(&capture, &[Step::Panics]).await;
    let panicked = tokio::spawn(async move { body.collect().await.is_ok() }).await.expect_err("a panic");
    assert!(panicked.is_panic());
    assert!(capture.span("GET").is_panicked());
}

#[tokio::test]
async fn a_body_that_is_dropped_early_is_cancelled() {
    let capture = Capture::new();
    let mut body = body(&capture, &[Step::Data("a"), Step::Waits]).await;
    body.frame().await.expect("a frame").expect("data");
    assert!(futures::poll!(body.frame()).is_pending());
    drop(body);
    let span = capture.span("GET");
    assert!(span.is_cancelled());
    assert_number(&span, "http.response.status_code", 200);
}

#[tokio::test]
async fn a_request_that_is_dropped_before_its_response_is_cancelled() {
    let capture = Capture::new();
    let service = service_fn(|_: Request<()>| std::future::pending::<Result<Response<String>, Infallible>>());
    let mut answer = Box::pin(capture.run_async(ServerLayer::new().layer(service).oneshot(Request::new(()))));
    assert!(futures::poll!(&mut answer).is_pending());
    drop(answer);
    assert!(capture.span("GET").is_cancelled());
}

#[tokio::test]
async fn a_response_without_a_body_ends_the_span_immediately() {
    for (method, status) in [
        (Method::HEAD, StatusCode::OK),
        (Method::GET, StatusCode::NO_CONTENT),
        (Method::GET, StatusCode::NOT_MODIFIED),
        (Method::GET, StatusCode::SWITCHING_PROTOCOLS),
        (Method::CONNECT, StatusCode::OK),
    ] {
        let capture = Capture::new();
        let response = move || {
            let mut response = Response::new(Steps { steps: [Step::Data("never asked for")].into(), hint: Some(15) });
            *response.status_mut() = status;
            response
        };
        let response = respond(&capture, method.clone(), response).await;
        let span = capture.span(method.as_str());
        assert!(!span.is_cancelled(), "{method} {status}");
        drop(response);
        assert_eq!(capture.named(method.as_str()).len(), 1);
    }
    let capture = Capture::new();
    let service = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(String::new())) });
    let _response = capture.run_async(ServerLayer::new().layer(service).oneshot(Request::new(()))).await;
    assert!(!capture.span("GET").is_cancelled(), "an empty body");
}

/// Servers stop polling at the announced length.
#[tokio::test]
async fn the_span_ends_at_the_announced_length() {
    for (hint, header) in [(Some(2), None), (None, Some("2")), (Some(2), Some("2"))] {
        let capture = Capture::new();
        let response = move || {
            let mut response = Response::builder();
            if let Some(header) = header {
                response = response.header("content-length", header);
            }
            let steps = [Step::Data("a"), Step::Data("b"), Step::Waits].into();
            response.body(Steps { steps, hint }).expect("a response")
        };
        let mut body = respond(&capture, Method::GET, response).await.into_body();
        body.frame().await.expect("a frame").expect("data");
        assert!(is_open(&capture));
        body.frame().await.expect("a frame").expect("data");
        drop(body);
        assert!(!capture.span("GET").is_cancelled());
    }
}

#[tokio::test]
async fn a_failure_is_recorded_whether_or_not_the_body_is_complete() {
    let response = || {
        let mut response = Response::new(Steps { steps: [Step::Data("a")].into(), hint: None });
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    };
    for whole in [true, false] {
        let capture = Capture::new();
        let body = respond(&capture, Method::GET, response).await.into_body();
        if whole {
            body.collect().await.expect("data");
        } else {
            drop(body);
        }
        let span = capture.span("GET");
        assert_eq!(span.status, Status::error(""));
        assert_text(&span, "error.type", Some("502"));
        assert_text(&span, "throughline.cancelled", (!whole).then_some("true"));
        assert_no_doubles(&span);
    }
}

#[tokio::test]
async fn sizes_are_those_of_the_body() {
    let service = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new("twelve bytes".to_owned())) });
    let response = ServerLayer::new().layer(service).oneshot(Request::new(())).await.expect("an answer");
    let mut body = response.into_body();
    assert_eq!(body.size_hint().exact(), Some(12));
    assert!(!body.is_end_stream());
    body.frame().await.expect("a frame").expect("data");
    assert_eq!(body.size_hint().exact(), Some(0));
    assert!(body.is_end_stream());
    assert!(ResponseBody::<String>::default().is_end_stream());
}

#[tokio::test]
async fn unsampled_bodies_have_the_context_too() {
    let capture = Capture::with_sampler(opentelemetry_sdk::trace::Sampler::AlwaysOff);
    let service = service_fn(|_: Request<()>| async {
        let frames = futures::stream::poll_fn(|_| {
            let carrier = throughline::Carrier::capture();
            Poll::Ready(carrier.traceparent.map(|identity| Ok::<_, Infallible>(Frame::data(Bytes::from(identity)))))
        });
        Ok::<_, Infallible>(Response::new(http_body_util::StreamBody::new(futures::StreamExt::take(frames, 1))))
    });
    let request = Request::get("/").header("traceparent", super::SAMPLED).body(()).expect("a request");
    let response = capture.run_async(ServerLayer::new().layer(service).oneshot(request)).await.expect("an answer");
    let identity = response.into_body().collect().await.expect("data").to_bytes();
    assert!(
        identity.starts_with(b"00-0af7651916cd43dd8448eb211c80319c-") && identity.ends_with(b"-00"),
        "{identity:?}"
    );
    assert!(capture.spans().is_empty());
}
