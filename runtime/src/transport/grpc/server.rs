//! Calls that come in.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{self, Poll};

use http::{Request, Response};
use http_body::Body;
use opentelemetry::trace::SpanKind;
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;
use tower_layer::Layer;
use tower_service::Service;

use super::call::{Call, ResponseBody, ResponseFuture};
use super::status::Side;
use super::target;
use crate::context::current;
use crate::propagation;
use crate::span::builder::SpanBuilder;
use crate::span::handle::Span;
use crate::transport::http::{Headers, RequestId};

/// Opens a server span for each gRPC call, in the trace of the caller.
///
/// For `tonic::transport::Server::builder().layer(…)`, around a single service, or for an
/// `axum::Router` that has gRPC services among others: what is not gRPC by its content type passes
/// untouched. With `tonic-web`, it belongs inside of `GrpcWebLayer`. Of two of these layers around one
/// service the outer one opens the span. Neither back-pressure nor errors change.
///
/// A [`http::ServerLayer`](crate::http::ServerLayer) belongs outside: its span is then the parent of the
/// call's, and its trust mode the one that counts.
///
/// ```
/// use throughline::grpc::ServerLayer;
/// use tonic::transport::Server;
///
/// // From inside; and at the edge, where callers are not trusted.
/// let server = Server::builder().layer(ServerLayer::new());
/// let edge = Server::builder().layer(ServerLayer::new().public());
/// ```
#[derive(Debug, Clone, Default)]
pub struct ServerLayer {
    is_public: bool,
    /// `None`: all that have the form of one.
    methods: Option<Arc<[Box<str>]>>,
    /// Methods whose calls are not traced.
    untraced: Arc<[Box<str>]>,
}

impl ServerLayer {
    /// A layer for calls from inside: each continues the trace of its caller, whose sampling
    /// decision and baggage hold.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes calls from outside, whose callers are not trusted: each starts a new trace, with a link
    /// to the caller's span. The caller's sampling flag and baggage are ignored.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.is_public = true;
        self
    }

    /// Names the methods that there are, as `package.Service/Method`. A call of another one has the
    /// name `grpc` and the `rpc.method` `_OTHER`, so that callers cannot bring about any number of
    /// span names. Without it, every path that has the form of a method counts as one.
    #[must_use]
    pub fn methods<M: Into<String>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        self.methods = Some(methods.into_iter().map(|method| method.into().into_boxed_str()).collect());
        self
    }

    /// Does not trace calls of these methods, named as `package.Service/Method` or `package.Service/*`:
    /// health checks, reflection. Nothing is recorded of them nor of what they do, as with
    /// [`http::ServerLayer::untraced`](crate::http::ServerLayer::untraced).
    ///
    /// ```
    /// use throughline::grpc::ServerLayer;
    ///
    /// let layer = ServerLayer::new().untraced(["grpc.health.v1.Health/*"]);
    /// ```
    #[must_use]
    pub fn untraced<M: Into<String>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        self.untraced = methods.into_iter().map(|method| method.into().into_boxed_str()).collect();
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

    fn open<B>(&self, request: &mut Request<B>) -> Call {
        if self.is_untraced(request.uri().path()) {
            let suppressed = current::get().with_telemetry_suppressed();
            return Call::new(Span::within(suppressed), Side::Server, None);
        }
        // Cheap: the path is counted, not copied.
        let uri = request.uri().clone();
        let method = self.method(uri.path());
        let builder = method.map_or_else(|| SpanBuilder::new("grpc"), |method| SpanBuilder::new(method.to_owned()));
        let builder = builder.kind(SpanKind::Server);
        let headers = Headers(request.headers());
        let builder = if is_in_http_span(request) {
            // That layer has judged the caller, and its span is the parent.
            builder
        } else if self.is_public {
            builder.root().link(&propagation::get().extract_identity(&headers))
        } else {
            builder.parent(&propagation::extract(&headers))
        };
        let span = builder.start_with(|tags| {
            target::describe(tags, method, uri.path());
            let (local, peer) = addresses(request);
            let asked_for = target::asked_for(&uri, request.headers());
            let here = || local.map(|local| (local.ip().to_string(), Some(local.port())));
            if let Some((host, port)) = asked_for.or_else(here) {
                tags.attribute("server.address", host);
                if let Some(port) = port {
                    tags.attribute("server.port", i64::from(port));
                }
            }
            if let Some(peer) = peer {
                tags.attribute("network.peer.address", peer.ip().to_string());
                tags.attribute("network.peer.port", i64::from(peer.port()));
            }
        });
        let timeout = span.is_recording().then(|| target::timeout(request.headers())).flatten();
        Call::new(span, Side::Server, timeout)
    }
}

/// Whether a layer of [`crate::http`] further out has taken this request in, and its context is current.
fn is_in_http_span<B>(request: &Request<B>) -> bool {
    let taken_in = request.extensions().get::<RequestId>();
    taken_in.is_some() && taken_in == RequestId::current().as_ref()
}

/// In the extensions of a request whose call has its span, for layers further in.
#[derive(Clone)]
struct Entered;

/// Both ends of the connection. `tonic` alone knows under which of its types they are noted, which
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

/// A service whose calls have server spans. Made by [`ServerLayer`].
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
        let mut call = if is_new { self.layer.open(&mut request) } else { Call::none(Side::Server) };
        let inner = call.run(|| self.inner.call(request));
        ResponseFuture::new(inner, call)
    }
}

impl<S: NamedService> NamedService for ServerService<S> {
    const NAME: &'static str = S::NAME;
}
