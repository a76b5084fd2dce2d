//! The server's side.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt::{self, Display};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{self, Poll};

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode, request};
use http_body::Body;
use opentelemetry::trace::{SpanId, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::{Failed, TracedBody};
use crate::cause::{Cause, Causes};
use crate::facts::{self, Forwarded};
use crate::tag::{Edge, Recorded, RequestTag, TagHeaders};
use crate::{Headers, X_REQUEST_ID};
use throughline::ContextExt as _;
use throughline::EventFields;
use throughline::LastError;
use throughline::Outcome;
use throughline::RequestId;
use throughline::Span;
use throughline::SpanBuilder;
use throughline::TagScope;
use throughline::Tags;
use throughline::current_context;
use throughline::propagation;
use throughline::redact::UrlRules;

const RECORDED_ID: &str = "http.request.header.x-request-id";

/// The requests that are not traced.
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

/// Gives every request a server span: a layer for axum, hyper, tonic, and any other service over
/// [`http::Request`]. See the [module](crate) for what it does.
///
/// Cloning shares the settings.
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
    /// A layer inside the trust boundary: callers are services of one's own, and their traces are continued.
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

    /// Mints an id for every request that begins a trace here, and keeps the caller's `X-Request-ID`
    /// as an attribute only. For public services whose callers are not to choose what is searched
    /// for in logs.
    pub fn fresh_request_id(self) -> Self {
        self.set(|config| config.fresh_request_id = true)
    }

    /// Finds the route template of a request, `/orders/{order_no}` for example, where axum's is not
    /// known: outside of the router, and for other frameworks. Templates have to be few.
    pub fn route(self, of: impl Fn(&request::Parts) -> Option<Cow<'static, str>> + Send + Sync + 'static) -> Self {
        self.set(|config| config.route = Some(Arc::new(of)))
    }

    /// Adds a tag that is taken from the request. One of the same key that was added before is
    /// replaced.
    pub fn tag(self, tag: RequestTag) -> Self {
        self.set(|config| {
            config.tags.retain(|other| other.key() != tag.key());
            config.tags.push(tag);
        })
    }

    /// Takes the tag `key` from a header of its own, as written by
    /// [`ClientLayer::travel`](crate::ClientLayer::tag_header). Not from public callers; name the header in
    /// a [`RequestTag`] for those.
    pub fn tag_header(self, key: &'static str, header: &str) -> Self {
        self.set(|config| config.tag_headers.add(key, header))
    }

    /// Says that this many proxies stand in front, each of which appends to `Forwarded` or
    /// `X-Forwarded-*`. `client.address`, `url.scheme` and `server.address` then come from what the
    /// outermost of them has written. Without it these headers are ignored, because any caller can
    /// write them, and `client.address` is the other end of the connection.
    pub fn proxies(self, count: usize) -> Self {
        self.set(|config| config.proxies = count)
    }

    /// Sets `url.scheme` for requests that do not say it, which over HTTP/1.1 is all of them. `http`
    /// if not set; `https` is the other sensible value.
    pub fn scheme(self, scheme: &'static str) -> Self {
        self.set(|config| config.scheme = scheme)
    }

    /// Takes the values of these parameters out of `url.query` and `url.path`, besides those that commonly
    /// are [secret](super#secrets-in-urls). Compared without regard to case and punctuation.
    pub fn redact<K: Into<Cow<'static, str>>>(self, parameters: impl IntoIterator<Item = K>) -> Self {
        self.set(|config| parameters.into_iter().for_each(|name| config.rules.hide(&name.into())))
    }

    /// Shows the values of these parameters, although they are called as [secrets](super#secrets-in-urls)
    /// commonly are. One that is also named with [`redact`](Self::redact) stays hidden.
    pub fn reveal<K: Into<Cow<'static, str>>>(self, parameters: impl IntoIterator<Item = K>) -> Self {
        self.set(|config| parameters.into_iter().for_each(|name| config.rules.show(&name.into())))
    }

    /// Does not trace requests for these paths: health checks, metrics. A path that ends in `/*` stands
    /// for all paths below it. They are compared with the path as it came, before anything else is done.
    ///
    /// Nothing is recorded of such a request, nor of what it does: [telemetry is suppressed] in the
    /// handler, so no span below becomes the root of a trace of its own, not in a detached job either. No
    /// trace begins here and none is continued, calls to other services carry no context, no `X-Request-ID` is
    /// minted, and a failure writes no event. Of two layers around one service the outer one decides.
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

    /// Does not trace requests for which `holds` does. See [`untraced`](Self::untraced) for what that means.
    pub fn untraced_if(self, holds: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.set(|config| config.untraced.push(Untraced::If(Arc::new(holds))))
    }

    /// Records request headers as `http.request.header.<name>`. None, if not called.
    pub fn record_request_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.set(|config| config.request_headers.add("http.request.header.", names))
    }

    /// Records response headers as `http.response.header.<name>`. None, if not called.
    pub fn record_response_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.set(|config| config.response_headers.add("http.response.header.", names))
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
        ServerService { inner, config: Arc::clone(&self.0) }
    }
}

/// A service whose requests have server spans. Made by [`ServerLayer`].
#[derive(Clone)]
pub struct ServerService<S> {
    inner: S,
    config: Arc<Config>,
}

impl<S: fmt::Debug> fmt::Debug for ServerService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for ServerService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Display + 'static,
    R: Body,
{
    type Response = Response<TracedBody<R>>;
    type Error = S::Error;
    type Future = ServerFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let mut exchange = Exchange::begin(&self.config, &mut parts);
        let request = Request::from_parts(parts, body);
        let inner = exchange.span.in_scope(|| self.inner.call(request));
        ServerFuture { inner: Some(inner), exchange: Some(exchange) }
    }
}

/// One request on its way to its response.
struct Exchange {
    span: Span,
    /// What goes into the response, unless an outer layer does it.
    request_id: Option<HeaderValue>,
    method: Method,
    route: Option<Cow<'static, str>>,
    /// What is known of the request, if this layer has opened its span.
    request: Option<Arc<LastError>>,
    /// Required tags without a value, of a request that may be for nothing that exists.
    missing: Vec<&'static str>,
    config: Arc<Config>,
}

impl Exchange {
    /// Writes the event of a request that has failed, in its span.
    fn report(&self, status: Option<StatusCode>, cause: Option<&str>) {
        if self.request.is_none() {
            return;
        }
        let context = self.span.context();
        throughline::event_in(&context, |EventFields { trace_id, span_id, tags, .. }| {
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

/// Which span is that of the request, for layers further in.
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
    fn begin(config: &Arc<Config>, parts: &mut request::Parts) -> Self {
        if config.untraced.iter().any(|untraced| untraced.holds_for(parts))
            && parts.extensions.get::<Entered>().is_none()
        {
            return Self::untraced(config, parts);
        }
        let route = config.route.as_ref().and_then(|of| of(parts)).or_else(|| facts::matched_route(parts));
        let mut missing = Vec::new();
        let (span, request_id, request) = match parts.extensions.get::<Entered>() {
            Some(entered) => (config.join(*entered, parts, route.as_deref(), &mut missing), None, None),
            None => config.enter(parts, route.as_deref(), &mut missing),
        };
        Self { span, request_id, method: parts.method.clone(), route, request, missing, config: Arc::clone(config) }
    }

    fn untraced(config: &Arc<Config>, parts: &request::Parts) -> Self {
        Self {
            span: Span::within(current_context().with_telemetry_suppressed()),
            request_id: None,
            method: parts.method.clone(),
            route: None,
            request: None,
            missing: Vec::new(),
            config: Arc::clone(config),
        }
    }

    fn respond<R: Body>(mut self, mut response: Response<R>) -> Response<TracedBody<R>> {
        let status = response.status();
        if self.span.is_recording() {
            let context = self.span.context();
            let span = context.span();
            span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
            span.set_attributes(self.config.response_headers.read(response.headers()));
            // A request for nothing that exists lacks nothing.
            if status != StatusCode::NOT_FOUND {
                self.span.report_missing(&self.missing);
            }
        }
        if let Some(id) = self.request_id.take() {
            if !response.headers().contains_key(&X_REQUEST_ID) {
                let _ = response.headers_mut().try_insert(X_REQUEST_ID, id);
            }
        }
        let announced = response.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        let bare = self.method == Method::HEAD
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || (self.method == Method::CONNECT && status.is_success());
        let failure = status.is_server_error().then(|| {
            let said = response.extensions().get::<Cause>();
            if let (Some(said), true) = (said, self.span.is_recording()) {
                let event = vec![KeyValue::new("exception.message", said.text().to_owned())];
                self.span.context().span().add_event("exception", event);
            }
            let noted = || self.request.as_ref()?.take();
            let cause = said.map(|cause| cause.text().to_owned()).or_else(noted);
            self.report(Some(status), cause.as_deref());
            Failed { status, cause }
        });
        response.map(|body| TracedBody::new(body, self.span, failure, announced, bare))
    }
}

impl Config {
    /// Opens the span of the request.
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
            self.tag_headers.read(&parts.headers, propagation::extract(&headers))
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
                not_heard(given);
                context.span().set_attribute(KeyValue::new(RECORDED_ID, recorded_id(given)));
            }
        }
        let id = given
            .filter(|_| keeps)
            .unwrap_or_else(|| if trace == TraceId::INVALID { RequestId::mint() } else { RequestId::from(trace) });
        let header = HeaderValue::from_str(id.as_ref()).ok();
        // The id is known when the span has started.
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

    /// Another layer further out has opened the span: this one adds what it knows.
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
                span.set_attribute(KeyValue::new("http.route", route.to_owned()));
            }
        }
        TagScope::new().propagate(|tags| self.resolve(parts, route, &current, missing, tags)).start_with(|_| {})
    }

    /// Adds the tags of the request. Without a route, those that are `missing` are not reported yet.
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

    /// Adds the attributes that are known when the span starts, so that samplers see them.
    fn describe(&self, parts: &request::Parts, route: Option<&str>, tags: &mut Tags) {
        facts::add_method(&parts.method, tags);
        if let Some(route) = route {
            tags.attribute("http.route", route.to_owned());
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
        tags.attribute("url.scheme", scheme);
        if let Some(authority) = forwarded.host.map(Cow::Owned).or_else(|| facts::authority(parts)) {
            let port = authority.port_u16().or_else(|| facts::default_port(scheme));
            facts::add_host(authority.host(), port, tags);
        }
        let peer = facts::peer(parts);
        // Where no proxy tells of somebody else, the other end of the connection is the client.
        if let Some(client) = forwarded.client.or(peer.map(|peer| peer.ip())) {
            tags.attribute("client.address", client.to_string());
        }
        if let Some(peer) = peer {
            tags.attribute("network.peer.address", peer.ip().to_string());
            tags.attribute("network.peer.port", i64::from(peer.port()));
        }
        if let Some(version) = facts::version(parts.version) {
            tags.attribute("network.protocol.version", version);
        }
        facts::add_text("user_agent.original", &header::USER_AGENT, &parts.headers, tags);
        facts::add_headers(&self.request_headers, &parts.headers, tags);
    }
}

/// By the conventions the value of a header is a list.
fn recorded_id(id: &RequestId) -> Value {
    Value::Array(Array::String(vec![StringValue::from(id.to_string())]))
}

/// Says once why the ids differ.
fn not_heard(id: &RequestId) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "the request id `{id}` cannot become the trace id: the tracer provider has another id generator than \
             `throughline::telemetry::RequestIdGenerator`"
        );
    }
}

pin_project! {
    /// The future of a [`ServerService`]: the service's own, in the span of the request. Dropping it
    /// half-way marks the span `throughline.cancelled`.
    #[must_use = "futures do nothing unless polled"]
    pub struct ServerFuture<F> {
        #[pin]
        inner: Option<F>,
        exchange: Option<Exchange>,
    }

    impl<F> PinnedDrop for ServerFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // What the future still owns is dropped in its span, and before the span ends.
            let _attached = this.exchange.as_ref().map(|exchange| exchange.span.attach());
            this.inner.set(None);
        }
    }
}

impl<F, R, E> Future for ServerFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
    E: Display + 'static,
{
    type Output = Result<Response<TracedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let inner = this.inner.as_mut().as_pin_mut().expect("a future is not polled during its own drop");
        let Some(exchange) = this.exchange else {
            // Polled after its end; what happens then is the inner future's business.
            return inner.poll(cx).map_ok(|response| response.map(TracedBody::untraced));
        };
        let result = std::task::ready!(exchange.span.in_scope(|| inner.poll(cx)));
        let exchange = this.exchange.take();
        Poll::Ready(match (result, exchange) {
            (Ok(response), Some(exchange)) => Ok(exchange.respond(response)),
            (Ok(response), None) => Ok(response.map(TracedBody::untraced)),
            (Err(error), exchange) => {
                if let Some(mut exchange) = exchange {
                    let text = Causes::default().describe(&error);
                    exchange.report(None, Some(&text));
                    exchange.span.end(|| Outcome::exception(type_name::<E>(), &text));
                }
                Err(error)
            }
        })
    }
}

impl<F> fmt::Debug for ServerFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerFuture").finish_non_exhaustive()
    }
}
