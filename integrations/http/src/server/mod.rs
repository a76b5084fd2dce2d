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

/// Gives each request a server span: a layer for axum, hyper, tonic, and any other service over [`http::Request`].
///
/// The span is a child of the caller's, or starts a new trace if the layer is [public](Self::public). It has the
/// attributes and the tags of the request when the sampler is asked, and ends with the [body](ResponseBody) of the
/// response. Of two of these layers around one service the outer one starts the span; the inner one adds its route and
/// its tags, and its other settings have no effect.
///
/// Cloning is cheap, and shares the settings.
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
            rules: UrlRules::USUAL,
            untraced: Vec::new(),
            request_headers: Recorded::default(),
            response_headers: Recorded::default(),
        }
    }
}

impl ServerLayer {
    /// A layer inside of the trust boundary: callers are services of your own, and their traces are continued.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts the layer at the trust boundary. Each request starts a new trace, which is linked to the caller's. The
    /// caller's sampling flag, baggage and [tag headers](Self::tag_header) are ignored; its `X-Request-ID` is kept,
    /// but does not become the trace id.
    pub fn public(self) -> Self {
        self.set(|config| config.public = true)
    }

    fn set(mut self, set: impl FnOnce(&mut Config)) -> Self {
        set(Arc::make_mut(&mut self.0));
        self
    }

    /// Generates a request id for each request that starts a trace here, and records the caller's `X-Request-ID` as an
    /// attribute only: for public services whose callers should not choose what is searched for in logs.
    pub fn fresh_request_id(self) -> Self {
        self.set(|config| config.fresh_request_id = true)
    }

    /// Provides the route template of a request, such as `/orders/{order_no}`, where axum's is not known: around the
    /// router, and for other frameworks. It goes before axum's. It is part of the span's name, so its cardinality has to
    /// be low.
    ///
    /// `of` is called once per request, before the span starts. A panic of it unwinds into the caller of the service.
    pub fn route(self, of: impl Fn(&request::Parts) -> Option<Cow<'static, str>> + Send + Sync + 'static) -> Self {
        self.set(|config| config.route = Some(Arc::new(of)))
    }

    /// Adds a tag that is taken from the request. It replaces one with the same key that was added before.
    pub fn tag(self, tag: RequestTag) -> Self {
        self.set(|config| {
            config.tags.retain(|other| other.key() != tag.key());
            config.tags.push(tag);
        })
    }

    /// Reads the tag `key` from the header `header`, as [`ClientLayer::tag_header`](crate::ClientLayer::tag_header) writes
    /// it: for tags that go from service to service without baggage. The value is text. If there are several headers for
    /// one key, the first that is present counts.
    ///
    /// A [public](Self::public) layer ignores these headers, and so does one inside of it; to read one from callers that are not trusted, name it in a
    /// [`RequestTag`]. An invalid header name is logged as an error, and otherwise ignored.
    pub fn tag_header(self, key: &'static str, header: &str) -> Self {
        self.set(|config| config.tag_headers.add(key, header))
    }

    /// The number of trusted proxies in front, each of which appends to `Forwarded` or `X-Forwarded-*`.
    /// `client.address`, `url.scheme` and `server.address` then are what the outermost of them has written. By default
    /// these headers are ignored, because any caller can write them, and `client.address` is the other end of the
    /// connection.
    ///
    /// `Forwarded` takes precedence, so proxies that only write `X-Forwarded-*` have to remove it from requests.
    pub fn proxies(self, count: usize) -> Self {
        self.set(|config| config.proxies = count)
    }

    /// Sets `url.scheme` for requests whose URI has none, which is all of them over HTTP/1.1. `http` by default; `https`
    /// is the other sensible value.
    pub fn scheme(self, scheme: &'static str) -> Self {
        self.set(|config| config.scheme = scheme)
    }

    /// Redacts the values of these parameters in `url.query` and `url.path`, besides those that usually are
    /// [secret](crate#secrets-in-urls). Names are compared without regard to case and punctuation.
    pub fn redact<K: Into<Cow<'static, str>>>(self, parameters: impl IntoIterator<Item = K>) -> Self {
        self.set(|config| parameters.into_iter().for_each(|name| config.rules.hide(&name.into())))
    }

    /// Records the values of these parameters, although their names are those of [secrets](crate#secrets-in-urls). One
    /// that is also named in [`redact`](Self::redact) is redacted.
    pub fn reveal<K: Into<Cow<'static, str>>>(self, parameters: impl IntoIterator<Item = K>) -> Self {
        self.set(|config| parameters.into_iter().for_each(|name| config.rules.show(&name.into())))
    }

    /// Does not trace requests for these paths: health checks, metrics. A path that ends in `/*` stands for all paths
    /// below it. They are compared with the path as it was received, before anything else happens.
    ///
    /// Neither the request nor anything below it is recorded: [telemetry is suppressed] in the handler, so that no span
    /// below becomes the root of a trace of its own, not in a detached job either. No trace is started or continued, calls
    /// to other services carry no context, no `X-Request-ID` is generated, and a failure writes no event. Of two layers
    /// around one service the outer one decides.
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

    /// Does not trace requests for which `holds` returns `true`. See [`untraced`](Self::untraced) for what that means.
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

/// A service whose requests have server spans. Made by [`ServerLayer`].
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

/// The future of a [`ServerService`]: the service's own, in the span of the request. Dropping it before it is ready
/// marks the span `throughline.cancelled`.
///
/// It results in a response whose [body](ResponseBody) has the span.
pub type ServerFuture<F> = Instrumented<F, ServerObserver>;
