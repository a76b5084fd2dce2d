//! The client's side.

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{self, Poll};

use http::header::{HeaderName, HeaderValue};
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, request};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanKind, TraceContextExt as _};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::cause::Causes;
use crate::server::Entered;
use crate::tag::{Recorded, TagHeaders};
use crate::{HeadersMut, X_REQUEST_ID, facts};
use throughline::LastError;
use throughline::Outcome;
use throughline::RequestId;
use throughline::Span;
use throughline::SpanBuilder;
use throughline::Tags;
use throughline::propagation::{self, SendBaggage};
use throughline::redact;
use throughline::redact::UrlRules;

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// Gives every request a client span, and sends the context along: a layer for tower clients over
/// [`http::Request`]. See the [module](crate) for what it does.
///
/// Put it inside of a retry layer, so that each attempt is a span of its own. Cloning shares the
/// settings.
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
    /// The keys of the baggage that is sent; all, if not said.
    baggage: Option<SendBaggage>,
    request_headers: Recorded,
    response_headers: Recorded,
}

/// The template of the URL that a request goes to, `/orders/{order_no}` for example. As an extension
/// of the request it makes the span's name `GET /orders/{order_no}`. Templates have to be few. For
/// clients whose requests have no extensions there is [`ClientLayer::url_template`].
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

/// Counts the attempts of one request. As an extension of the request, which a retry policy clones
/// with it, it puts `http.request.resend_count` on the second attempt's span and those after it. For
/// clients whose requests have no extensions there is [`ClientLayer::attempts`].
///
/// ```
/// use throughline_http::Attempts;
///
/// let request = http::Request::get("http://orders.internal/").extension(Attempts::new()).body(()).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there have been.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl ClientLayer {
    /// A layer that records and sends what is usual.
    pub fn new() -> Self {
        Self::default()
    }

    fn set(mut self, set: impl FnOnce(&mut Config)) -> Self {
        set(Arc::make_mut(&mut self.0));
        self
    }

    /// Says where the requests go, if they have no [`UrlTemplate`] of their own: for a layer that is
    /// made for one kind of request, as `reqwest` needs it.
    pub fn url_template(self, template: impl Into<Cow<'static, str>>) -> Self {
        self.set(|config| config.template = Some(template.into()))
    }

    /// Takes the requests for attempts of one, if they have no [`Attempts`] of their own: for a layer
    /// that is made for one loop around `reqwest`.
    ///
    /// ```no_run
    /// # #[cfg(feature = "reqwest")]
    /// # async fn run(client: reqwest::Client) -> reqwest::Result<reqwest::Response> {
    /// use throughline_http::{Attempts, ClientLayer};
    /// use throughline::reqwest::RequestBuilderExt as _;
    ///
    /// let layer = ClientLayer::new().attempts(Attempts::new());
    /// loop {
    ///     let response = client.get("http://orders.internal/").send_traced_with(&layer).await?;
    ///     if !response.status().is_server_error() {
    ///         return Ok(response);
    ///     }
    /// }
    /// # }
    /// ```
    pub fn attempts(self, attempts: Attempts) -> Self {
        self.set(|config| config.attempts = Some(attempts))
    }

    /// Sends the tag `key`, where it is set, in a header of its own, to be read by
    /// [`ServerLayer::travel`](crate::ServerLayer::tag_header) or by services that know nothing of traces. A
    /// header that the request has already is left as it is, unless it came in with the request that is
    /// passed on: what the caller said does not outrank the tag.
    ///
    /// In a trace that is not sampled, only tags that came over the wire or were named in a server
    /// layer are set; `propagate` in `#[biz_tags]` holds for all traces.
    pub fn tag_header(self, key: &'static str, header: &str) -> Self {
        self.set(|config| config.tag_headers.add(key, header))
    }

    /// Sends of the baggage only the members with these keys: for a client of a third party, who is not
    /// to know the tenant, nor what your callers have put into theirs. All, if not called. What the
    /// [`Propagator`](throughline::propagation::Propagator::send_baggage) of the process keeps back stays here in
    /// any case; a single request is kept shorter by
    /// [`SendBaggage`](throughline::propagation::SendBaggage) in its extensions.
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

    /// Takes the values of these parameters out of `url.full`, besides those that commonly are
    /// [secret](super#secrets-in-urls). Compared without regard to case and punctuation.
    pub fn redact<K: Into<Cow<'static, str>>>(self, parameters: impl IntoIterator<Item = K>) -> Self {
        self.set(|config| parameters.into_iter().for_each(|name| config.rules.hide(&name.into())))
    }

    /// Shows the values of these parameters, although they are called as [secrets](super#secrets-in-urls)
    /// commonly are: `code` where that is a country, `key` where it is a word to sort by. One that is also
    /// named with [`redact`](Self::redact) stays hidden.
    pub fn reveal<K: Into<Cow<'static, str>>>(self, parameters: impl IntoIterator<Item = K>) -> Self {
        self.set(|config| parameters.into_iter().for_each(|name| config.rules.show(&name.into())))
    }

    /// Describes errors of the type `E` with their causes, so that the span of a call that failed says
    /// `Connection refused`. The errors of `hyper-util`'s client, of axum, `tonic`, `reqwest` and I/O and boxed ones
    /// need no word of it; others are described by their own text, unless they are named here.
    pub fn causes_of<E: Error + 'static>(self) -> Self {
        self.set(|config| config.causes.add::<E>())
    }

    /// Records request headers as `http.request.header.<name>`. None, if not called.
    pub fn record_request_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.set(|config| config.request_headers.add("http.request.header.", names))
    }

    /// Records response headers as `http.response.header.<name>`. None, if not called.
    pub fn record_response_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.set(|config| config.response_headers.add("http.response.header.", names))
    }

    /// Starts the span of a request, and writes its context to the headers: for clients that are no tower services.
    /// The span ends with the [outcome](Self::outcome) of the call.
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
                tags.attribute("url.template", template.to_owned());
            }
            if resent > 0 {
                tags.attribute("http.request.resend_count", i64::from(resent));
            }
        });
        self.0.inject(&span.context(), &mut request);
        span
    }

    /// The outcome of a call that was answered, by the head of the response. A status of 400 and above is an error.
    pub fn outcome(&self, status: StatusCode, version: Version, headers: &HeaderMap) -> Outcome {
        let outcome = if status.is_client_error() || status.is_server_error() {
            Outcome::error(status.as_str().to_owned(), "")
        } else {
            Outcome::ok()
        };
        let outcome = outcome
            .attribute("http.response.status_code", i64::from(status.as_u16()))
            .attributes(self.0.response_headers.read(headers));
        match facts::version(version) {
            Some(version) => outcome.attribute("network.protocol.version", version),
            None => outcome,
        }
    }
}

impl Config {
    fn inject(&self, context: &Context, request: &mut Outgoing<'_>) {
        let headers = &mut *request.headers;
        let propagator = propagation::get();
        if context.span().span_context().is_valid() {
            // A request that is passed on may still have the headers it came with.
            for field in propagator.fields() {
                headers.remove(field);
            }
        } else if self.baggage.is_some() || request.baggage.is_some() {
            headers.remove(BAGGAGE);
        }
        let asked_for = |key: &str| request.baggage.is_none_or(|only| only.has(key));
        let sent = |key: &str| self.baggage.as_ref().is_none_or(|only| only.has(key)) && asked_for(key);
        propagator.inject_filtered(context, &sent, &mut HeadersMut(headers));
        self.tag_headers.write(context, &asked_for, request.is_passed_on, headers);
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
                tags.attribute("url.full", redact::url(self.rules.url(&url)));
            }
            // A client that is given a path alone does not know what goes before it.
            _ => facts::add_target(target.path, target.query, &self.rules, tags),
        }
        facts::add_headers(&self.request_headers, request.headers, tags);
    }
}

/// A request on its way out, for clients that are no tower services: what [`ClientLayer::start`] records of it, and
/// the headers that it writes to.
#[derive(Debug)]
#[must_use = "a request does nothing until a layer starts its span"]
pub struct Outgoing<'a> {
    method: &'a Method,
    target: Target<'a>,
    template: Option<&'a str>,
    attempts: Option<&'a Attempts>,
    baggage: Option<&'a SendBaggage>,
    /// Whether its headers are those that somebody has sent to this process.
    is_passed_on: bool,
    headers: &'a mut HeaderMap,
}

impl<'a> Outgoing<'a> {
    /// A request with a method and its target. Trace headers are written to `headers`.
    pub fn new(method: &'a Method, target: Target<'a>, headers: &'a mut HeaderMap) -> Self {
        Self { method, target, template: None, attempts: None, baggage: None, is_passed_on: false, headers }
    }

    /// The template of the URL; see [`UrlTemplate`]. It goes before that of the layer.
    pub fn url_template(mut self, template: &'a str) -> Self {
        self.template = Some(template);
        self
    }

    /// What counts the attempts of this request. It goes before that of the layer.
    pub fn attempts(mut self, attempts: &'a Attempts) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Which baggage goes along, out of that which the layer and the propagator let through.
    pub fn send_baggage(mut self, baggage: &'a SendBaggage) -> Self {
        self.baggage = Some(baggage);
        self
    }
}

/// Where a request goes. What is not known is `None`; a client that is given a path alone knows neither scheme nor
/// authority.
#[derive(Debug, Clone, Copy, Default)]
pub struct Target<'a> {
    /// `http` or `https`.
    pub scheme: Option<&'a str>,
    /// Host and port as they stand in the URL, with credentials, if there are any. Those are not recorded.
    pub authority: Option<&'a str>,
    /// The host. An IPv6 address may stand in brackets.
    pub host: Option<&'a str>,
    /// The port, if it is named.
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

/// A client whose requests have spans. Made by [`ClientLayer`].
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
        // A request that is passed on, to a service in this process even, is another one there.
        let is_passed_on = parts.extensions.remove::<Entered>().is_some();
        parts.extensions.remove::<RequestId>();
        let mut span = self.layer.start_parts(&mut parts, is_passed_on);
        let request = Request::from_parts(parts, body);
        let inner = span.in_scope(|| self.inner.call(request));
        ClientFuture { inner: Some(inner), span, layer: self.layer.clone() }
    }
}

impl ClientLayer {
    fn start_parts(&self, parts: &mut request::Parts, is_passed_on: bool) -> Span {
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
            is_passed_on,
            headers: &mut parts.headers,
        })
    }
}

pin_project! {
    /// The future of a [`ClientService`]: the service's own, in a client span. Dropping it half-way
    /// marks the span `throughline.cancelled`.
    #[must_use = "futures do nothing unless polled"]
    pub struct ClientFuture<F> {
        #[pin]
        inner: Option<F>,
        span: Span,
        layer: ClientLayer,
    }

    impl<F> PinnedDrop for ClientFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // What the future still owns is dropped in its span, and before the span ends.
            let _attached = this.span.attach();
            this.inner.set(None);
        }
    }
}

impl<F, R, E> Future for ClientFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Display + 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let inner = this.inner.as_mut().as_pin_mut().expect("a future is not polled during its own drop");
        let result = task::ready!(this.span.in_scope(|| inner.poll(cx)));
        match &result {
            Ok(response) => {
                this.span.end(|| this.layer.outcome(response.status(), response.version(), response.headers()));
            }
            Err(error) => {
                let text = this.layer.0.causes.describe(error);
                LastError::note(&this.span.context(), &text);
                this.span.end(|| Outcome::exception(type_name::<E>(), &text));
            }
        }
        // The future may live on.
        *this.span = Span::none();
        Poll::Ready(result)
    }
}

impl<F> fmt::Debug for ClientFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFuture").finish_non_exhaustive()
    }
}
