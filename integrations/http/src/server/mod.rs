//! The layer for servers.

mod exchange;
mod span;

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::sync::Arc;
use std::task::{self, Poll};

use http::{Request, Response, request};
use http_body::Body;
use throughline::redact::UrlRules;
use throughline::{Instrumented, semconv};
use tower_layer::Layer;
use tower_service::Service;

use crate::body::ResponseBody;
use crate::facts;
use crate::tag::{Recorded, RequestTag, TagHeaders};

use exchange::Exchange;
pub use exchange::ServerObserver;
pub(crate) use span::{Entered, RefusedId};

/// Which requests are not traced.
#[derive(Clone)]
enum Untraced {
    Path(Cow<'static, str>),
    Below(String),
    If(Arc<dyn Fn(&request::Parts) -> bool + Send + Sync>),
}

impl Untraced {
    fn holds_for(&self, parts: &request::Parts) -> bool {
        match self {
            Self::Path(path) => facts::original_uri(parts).path() == path,
            Self::Below(start) => facts::original_uri(parts).path().starts_with(start),
            Self::If(holds) => holds(parts),
        }
    }
}

type RouteOf = dyn Fn(&request::Parts) -> Option<Cow<'static, str>> + Send + Sync;

/// A tower layer that starts a server span for each [`http::Request`], for axum, hyper, tonic and other services.
///
/// The span is a child of the caller's span, or starts a new trace if the layer is [public](Self::public). It starts
/// with the attributes and tags of the request, so samplers see them, and ends with the [body](ResponseBody) of the
/// response. If a service is wrapped in two of these layers, the outer one starts the span. The inner one adds its
/// route and tags; its other settings have no effect.
///
/// The parent comes from the headers alone. A span that is current around the layer, of traced middleware for example,
/// is linked and not the parent, so the layer should be outside of such middleware: the last one that is added to a
/// router, or the first in a `ServiceBuilder`.
///
/// Cloning is cheap; clones share their settings.
///
/// ```
/// use throughline_http::{RequestTag, ServerLayer};
///
/// let inside = ServerLayer::new().tag_header("tenant_id", "x-tenant-id");
/// let edge = ServerLayer::new().public().tag(RequestTag::new("tenant_id").path("tenant").required());
/// ```
#[derive(Clone, Default)]
#[must_use = "a layer does nothing until a service is put under it"]
pub struct ServerLayer(Arc<Config>);

#[derive(Clone)]
struct Config {
    public: bool,
    fresh_request_id: bool,
    route: Option<Arc<RouteOf>>,
    scheme: &'static str,
    proxies: usize,
    tags: Vec<RequestTag>,
    tag_headers: TagHeaders,
    rules: UrlRules,
    untraced: Vec<Untraced>,
    request_headers: Recorded,
    response_headers: Recorded,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            public: false,
            fresh_request_id: false,
            route: None,
            scheme: "http",
            proxies: 0,
            tags: Vec::new(),
            tag_headers: TagHeaders::default(),
            rules: UrlRules::DEFAULT,
            untraced: Vec::new(),
            request_headers: Recorded::default(),
            response_headers: Recorded::default(),
        }
    }
}

impl ServerLayer {
    /// Creates a layer for use inside the trust boundary: callers are trusted, and their traces are continued.
    pub fn new() -> Self {
        Self::default()
    }

    /// Treats callers as untrusted: each request starts a new trace, which is linked to the caller's. The caller's
    /// sampling flag, baggage and [tag headers](Self::tag_header) are ignored. Its `X-Request-ID` is kept, but does not
    /// become the trace ID.
    pub fn public(self) -> Self {
        self.set(|config| config.public = true)
    }

    fn set(mut self, set: impl FnOnce(&mut Config)) -> Self {
        set(Arc::make_mut(&mut self.0));
        self
    }

    /// Generates a request ID for each request that starts a trace here, and records the caller's `X-Request-ID` as an
    /// attribute only. For public services, whose callers should not choose the IDs in your logs.
    pub fn fresh_request_id(self) -> Self {
        self.set(|config| config.fresh_request_id = true)
    }

    /// Sets a function that returns the route template of a request, such as `/orders/{order_no}`, if axum's is not
    /// known: for a layer around the router, and for other frameworks. It takes precedence over axum's template.
    /// Templates must have low cardinality, because they are part of the span name.
    ///
    /// `of` is called once per request, before the span starts. If it panics, the panic unwinds into the caller of the
    /// service.
    ///
    /// ```
    /// use throughline_http::ServerLayer;
    ///
    /// let layer = ServerLayer::new()
    ///     .route(|request| request.uri.path().starts_with("/orders/").then(|| "/orders/{order_no}".into()));
    /// ```
    pub fn route(self, of: impl Fn(&request::Parts) -> Option<Cow<'static, str>> + Send + Sync + 'static) -> Self {
        self.set(|config| config.route = Some(Arc::new(of)))
    }

    /// Adds a tag whose value is taken from the request. It replaces an earlier one with the same key.
    pub fn tag(self, tag: RequestTag) -> Self {
        self.set(|config| {
            config.tags.retain(|other| other.key() != tag.key());
            config.tags.push(tag);
        })
    }

    /// Reads the tag `key` from the header `header`, as sent by
    /// [`ClientLayer::tag_header`](crate::ClientLayer::tag_header), for tags that are propagated without baggage. The
    /// value is text. If several headers are set for one key, the first one that is present is used.
    ///
    /// A [public](Self::public) layer ignores these headers, and so does a layer inside of it. To read one from
    /// untrusted callers, use a [`RequestTag`]. An invalid header name is logged as an error and otherwise ignored.
    pub fn tag_header(self, key: &'static str, header: &str) -> Self {
        self.set(|config| config.tag_headers.add(key, header))
    }

    /// Sets the number of trusted proxies in front of the service, each of which appends to `Forwarded` or
    /// `X-Forwarded-*`. `client.address`, `url.scheme` and `server.address` are then taken from what the outermost of
    /// them has written. By default, these headers are ignored, because any caller can set them, and `client.address`
    /// is the peer of the connection.
    ///
    /// `Forwarded` takes precedence, so proxies that only set `X-Forwarded-*` have to remove `Forwarded` from requests.
    pub fn proxies(self, count: usize) -> Self {
        self.set(|config| config.proxies = count)
    }

    /// Sets `url.scheme` for requests whose URI has no scheme, which are all requests over HTTP/1.1: `http` or `https`.
    /// The default is `http`.
    pub fn scheme(self, scheme: &'static str) -> Self {
        self.set(|config| config.scheme = scheme)
    }

    /// Redacts the values of these URL parameters in `url.query` and `url.path`, in addition to [common names of
    /// secrets](crate#secrets-in-urls). Names are compared without regard to case and punctuation.
    pub fn redact<K: Into<Cow<'static, str>>>(self, parameters: impl IntoIterator<Item = K>) -> Self {
        self.set(|config| parameters.into_iter().for_each(|name| config.rules.hide(&name.into())))
    }

    /// Records the values of these URL parameters, although they have [common names of secrets](crate#secrets-in-urls).
    /// [`redact`](Self::redact) takes precedence.
    pub fn reveal<K: Into<Cow<'static, str>>>(self, parameters: impl IntoIterator<Item = K>) -> Self {
        self.set(|config| parameters.into_iter().for_each(|name| config.rules.show(&name.into())))
    }

    /// Excludes these paths from tracing, such as health checks and metrics. A path that ends in `/*` matches all paths
    /// below it. Paths are compared with the received path, before anything else happens.
    ///
    /// Neither the request nor anything below it is recorded: [telemetry is suppressed] in the handler, so that no span
    /// below becomes the root of a trace, including those of detached jobs. No trace is started or continued, calls to
    /// other services carry no context, no `X-Request-ID` is generated, and a failure emits no event. If a service is
    /// wrapped in two layers, the outer one decides.
    ///
    /// ```
    /// use throughline_http::ServerLayer;
    ///
    /// let layer = ServerLayer::new().untraced(["/healthz", "/metrics", "/internal/*"]);
    /// ```
    ///
    /// [telemetry is suppressed]: opentelemetry::Context::is_telemetry_suppressed
    pub fn untraced<P: Into<Cow<'static, str>>>(self, paths: impl IntoIterator<Item = P>) -> Self {
        self.set(|config| {
            config.untraced.extend(paths.into_iter().map(|path| {
                let path = path.into();
                match path.strip_suffix('*') {
                    Some(start) if start.ends_with('/') => Untraced::Below(start.to_owned()),
                    _ => Untraced::Path(path),
                }
            }));
        })
    }

    /// Excludes requests for which `holds` returns `true` from tracing. See [`untraced`](Self::untraced) for the
    /// effects.
    ///
    /// `holds` is called once per request, before anything else happens.
    pub fn untraced_if(self, holds: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.set(|config| config.untraced.push(Untraced::If(Arc::new(holds))))
    }

    /// Records request headers as `http.request.header.<name>`. None by default.
    pub fn record_request_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.set(|config| config.request_headers.add(semconv::HTTP_REQUEST_HEADER, names))
    }

    /// Records response headers as `http.response.header.<name>`. None by default.
    pub fn record_response_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.set(|config| config.response_headers.add(semconv::HTTP_RESPONSE_HEADER, names))
    }
}

impl fmt::Debug for ServerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLayer")
            .field("public", &self.0.public)
            .field("tags", &self.0.tags)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = ServerService<S>;

    fn layer(&self, inner: S) -> ServerService<S> {
        ServerService { inner, layer: self.clone() }
    }
}

/// A service whose requests have server spans. Created by [`ServerLayer`].
#[derive(Debug, Clone)]
pub struct ServerService<S> {
    inner: S,
    layer: ServerLayer,
}

impl<S, B, R> Service<Request<B>> for ServerService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Display + 'static,
    R: Body,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ServerFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let (span, exchange) = Exchange::begin(&self.layer, &mut parts);
        let request = Request::from_parts(parts, body);
        span.instrument_with(|| self.inner.call(request), ServerObserver(Some(exchange)))
    }
}

/// The future of a [`ServerService`]: the future of the wrapped service, in the span of the request. If it is dropped
/// before it completes, the span is marked `throughline.cancelled`.
///
/// It resolves to a response whose [body](ResponseBody) takes over the span.
pub type ServerFuture<F> = Instrumented<F, ServerObserver>;
