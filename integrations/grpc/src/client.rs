//! Outgoing calls.

use std::sync::Arc;
use std::task::{self, Poll};

use http::header::HeaderName;
use http::{Request, Response, Uri};
use http_body::Body;
use opentelemetry::Context;
use throughline::propagation::SendBaggage;
use throughline::{NoObserver, RequestId, Span, SpanBuilder, SpanKind, redact, semconv};
use tower_layer::Layer;
use tower_service::Service;

use crate::call::{Call, ResponseBody, ResponseFuture};
use crate::server::Entered;
use crate::{metadata, target};

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// A tower layer that starts a client span for each gRPC call and injects its context.
///
/// It wraps a [`Channel`](tonic::transport::Channel) or another service with the same request type. Place retry layers
/// outside of it, so that each attempt has its own span. Place layers that move requests to another task, such as
/// `tower::buffer`, inside of it, because the caller's context is not current in that task. Back-pressure and errors
/// are passed through unchanged.
///
/// ```no_run
/// use throughline_grpc::ClientLayer;
/// use tonic::transport::Channel;
/// use tower::ServiceBuilder;
///
/// # async fn example() -> Result<(), tonic::transport::Error> {
/// let endpoint = Channel::from_static("http://orders:50051");
/// let layer = ClientLayer::new().server(endpoint.uri());
/// let channel = ServiceBuilder::new().layer(layer).service(endpoint.connect().await?);
/// // let client = OrdersClient::new(channel);
/// # let _ = channel;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ClientLayer {
    server: Option<(Arc<str>, Option<u16>)>,
    /// The keys of the baggage members that are sent; all, if not set.
    baggage: Option<SendBaggage>,
}

impl ClientLayer {
    /// Creates a layer that sends all baggage and takes `server.address` and `server.port` from the requests.
    pub fn new() -> Self {
        // So that an HTTP layer, or a job, describes these errors with their sources.
        redact::add_error_type::<tonic::transport::Error>();
        Self { server: None, baggage: None }
    }

    /// Sets `server.address` and `server.port`, for a channel with a single server: requests have no host before the
    /// channel adds it. Pass the URI of the endpoint, [`Endpoint::uri`](tonic::transport::Endpoint::uri). The host of a
    /// request, if it has one (`OrdersClient::with_origin`), takes precedence. The conventions require these attributes.
    #[must_use]
    pub fn server(mut self, uri: &Uri) -> Self {
        self.server = target::server_of(uri).map(|(host, port)| (host.into(), port));
        self
    }

    /// Sends only the baggage members with these keys, for a channel to a third party. All are sent by default.
    /// [`SendBaggage`] in the extensions of a `tonic::Request` restricts a single call further.
    #[must_use]
    pub fn baggage<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.baggage = Some(SendBaggage::only(keys));
        self
    }

    /// Sends no baggage.
    #[must_use]
    pub fn no_baggage(mut self) -> Self {
        self.baggage = Some(SendBaggage::none());
        self
    }

    fn inject(&self, context: &Context, request: &mut Request<tonic::body::Body>) {
        let of_request = request.extensions().get::<SendBaggage>().cloned();
        let limits = [self.baggage.as_ref(), of_request.as_ref()];
        let is_sent = |key: &str| limits.iter().flatten().all(|limit| limit.allows(key));
        let headers = request.headers_mut();
        if limits.iter().any(Option::is_some) {
            // Even if no other baggage is written.
            headers.remove(BAGGAGE);
        }
        metadata::write(context, &is_sent, headers);
    }

    fn start<B>(&self, request: &Request<B>) -> Span {
        if !throughline::enabled() {
            return Span::none();
        }
        let path = request.uri().path();
        let method = target::method(path);
        let builder = method.map_or_else(|| SpanBuilder::new("grpc"), |method| SpanBuilder::new(method.to_owned()));
        builder.kind(SpanKind::Client).start_with(|tags| {
            target::describe(tags, method, path);
            if let Some((host, port)) = target::server_of(request.uri()) {
                tags.extend(semconv::server(host.to_owned(), port));
            } else if let Some((host, port)) = &self.server {
                tags.extend(semconv::server(Arc::clone(host), *port));
            }
        })
    }
}

impl Default for ClientLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> ClientService<S> {
        ClientService { inner, layer: self.clone() }
    }
}

/// A channel whose calls have client spans. Created by [`ClientLayer`].
#[derive(Debug, Clone)]
pub struct ClientService<S> {
    inner: S,
    layer: ClientLayer,
}

impl<S, ResBody> Service<Request<tonic::body::Body>> for ClientService<S>
where
    S: Service<Request<tonic::body::Body>, Response = Response<ResBody>>,
    S::Error: 'static,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<tonic::body::Body>) -> Self::Future {
        // If the request is forwarded, even to a service in this process, it is a new call there.
        request.extensions_mut().remove::<Entered>();
        request.extensions_mut().remove::<RequestId>();
        let span = self.layer.start(&request);
        let timeout = span.is_recording().then(|| target::timeout(request.headers())).flatten();
        // The connection's task polls the request stream, possibly after the caller's span has ended, so it only gets
        // the identity of that span.
        let context = span.detached_context();
        self.layer.inject(&context, &mut request);
        let request = request.map(|body| {
            // `Body::new` drops a body without messages.
            tonic::body::Body::new(Span::within(context).instrument(body, NoObserver))
        });
        span.instrument_with(|| self.inner.call(request), Call::sent(timeout).observer())
    }
}
