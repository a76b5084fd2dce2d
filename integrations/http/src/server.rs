//! The layer for servers.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt::{self, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{self, Poll};

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode, request};
use http_body::Body;
use opentelemetry::trace::{SpanId, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use throughline::redact::UrlRules;
use throughline::{
    ContextExt as _, EventFields, Instrumented, LastError, Observe, Observer, Outcome, RequestId, Span, SpanBuilder,
    TagScope, Tags, current_context, propagation, semconv,
};
use tower_layer::Layer;
use tower_service::Service;

use crate::body::{self, Failure, ResponseBody};
use crate::cause::{Cause, Causes};
use crate::facts::{self, Forwarded};
use crate::tag::{Edge, Recorded, RequestTag, TagHeaders};
use crate::{Headers, X_REQUEST_ID};

const RECORDED_ID: &str = "http.request.header.x-request-id";

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
/// its tags.
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
    /// A [public](Self::public) layer ignores these headers; to read one from callers that are not trusted, name it in a
    /// [`RequestTag`]. An invalid header name is logged as an error, and otherwise ignored.
    pub fn tag_header(self, key: &'static str, header: &str) -> Self {
        self.set(|config| config.tag_headers.add(key, header))
    }

    /// The number of trusted proxies in front, each of which appends to `Forwarded` or `X-Forwarded-*`.
    /// `client.address`, `url.scheme` and `server.address` then are what the outermost of them has written. By default
    /// these headers are ignored, because any caller can write them, and `client.address` is the other end of the
    /// connection.
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

/// One request on its way to its response.
#[derive(Debug)]
struct Exchange {
    /// For the response, unless an outer layer sets it.
    request_id: Option<HeaderValue>,
    method: Method,
    route: Option<Cow<'static, str>>,
    /// The last error below the request, if this layer has started its span.
    request: Option<Arc<LastError>>,
    /// Required tags without a value, of a request that no route may match.
    missing: Vec<&'static str>,
    layer: ServerLayer,
}

impl Exchange {
    /// Writes the event of a request that has failed, in its span.
    fn report(&self, span: &Span, status: Option<StatusCode>, cause: Option<&str>) {
        if self.request.is_none() {
            return;
        }
        throughline::event_in(&span.context(), |EventFields { trace_id, span_id, tags, .. }| {
            tracing::error!(
                target: "throughline::http",
                {
                    http.request.method = facts::method(&self.method),
                    http.route = self.route.as_deref(),
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

/// The span of the request, in its extensions: for layers further in.
#[derive(Clone, Copy)]
pub(crate) struct Entered {
    span: (TraceId, SpanId),
    /// Whether it has a route.
    routed: bool,
}

fn identity(context: &Context) -> (TraceId, SpanId) {
    let span = context.span();
    let span = span.span_context();
    (span.trace_id(), span.span_id())
}

impl Exchange {
    fn begin(layer: &ServerLayer, parts: &mut request::Parts) -> (Span, Self) {
        let config = &layer.0;
        if config.untraced.iter().any(|untraced| untraced.holds_for(parts))
            && parts.extensions.get::<Entered>().is_none()
        {
            return Self::untraced(layer, parts);
        }
        let route = config.route.as_ref().and_then(|of| of(parts)).or_else(|| facts::matched_route(parts));
        let mut missing = Vec::new();
        let (span, request_id, request) = match parts.extensions.get::<Entered>() {
            Some(entered) => (config.join(*entered, parts, route.as_deref(), &mut missing), None, None),
            None => config.enter(parts, route.as_deref(), &mut missing),
        };
        let method = parts.method.clone();
        (span, Self { request_id, method, route, request, missing, layer: layer.clone() })
    }

    fn untraced(layer: &ServerLayer, parts: &request::Parts) -> (Span, Self) {
        let exchange = Self {
            request_id: None,
            method: parts.method.clone(),
            route: None,
            request: None,
            missing: Vec::new(),
            layer: layer.clone(),
        };
        (Span::within(current_context().with_telemetry_suppressed()), exchange)
    }

    fn respond<B: Body>(mut self, span: Span, mut response: Response<B>) -> Response<ResponseBody<B>> {
        let status = response.status();
        if span.is_recording() {
            span.record(semconv::HTTP_RESPONSE_STATUS_CODE, status.as_u16());
            span.record_all(self.layer.0.response_headers.read(response.headers()));
            // A request that no route matches has no tags to miss.
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
            let named = response.extensions().get::<Cause>();
            if let (Some(named), true) = (named, span.is_recording()) {
                span.event("exception", vec![KeyValue::new(semconv::EXCEPTION_MESSAGE, named.text().to_owned())]);
            }
            let noted = || self.request.as_ref()?.take();
            let cause = named.map(|cause| cause.text().to_owned()).or_else(noted);
            self.report(&span, Some(status), cause.as_deref());
            Failure { status, cause }
        });
        response.map(|body| body::instrument(body, span, failure, announced, is_bare))
    }
}

impl Config {
    /// Starts the span of the request.
    fn enter(
        &self,
        parts: &mut request::Parts,
        route: Option<&str>,
        missing: &mut Vec<&'static str>,
    ) -> (Span, Option<HeaderValue>, Option<Arc<LastError>>) {
        let headers = Headers(&parts.headers);
        let caller = if self.public {
            propagation::get().extract_identity(&headers)
        } else {
            self.tag_headers.read(&parts.headers, &propagation::extract(&headers))
        };
        let continues = !self.public && caller.span().span_context().is_valid();
        let given = parts.headers.get(&X_REQUEST_ID).and_then(|id| RequestId::parse(id.as_bytes()));
        let as_trace = given.as_ref().and_then(RequestId::as_trace_id);
        let keeps = !self.fresh_request_id || continues;
        let wanted = as_trace.filter(|_| keeps && !continues && !self.public);

        let parent = if self.public { Context::new() } else { caller.clone() };

        let mut builder =
            SpanBuilder::new(facts::span_name(&parts.method, route)).kind(SpanKind::Server).parent(&parent);
        if self.public {
            builder = builder.link(&caller);
        }
        if let Some(id) = wanted {
            builder = builder.trace_id(id);
        }
        let mut span =
            builder.propagate(|tags| self.resolve(parts, route, &parent, missing, tags)).start_with(|tags| {
                self.describe(parts, route, tags);
                let other = given.as_ref().filter(|_| wanted.is_none());
                let same_trace = caller.span().span_context().trace_id();
                if let Some(id) = other.filter(|_| !continues || as_trace != Some(same_trace)) {
                    tags.attribute(RECORDED_ID, recorded_id(id));
                }
            });

        let context = span.context();
        let trace = context.span().span_context().trace_id();
        if let Some(given) = given.as_ref().filter(|_| wanted.is_some_and(|id| id != trace)) {
            if trace != TraceId::INVALID {
                warn_of_generator(given);
                context.span().set_attribute(KeyValue::new(RECORDED_ID, recorded_id(given)));
            }
        }
        let id = given
            .filter(|_| keeps)
            .unwrap_or_else(|| if trace == TraceId::INVALID { RequestId::mint() } else { RequestId::from(trace) });
        let header = HeaderValue::from_str(id.as_ref()).ok();
        // The id is not known before the span has started.
        let mut last_error = None;
        span.map_context(|context| {
            context.with_extensions(|extensions| {
                extensions.insert(LastError::new());
                extensions.insert(id.clone());
                last_error = extensions.get();
            })
        });
        parts.extensions.insert(id);
        parts.extensions.insert(Entered { span: identity(&context), routed: route.is_some() });
        (span, header, last_error)
    }

    /// Adds what this layer knows to the span that a layer further out has started.
    fn join(
        &self,
        entered: Entered,
        parts: &request::Parts,
        route: Option<&str>,
        missing: &mut Vec<&'static str>,
    ) -> Span {
        let current = current_context();
        if identity(&current) == entered.span && !entered.routed {
            if let Some(route) = route {
                let span = current.span();
                span.update_name(facts::span_name(&parts.method, Some(route)));
                span.set_attribute(KeyValue::new(semconv::HTTP_ROUTE, route.to_owned()));
            }
        }
        TagScope::new().propagate(|tags| self.resolve(parts, route, &current, missing, tags)).start_with(|_| {})
    }

    /// Adds the tags of the request. Without a route, required ones without a value are added to `missing`.
    fn resolve(
        &self,
        parts: &request::Parts,
        route: Option<&str>,
        parent: &Context,
        missing: &mut Vec<&'static str>,
        tags: &mut Tags,
    ) {
        let edge = Edge { parts, route, path: facts::original_uri(parts).path(), parent };
        for tag in &self.tags {
            tag.resolve(&edge, missing, tags);
        }
    }

    /// Adds the attributes that are known when the span starts, so that the sampler sees them.
    fn describe(&self, parts: &request::Parts, route: Option<&str>, tags: &mut Tags) {
        facts::add_method(&parts.method, tags);
        if let Some(route) = route {
            tags.attribute(semconv::HTTP_ROUTE, route.to_owned());
        }
        let uri = facts::original_uri(parts);
        facts::add_target(uri.path(), uri.query(), &self.rules, tags);
        let forwarded = Forwarded::of(parts, self.proxies);
        let own = match uri.scheme_str() {
            Some("http") => "http",
            Some("https") => "https",
            _ => self.scheme,
        };
        let scheme = forwarded.proto.unwrap_or(own);
        tags.attribute(semconv::URL_SCHEME, scheme);
        if let Some(authority) = forwarded.host.map(Cow::Owned).or_else(|| facts::authority(parts)) {
            let port = authority.port_u16().or_else(|| facts::default_port(scheme));
            facts::add_host(authority.host(), port, tags);
        }
        let peer = facts::peer(parts);
        // Without proxies, the other end of the connection is the client.
        if let Some(client) = forwarded.client.or(peer.map(|peer| peer.ip())) {
            tags.attribute(semconv::CLIENT_ADDRESS, client.to_string());
        }
        if let Some(peer) = peer {
            tags.attribute(semconv::NETWORK_PEER_ADDRESS, peer.ip().to_string());
            tags.attribute(semconv::NETWORK_PEER_PORT, i64::from(peer.port()));
        }
        if let Some(version) = facts::version(parts.version) {
            tags.attribute(semconv::NETWORK_PROTOCOL_VERSION, version);
        }
        facts::add_text(semconv::USER_AGENT_ORIGINAL, &header::USER_AGENT, &parts.headers, tags);
        facts::add_headers(&self.request_headers, &parts.headers, tags);
    }
}

/// The conventions define the value of a header as a list.
fn recorded_id(id: &RequestId) -> Value {
    Value::Array(Array::String(vec![StringValue::from(id.to_string())]))
}

/// Logs once why the ids differ.
fn warn_of_generator(id: &RequestId) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "the request id `{id}` cannot become the trace id; set `throughline::telemetry::RequestIdGenerator` as the id \
             generator of the tracer provider"
        );
    }
}

/// The future of a [`ServerService`]: the service's own, in the span of the request. Dropping it half-way marks the
/// span `throughline.cancelled`.
///
/// It results in a response whose [body](ResponseBody) has the span.
pub type ServerFuture<F> = Instrumented<F, ServerObserver>;

/// Moves the span of a request from the [future](ServerFuture) of its response into the [body](ResponseBody).
#[derive(Debug)]
pub struct ServerObserver(Option<Exchange>);

impl Observer for ServerObserver {}

impl<B: Body, E: Display + 'static> Observe<Result<Response<B>, E>> for ServerObserver {
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn observe(&mut self, span: &mut Span, result: Result<Response<B>, E>) -> Self::Output {
        let Some(exchange) = self.0.take() else {
            // Polled after its end; what happens then is up to the future inside.
            return result.map(|response| response.map(body::untraced));
        };
        match result {
            Ok(response) => Ok(exchange.respond(span.take(), response)),
            Err(error) => {
                let text = Causes::default().describe(&error);
                exchange.report(span, None, Some(&text));
                span.end(|| Outcome::exception(type_name::<E>(), &text));
                Err(error)
            }
        }
    }
}
