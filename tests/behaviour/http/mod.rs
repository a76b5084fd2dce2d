//! HTTP: what the layers record, inject and extract.

mod bodies;
mod client;
mod edge;
mod failures;
mod headers;
mod hostile;
mod layers;
mod request_id;
mod reqwest;
mod server;
mod sockets;
mod trust;
mod untraced;
mod w3c;

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use opentelemetry::{Array, StringValue, Value};
use throughline::testing::{Capture, FinishedSpan};
use throughline_http::ServerLayer;
use tower::ServiceExt as _;

pub(crate) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
pub(crate) const PARENT: &str = "b7ad6b7169203331";
pub(crate) const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
pub(crate) const NOT_SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

pub(crate) fn get(uri: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).expect("a request")
}

/// Responds with the status in the path.
async fn status(axum::extract::Path(code): axum::extract::Path<u16>) -> impl IntoResponse {
    (StatusCode::from_u16(code).expect("a status"), "body")
}

/// A service behind `layer`, as a router.
pub(crate) fn router(layer: ServerLayer) -> Router {
    Router::new()
        .route("/orders/{order_no}", axum::routing::any(|| async { "ok" }))
        .route("/tenants/{tenant}/files/{*rest}", axum::routing::get(|| async { "ok" }))
        .route("/status/{code}", axum::routing::any(status))
        .layer(layer)
}

/// Sends one request to `router`, below the capture's context, and reads the whole response.
pub(crate) async fn send(capture: &Capture, router: Router, request: Request<Body>) -> Response<Bytes> {
    capture
        .run_async(async move {
            let Ok(response) = router.oneshot(request).await as Result<_, Infallible>;
            collect(response).await
        })
        .await
}

pub(crate) async fn collect(response: Response<Body>) -> Response<Bytes> {
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.expect("the body is read").to_bytes())
}

/// The only span of one request to a service behind `layer`.
pub(crate) async fn one(layer: ServerLayer, request: Request<Body>) -> (FinishedSpan, Response<Bytes>) {
    let capture = Capture::new();
    let response = send(&capture, router(layer), request).await;
    assert_eq!(capture.open(), 0, "a span was left open");
    let mut spans = capture.spans();
    assert_eq!(spans.len(), 1, "{}", capture.tree());
    (spans.remove(0), response)
}

#[track_caller]
pub(crate) fn assert_text(span: &FinishedSpan, key: &str, expected: Option<&str>) {
    assert_eq!(span.attribute(key).map(ToString::to_string).as_deref(), expected, "{key}");
}

#[track_caller]
pub(crate) fn assert_number(span: &FinishedSpan, key: &str, expected: i64) {
    assert_eq!(span.attribute(key), Some(&Value::I64(expected)), "{key}");
}

pub(crate) fn list(values: &[&'static str]) -> Value {
    Value::Array(Array::String(values.iter().map(|&value| StringValue::from(value)).collect()))
}

/// Asserts that keys are unique, because the SDK keeps duplicates.
#[track_caller]
pub(crate) fn assert_no_doubles(span: &FinishedSpan) {
    let mut keys: Vec<_> = span.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    keys.sort_unstable();
    let all = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), all, "{:?}", span.attributes);
}
