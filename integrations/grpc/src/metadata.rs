//! Metadata as a carrier, and as an origin of spans.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};
use throughline::text::header_value;
use throughline::{Origin, propagation, semconv};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

/// Injects the current context into metadata, for requests that are sent without a [`ClientLayer`](crate::ClientLayer).
///
/// Existing trace context and baggage, for example of a request that is forwarded, are replaced, or removed if nothing
/// replaces them. If the context has no trace ID, nothing is removed. Binary metadata is unchanged.
///
/// ```
/// let mut request = tonic::Request::new("order 1001");
/// throughline::in_span("send", || throughline_grpc::inject(request.metadata_mut()));
/// ```
pub fn inject(into: &mut MetadataMap) {
    inject_context(&throughline::current_context(), into);
}

/// Injects `context` into metadata; otherwise like [`inject`].
///
/// ```
/// let mut span = throughline::span("send").start();
/// let mut request = tonic::Request::new("order 1001");
/// throughline_grpc::inject_context(&span.context(), request.metadata_mut());
/// # span.end(throughline::Outcome::ok);
/// ```
pub fn inject_context(context: &Context, into: &mut MetadataMap) {
    write(context, &|_| true, into.as_mut());
}

/// Writes `context`, replacing another context in the headers: a request that is forwarded has the metadata that it was
/// received with.
pub(crate) fn write(context: &Context, is_sent: &dyn Fn(&str) -> bool, headers: &mut HeaderMap) {
    let propagator = propagation::get();
    if context.span().span_context().is_valid() {
        for field in propagator.fields() {
            headers.remove(field);
        }
    }
    propagator.inject_filtered(context, is_sent, &mut HeadersMut(headers));
}

/// Injects the current context into a request, as an interceptor for clients without a
/// [`ClientLayer`](crate::ClientLayer). No client span is started; the server's span is a child of the current span.
///
/// # Errors
///
/// Never returns an error. The signature is that of an interceptor.
///
/// ```
/// use tonic::service::interceptor::InterceptedService;
/// use tonic::transport::Channel;
///
/// fn wrap(channel: Channel) {
///     // Or, with a generated client: `OrdersClient::with_interceptor(channel, intercept)`.
///     let channel = InterceptedService::new(channel, throughline_grpc::intercept);
///     # let _ = channel;
/// }
/// ```
pub fn intercept(mut request: Request<()>) -> Result<Request<()>, Status> {
    inject(request.metadata_mut());
    Ok(request)
}

/// Marks the implementations of [`Origin`] for the types of `tonic`: [`tonic::Request`] and [`MetadataMap`].
///
/// It is inferred and never has to be specified; [`Origin`] explains the purpose of such a marker. A program that uses
/// nothing else of this crate has to import the crate once, because the compiler ignores unused dependencies.
///
/// ```
/// use throughline::traced;
/// use throughline_grpc as _;
///
/// #[traced(kind = server, parent = request)]
/// async fn place(request: tonic::Request<String>) -> Result<tonic::Response<()>, tonic::Status> {
///     Ok(tonic::Response::new(()))
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Grpc {}

impl Origin<Grpc> for MetadataMap {
    fn origin(&self) -> Context {
        propagation::extract(&Headers(self.as_ref()))
    }
}

impl<T> Origin<Grpc> for Request<T> {
    fn origin(&self) -> Context {
        self.metadata().origin()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        attributes.push(KeyValue::new(semconv::RPC_SYSTEM_NAME, "grpc"));
        attributes.extend(self.remote_addr().into_iter().flat_map(semconv::network_peer));
    }
}

/// The maximum number of values read for one header; no format has a use for more.
const MAX_VALUES: usize = 64;

/// Headers that a context is read from.
pub(crate) struct Headers<'a>(pub(crate) &'a HeaderMap);

fn text(value: &HeaderValue) -> &str {
    header_value(value.as_bytes())
}

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(text)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values: Vec<_> = self.0.get_all(key).iter().take(MAX_VALUES).map(text).collect();
        (!values.is_empty()).then_some(values)
    }
}

/// Headers that a context is written into.
struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) else { return };
        // The error means that the map is full, for which `insert` would panic.
        let _ = self.0.try_insert(name, value);
    }
}
