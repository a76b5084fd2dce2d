//! Incoming calls.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{self, Poll};

use http::{Request, Response};
use http_body::Body;
use throughline::{RequestId, Span, SpanBuilder, SpanKind, current_context, propagation, semconv};
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;
use tower_layer::Layer;
use tower_service::Service;

use crate::call::{Call, ResponseBody, ResponseFuture};
use crate::metadata::Headers;
use crate::report::Report;
use crate::target;

/// A tower layer that starts a server span for each gRPC call, in the caller's trace.
///
/// Add it with `tonic::transport::Server::builder().layer(…)`, around a single service, or to an `axum::Router` that
/// includes gRPC services: requests without a gRPC content type pass through untraced. With `tonic-web`, place it
/// inside `GrpcWebLayer`. If a service is wrapped in two of these layers, the outer one starts the span. Back-pressure
/// and errors are passed through unchanged.
///
/// Place the server layer of `throughline-http` outside of this one: its span is then the parent of the call's span,
/// and its trust settings apply.
///
/// ```
/// use throughline_grpc::ServerLayer;
/// use tonic::transport::Server;
///
/// // For callers inside the trust boundary; and for the edge, whose callers are not trusted.
/// let server = Server::builder().layer(ServerLayer::new());
/// let edge = Server::builder().layer(ServerLayer::new().public());
/// ```
#[derive(Debug, Clone, Default)]
pub struct ServerLayer {
    is_public: bool,
    /// `None`: everything that has the form of a method.
    methods: Option<Arc<[Box<str>]>>,
    /// Methods whose calls are not traced.
    untraced: Arc<[Box<str>]>,
}

impl ServerLayer {
    /// Creates a layer for trusted callers: each call continues the trace of its caller, with the caller's sampling
    /// decision and baggage.
    pub fn new() -> Self {
        Self::default()
    }

    /// Treats callers as untrusted: each call starts a new trace, which is linked to the caller's span. The caller's
    /// sampling decision and baggage are ignored.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.is_public = true;
        self
    }

    /// Sets the known methods, as `package.Service/Method`. The span of a call to any other method is named `grpc` and
    /// has the `rpc.method` `_OTHER`, so that callers cannot create an unlimited number of span names. By default,
    /// every path that has the form of a method is treated as one.
    #[must_use]
    pub fn methods<M: Into<String>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        self.methods = Some(methods.into_iter().map(|method| method.into().into_boxed_str()).collect());
        self
    }

    /// Excludes methods from tracing, given as `package.Service/Method` or `package.Service/*`, such as health checks
    /// and reflection. Neither the call nor anything below it is recorded, including spans of other libraries:
    /// telemetry is suppressed in the context.
    ///
    /// ```
    /// use throughline_grpc::ServerLayer;
    ///
    /// let layer = ServerLayer::new().untraced(["grpc.health.v1.Health/*"]);
    /// ```
    #[must_use]
    pub fn untraced<M: Into<String>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        let more = methods.into_iter().map(|method| method.into().into_boxed_str());
        self.untraced = self.untraced.iter().cloned().chain(more).collect();
        self
    }

    fn is_untraced(&self, path: &str) -> bool {
        let path = path.strip_prefix('/').unwrap_or(path);
        self.untraced.iter().any(|method| match method.strip_suffix("/*") {
            Some(service) => path.strip_prefix(service).is_some_and(|rest| rest.starts_with('/')),
            None => **method == *path,
        })
    }

    fn method<'a>(&self, path: &'a str) -> Option<&'a str> {
        let method = target::method(path)?;
        let is_known = self.methods.as_ref().is_none_or(|known| known.iter().any(|known| **known == *method));
        is_known.then_some(method)
    }

    fn start<B>(&self, request: &mut Request<B>) -> (Span, Call) {
        if self.is_untraced(request.uri().path()) {
            return (Span::within(current_context().with_telemetry_suppressed()), Call::served(None, None));
        }
        // Cheap: the path is reference-counted.
        let uri = request.uri().clone();
        let method = self.method(uri.path());
        let builder = method.map_or_else(|| SpanBuilder::new("grpc"), |method| SpanBuilder::new(method.to_owned()));
        let builder = builder.kind(SpanKind::Server);
        let headers = Headers(request.headers());
        let builder = if is_in_http_span(request) {
            // That layer decides whether the caller is trusted, and its span is the parent.
            builder
        } else if self.is_public {
            builder.root().link(&propagation::get().extract_identity(&headers))
        } else {
            builder.parent(&propagation::extract(&headers))
        };
        let mut span = builder.start_with(|tags| {
            target::describe(tags, method, uri.path());
            let (local, peer) = addresses(request);
            let called = target::called(&uri, request.headers());
            let here = || local.map(|local| (local.ip().to_string(), Some(local.port())));
            if let Some((host, port)) = called.or_else(here) {
                tags.extend(semconv::server(host, port));
            }
            tags.extend(peer.into_iter().flat_map(semconv::network_peer));
        });
        let is_method = method.is_some();
        let report = Report::of(&mut span, uri, is_method);
        (span, Call::served(target::timeout(request.headers()), report))
    }
}

/// Whether an outer HTTP layer has processed this request, and its context is current.
fn is_in_http_span<B>(request: &Request<B>) -> bool {
    let taken_in = request.extensions().get::<RequestId>();
    taken_in.is_some() && taken_in == RequestId::current().as_ref()
}

/// Marks a request whose call has a span, in its extensions, for inner layers.
#[derive(Clone)]
pub(crate) struct Entered;

/// Both ends of the connection, local and remote. Only `tonic` knows which of its types they are in: that
/// depends on its TLS features.
fn addresses<B>(request: &mut Request<B>) -> (Option<SocketAddr>, Option<SocketAddr>) {
    let extensions = mem::take(request.extensions_mut());
    let borrowed = tonic::Request::from_parts(MetadataMap::new(), extensions, ());
    let found = (borrowed.local_addr(), borrowed.remote_addr());
    *request.extensions_mut() = borrowed.into_parts().1;
    found
}

impl<S> Layer<S> for ServerLayer {
    type Service = ServerService<S>;

    fn layer(&self, inner: S) -> ServerService<S> {
        ServerService { inner, layer: self.clone() }
    }
}

/// A service whose calls have server spans. Created by [`ServerLayer`].
#[derive(Debug, Clone)]
pub struct ServerService<S> {
    inner: S,
    layer: ServerLayer,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ServerService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: 'static,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let is_new = target::is_grpc(request.headers()) && request.extensions_mut().insert(Entered).is_none();
        let (span, call) =
            if is_new { self.layer.start(&mut request) } else { (Span::none(), Call::served(None, None)) };
        span.instrument_with(|| self.inner.call(request), call.observer())
    }
}

impl<S: NamedService> NamedService for ServerService<S> {
    const NAME: &'static str = S::NAME;
}
