//! A request between the start of its span and its response.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::{Method, Response, StatusCode, request};
use http_body::Body;
use opentelemetry::KeyValue;
use throughline::{EventFields, LastError, Observe, Observer, Outcome, Span, current_context, semconv};

use super::ServerLayer;
use super::span::{Entered, FoundRoute};
use crate::body::{self, Failure, ResponseBody};
use crate::cause::{Cause, Causes};
use crate::{X_REQUEST_ID, facts};

/// A request that is being handled.
#[derive(Debug)]
pub(super) struct Exchange {
    /// For the response, unless an outer layer sets it.
    request_id: Option<HeaderValue>,
    method: Method,
    route: Option<Cow<'static, str>>,
    /// The route that an inner layer has found.
    found: Option<FoundRoute>,
    /// The last error below the request, if this layer has started its span.
    request: Option<Arc<LastError>>,
    /// Required tags without a value, if the route is not known yet: no route may match.
    missing: Vec<&'static str>,
    layer: ServerLayer,
}

impl Exchange {
    /// Starts the span of the request.
    pub(super) fn begin(layer: &ServerLayer, parts: &mut request::Parts) -> (Span, Self) {
        let config = &layer.0;
        if config.untraced.iter().any(|untraced| untraced.holds_for(parts))
            && parts.extensions.get::<Entered>().is_none()
        {
            return Self::untraced(layer, parts);
        }
        let named = config.route.as_ref().and_then(|of| of(parts)).filter(|route| !route.is_empty());
        let route = named.or_else(|| facts::matched_route(parts));
        let mut missing = Vec::new();
        let mut found = None;
        let (span, request_id, request) = if let Some(entered) = parts.extensions.get::<Entered>() {
            (config.join(entered, parts, route.as_deref(), &mut missing), None, None)
        } else {
            found = route.is_none().then(FoundRoute::default);
            config.enter(parts, route.as_deref(), &mut missing, found.clone())
        };
        let method = parts.method.clone();
        (span, Self { request_id, method, route, found, request, missing, layer: layer.clone() })
    }

    fn untraced(layer: &ServerLayer, parts: &request::Parts) -> (Span, Self) {
        let exchange = Self {
            request_id: None,
            method: parts.method.clone(),
            route: None,
            found: None,
            request: None,
            missing: Vec::new(),
            layer: layer.clone(),
        };
        (Span::within(current_context().with_telemetry_suppressed()), exchange)
    }

    /// Records the head of the response, and moves the span into its body.
    fn respond<B: Body>(mut self, span: Span, mut response: Response<B>) -> Response<ResponseBody<B>> {
        let status = response.status();
        if span.is_recording() {
            span.record(semconv::HTTP_RESPONSE_STATUS_CODE, status.as_u16());
            span.record_all(self.layer.0.response_headers.read(response.headers()));
            // A request that no route matches has no required tags.
            if status != StatusCode::NOT_FOUND {
                span.report_missing(&self.missing);
            }
        }
        if let Some(id) = self.request_id.take() {
            if !response.headers().contains_key(&X_REQUEST_ID) {
                let _ = response.headers_mut().try_insert(X_REQUEST_ID, id);
            }
        }
        let announced = response.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        let is_bare = self.method == Method::HEAD
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || (self.method == Method::CONNECT && status.is_success());
        let failure = status.is_server_error().then(|| {
            let named = response.extensions().get::<Cause>().map(Cause::text);
            // Empty where no error text is recorded.
            let shown = named.filter(|text| !text.is_empty());
            if let (Some(text), true) = (shown, span.is_recording()) {
                span.event("exception", vec![KeyValue::new(semconv::EXCEPTION_MESSAGE, text.to_owned())]);
            }
            let noted = || self.request.as_ref()?.take();
            let cause = if named.is_some() { shown.map(str::to_owned) } else { noted() };
            self.report(&span, Some(status), cause.as_deref());
            Failure { status, cause }
        });
        response.map(|body| body::instrument(body, span, failure, announced, is_bare))
    }

    /// Emits the event of a failed request, in its span.
    fn report(&self, span: &Span, status: Option<StatusCode>, cause: Option<&str>) {
        if self.request.is_none() {
            return;
        }
        let found = || self.found.as_ref()?.get().map(|route| &**route);
        let route = self.route.as_deref().or_else(found);
        throughline::event_in(&span.context(), |EventFields { trace_id, span_id, tags, .. }| {
            tracing::error!(
                target: "throughline::http",
                {
                    http.request.method = facts::method(&self.method),
                    http.route = route,
                    http.response.status_code = status.map(|status| status.as_u16()),
                    error = cause,
                    trace_id = trace_id.map(tracing::field::display),
                    span_id = span_id.map(tracing::field::display),
                    throughline.tags = tags,
                },
                "request failed"
            );
        });
    }
}

/// The observer of a [`ServerFuture`](super::ServerFuture), which moves the span into the [body](ResponseBody) of the
/// response.
#[derive(Debug)]
pub struct ServerObserver(pub(super) Option<Exchange>);

impl Observer for ServerObserver {}

impl<B: Body, E: Display + 'static> Observe<Result<Response<B>, E>> for ServerObserver {
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn observe(&mut self, span: &mut Span, result: Result<Response<B>, E>) -> Self::Output {
        let Some(exchange) = self.0.take() else {
            // Polled after completion, which is up to the inner future.
            return result.map(|response| response.map(body::untraced));
        };
        match result {
            Ok(response) => Ok(exchange.respond(span.take(), response)),
            Err(error) => {
                let text = Causes::default().describe(&error);
                exchange.report(span, None, Some(&*text).filter(|text| !text.is_empty()));
                span.end(|| Outcome::exception(type_name::<E>(), &text));
                Err(error)
            }
        }
    }
}
