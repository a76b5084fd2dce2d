//! Log lines have the IDs of the spans that the layer records.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use opentelemetry_sdk::trace::Sampler;
use throughline::testing::{Capture, FinishedSpan};
use throughline::{in_span, tracing_layer};
use throughline_http::ServerLayer;
use tower::ServiceExt as _;
use tracing::{Subscriber, info, info_span, instrument};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::output::Output;
use crate::subscriber;

fn text_subscriber(output: &Output) -> impl Subscriber + Send + Sync + use<> {
    let log = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(output.writer());
    tracing_subscriber::registry().with(log.event_format(throughline::log::Text::new())).with(tracing_layer())
}

fn json_subscriber(output: &Output) -> impl Subscriber + Send + Sync + use<> {
    let log = throughline_json_subscriber::layer().with_writer(output.writer());
    tracing_subscriber::registry().with(tracing_layer()).with(log)
}

#[instrument]
fn place(order_no: u64) {
    info!("placed");
    in_span("price", || info!("priced"));
    info_span!("pay").in_scope(|| info!("paid"));
}

/// The spans in which the lines are written, in order.
const WRITTEN_IN: [&str; 3] = ["place", "price", "pay"];

#[test]
fn lines_of_text_have_the_ids_of_the_spans() {
    let (capture, output) = (Capture::new(), Output::default());
    subscriber::with_default(text_subscriber(&output), || capture.run(|| place(1001)));
    capture.assert_tree("place\n├── price\n└── pay");
    let lines = output.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, name) in lines.iter().zip(WRITTEN_IN) {
        let span = capture.span(name);
        let ids = format!("trace_id={} span_id={}", span.trace_id(), span.span_id());
        assert!(line.contains(&ids), "{name}: {ids}: {line}");
    }
}

#[test]
fn lines_of_json_have_the_ids_of_the_spans() {
    let (capture, output) = (Capture::new(), Output::default());
    subscriber::with_default(json_subscriber(&output), || capture.run(|| place(1001)));
    let lines = output.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, name) in lines.iter().zip(WRITTEN_IN) {
        assert_eq!(ids_of(line), ids(&capture.span(name)), "{name}: {line}");
    }
}

fn ids(span: &FinishedSpan) -> (String, String) {
    (span.trace_id().to_string(), span.span_id().to_string())
}

fn ids_of(line: &str) -> (String, String) {
    let line: serde_json::Value = serde_json::from_str(line).expect("a line is one value");
    let id = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    (id("trace_id"), id("span_id"))
}

/// A span that is not recorded still has the IDs that are propagated.
#[test]
fn lines_in_an_unsampled_trace_have_its_id() {
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    let output = Output::default();
    subscriber::with_default(json_subscriber(&output), || capture.run(|| place(1001)));
    let lines: Vec<_> = output.lines().iter().map(|line| ids_of(line)).collect();
    assert!(lines[0].0.len() == 32 && lines.iter().all(|line| line.0 == lines[0].0), "{lines:?}");
}

/// The request ID of the HTTP layer is the trace ID of the `tracing` spans below it. If it cannot be a trace ID, it is
/// on the lines written in them.
#[tokio::test]
async fn a_request_id_reaches_the_spans_below() {
    const UUID: &str = "0af76519-16cd-43dd-8448-eb211c80319c";
    for (request_id, on_line) in [(UUID, None), ("order-7", Some("order-7"))] {
        let (capture, output) = (Capture::new(), Output::default());
        let _default = subscriber::set_default(json_subscriber(&output));
        let handler = || async { place(1001) };
        let router = Router::new().route("/", get(handler)).layer(ServerLayer::new());
        let request = Request::get("/").header("x-request-id", request_id).body(Body::empty()).expect("it is valid");
        let response = capture.run_async(router.oneshot(request)).await.expect("an answer");
        assert!(response.status().is_success());
        drop(response);
        let place = capture.span("place");
        if on_line.is_none() {
            assert_eq!(place.trace_id().to_string(), UUID.replace('-', ""));
        }
        let lines = output.lines();
        let placed = lines.iter().find(|line| line.contains("placed")).expect("it was written");
        assert_eq!(ids_of(placed), ids(&place), "{placed}");
        let line: serde_json::Value = serde_json::from_str(placed).expect("a line is one value");
        assert_eq!(line["request_id"].as_str(), on_line, "{placed}");
    }
}
