//! The layer for clients.

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{self, Poll};

use http::header::{HeaderName, HeaderValue};
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, request};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanKind, TraceContextExt as _};
use throughline::propagation::{self, SendBaggage};
use throughline::redact::UrlRules;
use throughline::{
    Instrumented, LastError, Observe, Observer, Outcome, RequestId, Span, SpanBuilder, Tags, redact, semconv,
};
use tower_layer::Layer;
use tower_service::Service;

use crate::cause::Causes;
use crate::server::Entered;
use crate::tag::{Recorded, TagHeaders};
use crate::{HeadersMut, X_REQUEST_ID, facts};

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// Starts a client span for each request, and injects the context: a layer for tower clients over [`http::Request`].
///
/// Put it inside a retry layer, so that each attempt has its own span. For clients that are not tower services, use
/// [`start`](Self::start). Cloning is cheap, and shares the settings.
///
/// ```
/// use throughline_http::ClientLayer;
/// use tower_layer::Layer as _;
///
/// # fn connect<B>() -> B where B: Default { B::default() }
/// # let client: () = connect();
/// let client = ClientLayer::new().tag_header("tenant_id", "x-tenant-id").layer(client);
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a layer does nothing until a service is put under it"]
pub struct ClientLayer(Arc<Config>);

#[derive(Debug, Clone, Default)]
struct Config {
    template: Option<Cow<'static, str>>,
    attempts: Option<Attempts>,
    tag_headers: TagHeaders,
    rules: UrlRules,
    causes: Causes,
    /// The keys of the baggage that is sent; all by default.
    baggage: Option<SendBaggage>,
    request_headers: Recorded,
    response_headers: Recorded,
}

/// The template of a request's URL, such as `/orders/{order_no}`. As an extension of the request, it makes the span's
/// name `GET /orders/{order_no}`, so the cardinality of templates has to be low. For clients whose requests have no
/// extensions there is [`ClientLayer::url_template`].
///
/// ```
/// use throughline_http::UrlTemplate;
///
/// let request = http::Request::get("http://orders.internal/orders/1001")
///     .extension(UrlTemplate("/orders/{order_no}".into()))
///     .body(())
///     .unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UrlTemplate(pub Cow<'static, str>);

/// Counts the attempts of one request. As an extension of the request, which a retry policy clones with it, it puts
/// `http.request.resend_count` on the spans of all attempts but the first. For clients whose requests have no
/// extensions there is [`ClientLayer::attempts`].
///
/// ```
/// use throughline_http::Attempts;
///
/// let request = http::Request::get("http://orders.internal/").extension(Attempts::new()).body(()).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// Creates a counter without attempts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of attempts so far.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl ClientLayer {
    /// Creates a layer that records the attributes of the conventions, and sends the context and all baggage.
    pub fn new() -> Self {
        Self::default()
    }

    fn set(mut self, set: impl FnOnce(&mut Config)) -> Self {
        set(Arc::make_mut(&mut self.0));
        self
    }

    /// Sets the template for requests without their own [`UrlTemplate`]: for a layer that is used for one kind of
    /// request, and for clients such as `reqwest`, whose requests have no extensions.
    pub fn url_template(self, template: impl Into<Cow<'static, str>>) -> Self {
        self.set(|config| config.template = Some(template.into()))
    }

    /// Counts requests without their own [`Attempts`] as attempts of one request: for a layer that is used for one
    /// retry loop.
    ///
    /// ```
    /// use throughline_http::{Attempts, ClientLayer};
    ///
    /// // For the attempts of one request.
    /// let layer = ClientLayer::new().attempts(Attempts::new());
    /// ```
    pub fn attempts(self, attempts: Attempts) -> Self {
        self.set(|config| config.attempts = Some(attempts))
    }

    /// Sends the tag `key`, if it is set, in the header `header`: to be read by
    /// [`ServerLayer::tag_header`](crate::ServerLayer::tag_header), or by services that are not traced. An existing
    /// header of the request is not changed, unless the request was received by this process and is forwarded: the
    /// value from its caller does not take precedence over the tag. A value that is not valid in a header is not sent,
    /// and neither is a tag that the [baggage settings](crate#trust-boundaries) of the request withhold.
    ///
    /// In a trace that is not sampled, only tags are set that were received, that a server layer adds, or that are
    /// marked `propagate` in `#[biz_tags]`. An invalid header name is logged as an error, and otherwise ignored.
    pub fn tag_header(self, key: &'static str, header: &str) -> Self {
        self.set(|config| config.tag_headers.add(key, header))
    }

    /// Only sends the baggage members with these keys: for a client of a third party, which should receive neither the
    /// tenant nor the baggage of your callers. By default, all are sent. Members that the
    /// [`Propagator`](throughline::propagation::Propagator::send_baggage) of the process withholds are never sent;
    /// [`SendBaggage`](throughline::propagation::SendBaggage) in the extensions of a single request restricts it
    /// further.
    ///
    /// ```
    /// use throughline_http::ClientLayer;
    ///
    /// let partner = ClientLayer::new().baggage(["order_no"]);
    /// let stranger = ClientLayer::new().no_baggage();
    /// ```
    pub fn baggage<K: Into<String>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        self.set(|config| config.baggage = Some(SendBaggage::only(keys)))
    }

    /// Sends no baggage.
    pub fn no_baggage(self) -> Self {
        self.set(|config| config.baggage = Some(SendBaggage::none()))
    }

    /// Redacts the values of these parameters in `url.full`, in addition to those that are usually
    /// [secret](crate#secrets-in-urls). Names are compared without regard to case and punctuation.
    pub fn redact<K: Into<Cow<'static, str>>>(self, parameters: impl IntoIterator<Item = K>) -> Self {
        self.set(|config| parameters.into_iter().for_each(|name| config.rules.hide(&name.into())))
    }

    /// Records the values of these parameters, although they have the names of [secrets](crate#secrets-in-urls): `code`
    /// if that is a country, `key` if it is a sort key. [`redact`](Self::redact) takes precedence.
    pub fn reveal<K: Into<Cow<'static, str>>>(self, parameters: impl IntoIterator<Item = K>) -> Self {
        self.set(|config| parameters.into_iter().for_each(|name| config.rules.show(&name.into())))
    }

    /// Describes errors of the type `E` with their sources, so that the span of a failed call says `Connection
    /// refused`. Not needed for the [types that are known](crate#errors-and-panics); other errors are described by
    /// their own text alone.
    pub fn causes_of<E: Error + 'static>(self) -> Self {
        self.set(|config| config.causes.add::<E>())
    }

    /// Records request headers as `http.request.header.<name>`. None by default.
    pub fn record_request_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.set(|config| config.request_headers.add(semconv::HTTP_REQUEST_HEADER, names))
    }

    /// Records response headers as `http.response.header.<name>`. None by default.
    pub fn record_response_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.set(|config| config.response_headers.add(semconv::HTTP_RESPONSE_HEADER, names))
    }

    /// Starts the span of a request, and injects its context into the headers: for clients that are not tower services.
    /// End the span with the [outcome](Self::outcome) of the call.
    ///
    /// ```
    /// use http::{HeaderMap, Method, StatusCode, Version};
    /// use throughline_http::{ClientLayer, Outgoing, Target};
    ///
    /// let layer = ClientLayer::new();
    /// let target = Target {
    ///     scheme: Some("http"),
    ///     authority: Some("orders.internal"),
    ///     host: Some("orders.internal"),
    ///     path: "/orders",
    ///     ..Target::default()
    /// };
    /// let mut headers = HeaderMap::new();
    /// let mut span = layer.start(Outgoing::new(&Method::GET, target, &mut headers));
    /// # let send = |_: &HeaderMap| (StatusCode::OK, Version::HTTP_11, HeaderMap::new());
    /// let (status, version, answered) = span.in_scope(|| send(&headers));
    /// span.end(|| layer.outcome(status, version, &answered));
    /// ```
    pub fn start(&self, mut request: Outgoing<'_>) -> Span {
        let template = request.template.or(self.0.template.as_deref());
        let resent = request.attempts.or(self.0.attempts.as_ref()).map_or(0, Attempts::next);
        let builder = SpanBuilder::new(facts::span_name(request.method, template)).kind(SpanKind::Client);
        let span = builder.start_with(|tags| {
            self.0.describe(&request, tags);
            if let Some(template) = template {
                tags.attribute(semconv::URL_TEMPLATE, template.to_owned());
            }
            if resent > 0 {
                tags.attribute(semconv::HTTP_REQUEST_RESEND_COUNT, i64::from(resent));
            }
        });
        self.0.inject(&span.context(), &mut request);
        span
    }

    /// Returns the outcome of a call, from the head of the response. A status of 400 and above is an error.
    pub fn outcome(&self, status: StatusCode, version: Version, headers: &HeaderMap) -> Outcome {
        let outcome = if status.is_client_error() || status.is_server_error() {
            Outcome::error(status.as_str().to_owned(), "")
        } else {
            Outcome::ok()
        };
        let outcome = outcome
            .attribute(semconv::HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()))
            .attributes(self.0.response_headers.read(headers));
        match facts::version(version) {
            Some(version) => outcome.attribute(semconv::NETWORK_PROTOCOL_VERSION, version),
            None => outcome,
        }
    }
}

impl Config {
    fn inject(&self, context: &Context, request: &mut Outgoing<'_>) {
        let headers = &mut *request.headers;
        let propagator = propagation::get();
        if context.span().span_context().is_valid() {
            // A request that is forwarded may still have the headers that it was received with.
            for field in propagator.fields() {
                headers.remove(field);
            }
        } else if self.baggage.is_some() || request.baggage.is_some() {
            headers.remove(BAGGAGE);
        }
        let asked_for = |key: &str| request.baggage.is_none_or(|only| only.has(key));
        let sent = |key: &str| self.baggage.as_ref().is_none_or(|only| only.has(key)) && asked_for(key);
        propagator.inject_filtered(context, &sent, &mut HeadersMut(headers));
        self.tag_headers.write(context, &asked_for, request.is_forwarded, headers);
        if !headers.contains_key(&X_REQUEST_ID) {
            if let Some(id) = RequestId::to_pass_on(context).and_then(|id| HeaderValue::from_str(id.as_ref()).ok()) {
                let _ = headers.try_insert(X_REQUEST_ID, id);
            }
        }
    }

    fn describe(&self, request: &Outgoing<'_>, tags: &mut Tags) {
        facts::add_method(request.method, tags);
        let target = &request.target;
        if let Some(host) = target.host {
            facts::add_host(host, target.port.or_else(|| facts::default_port(target.scheme?)), tags);
        }
        match (target.scheme, target.authority) {
            (Some(scheme), Some(authority)) => {
                let mut url = format!("{scheme}://{authority}{}", target.path);
                if let Some(query) = target.query {
                    url.push('?');
                    url.push_str(query);
                }
                tags.attribute(semconv::URL_FULL, redact::url(self.rules.url(&url)));
            }
            // The client only knows the path.
            _ => facts::add_target(target.path, target.query, &self.rules, tags),
        }
        facts::add_headers(&self.request_headers, request.headers, tags);
    }
}

/// An outgoing request, for clients that are not tower services: what [`ClientLayer::start`] records, and the headers
/// that it injects into.
#[derive(Debug)]
#[must_use = "a request does nothing until a layer starts its span"]
pub struct Outgoing<'a> {
    method: &'a Method,
    target: Target<'a>,
    template: Option<&'a str>,
    attempts: Option<&'a Attempts>,
    baggage: Option<&'a SendBaggage>,
    /// Whether it was received by this process, with its headers.
    is_forwarded: bool,
    headers: &'a mut HeaderMap,
}

impl<'a> Outgoing<'a> {
    /// A request with a method and its target. Trace headers are written to `headers`.
    pub fn new(method: &'a Method, target: Target<'a>, headers: &'a mut HeaderMap) -> Self {
        Self { method, target, template: None, attempts: None, baggage: None, is_forwarded: false, headers }
    }

    /// Sets the template of the URL; see [`UrlTemplate`]. It takes precedence over that of the layer.
    pub fn url_template(mut self, template: &'a str) -> Self {
        self.template = Some(template);
        self
    }

    /// Sets the counter for the attempts of this request. It takes precedence over that of the layer.
    pub fn attempts(mut self, attempts: &'a Attempts) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Restricts the baggage that is sent, in addition to the restrictions of the layer and the propagator.
    pub fn send_baggage(mut self, baggage: &'a SendBaggage) -> Self {
        self.baggage = Some(baggage);
        self
    }
}

/// The target of a request. Unknown parts are `None`; a client that only receives a path knows neither scheme nor
/// authority.
#[derive(Debug, Clone, Copy, Default)]
pub struct Target<'a> {
    /// `http` or `https`.
    pub scheme: Option<&'a str>,
    /// Host and port as in the URL, including credentials, which are not recorded.
    pub authority: Option<&'a str>,
    /// The host. An IPv6 address may be in brackets.
    pub host: Option<&'a str>,
    /// The port, if specified.
    pub port: Option<u16>,
    /// The path.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: Option<&'a str>,
}

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> ClientService<S> {
        ClientService { inner, layer: self.clone() }
    }
}

/// A client whose requests have spans. Created by [`ClientLayer`].
#[derive(Debug, Clone)]
pub struct ClientService<S> {
    inner: S,
    layer: ClientLayer,
}

impl<S, B, R> Service<Request<B>> for ClientService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Display + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        // Forwarded, even to a service in this process, it is another request there.
        let is_forwarded = parts.extensions.remove::<Entered>().is_some();
        parts.extensions.remove::<RequestId>();
        let span = self.layer.start_parts(&mut parts, is_forwarded);
        let request = Request::from_parts(parts, body);
        span.instrument_with(|| self.inner.call(request), ClientObserver(self.layer.clone()))
    }
}

impl ClientLayer {
    fn start_parts(&self, parts: &mut request::Parts, is_forwarded: bool) -> Span {
        let authority = facts::authority(parts).map(Cow::into_owned);
        let authority = authority.as_ref();
        self.start(Outgoing {
            method: &parts.method,
            target: Target {
                scheme: parts.uri.scheme_str(),
                authority: authority.map(Authority::as_str),
                host: authority.map(Authority::host),
                port: authority.and_then(Authority::port_u16),
                path: parts.uri.path(),
                query: parts.uri.query(),
            },
            template: parts.extensions.get::<UrlTemplate>().map(|template| &*template.0),
            attempts: parts.extensions.get::<Attempts>(),
            baggage: parts.extensions.get::<SendBaggage>(),
            is_forwarded,
            headers: &mut parts.headers,
        })
    }
}

/// The future of a [`ClientService`]: the service's own, in a client span. Dropping it before it completes
/// marks the span `throughline.cancelled`.
pub type ClientFuture<F> = Instrumented<F, ClientObserver>;

/// Ends the span of a call with the head of the response.
#[derive(Debug)]
pub struct ClientObserver(ClientLayer);

impl Observer for ClientObserver {}

impl<B, E: Display + 'static> Observe<Result<Response<B>, E>> for ClientObserver {
    type Output = Result<Response<B>, E>;

    fn observe(&mut self, span: &mut Span, result: Self::Output) -> Self::Output {
        let Self(layer) = self;
        match &result {
            Ok(response) => {
                span.end(|| layer.outcome(response.status(), response.version(), response.headers()));
            }
            Err(error) => {
                let text = layer.0.causes.describe(error);
                // Also where no span is recorded.
                LastError::note(&span.context(), &text);
                span.end(|| Outcome::exception(type_name::<E>(), &text));
            }
        }
        result
    }
}
