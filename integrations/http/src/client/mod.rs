//! The layer for clients.

mod request;
mod service;

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode, Version};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanKind, TraceContextExt as _};
use throughline::propagation::{self, SendBaggage};
use throughline::redact::{self, UrlRules};
use throughline::{ContextExt as _, Outcome, RequestId, Span, SpanBuilder, Tags, semconv};

use crate::cause::Causes;
use crate::server::RefusedId;
use crate::tag::{Recorded, TagHeaders};
use crate::{HeadersMut, X_REQUEST_ID, facts};

pub use request::{Attempts, Outgoing, Target, UrlTemplate};
pub use service::{ClientFuture, ClientObserver, ClientService};

const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// A tower layer that starts a client span for each [`http::Request`] and injects its context.
///
/// Place it inside of a retry layer, so that each attempt has its own span. Place layers that move requests to another
/// task, such as `tower::buffer`, inside of it, because the caller's context is not current in that task. For clients
/// that are not tower services, use [`start`](Self::start). Cloning is cheap; clones share their settings.
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

impl ClientLayer {
    /// Creates a layer that records the attributes of the semantic conventions, and sends the context with all baggage.
    pub fn new() -> Self {
        Self::default()
    }

    fn set(mut self, set: impl FnOnce(&mut Config)) -> Self {
        set(Arc::make_mut(&mut self.0));
        self
    }

    /// Sets the URL template for requests without their own [`UrlTemplate`]. For a layer that is used for one kind of
    /// request, and for clients such as `reqwest`, whose requests have no extensions.
    pub fn url_template(self, template: impl Into<Cow<'static, str>>) -> Self {
        self.set(|config| config.template = Some(template.into()))
    }

    /// Counts requests without their own [`Attempts`] as attempts of the same request. For a layer that is used for a
    /// single retry loop.
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

    /// Sends the tag `key`, if it is set, in the header `header`, for
    /// [`ServerLayer::tag_header`](crate::ServerLayer::tag_header) or for services that are not traced.
    ///
    /// An existing header of the request is not changed, unless the request was received by this process and is
    /// forwarded: if the tag is set, the value from the caller is removed. A value that is not valid in a header is not
    /// sent, and neither is a tag that is withheld by the [baggage settings](crate#trust-boundaries) of the request.
    ///
    /// For clients whose requests have no extensions, such as `reqwest`, the layer cannot recognize a header that was
    /// copied from the request of a caller: do not copy this header.
    ///
    /// In a trace that is not sampled, the only tags that are set are those that were received, those added by a server
    /// layer, and those marked `propagate` in `#[biz_tags]`. An invalid header name is logged as an error and otherwise
    /// ignored.
    pub fn tag_header(self, key: &'static str, header: &str) -> Self {
        self.set(|config| config.tag_headers.add(key, header))
    }

    /// Restricts the baggage that is sent to the members with these keys, for calls to a third party, which should
    /// receive neither the tenant nor the baggage of your callers. By default, all members are sent. Members that the
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

    /// Redacts the values of these URL parameters in `url.full`, in addition to [common names of
    /// secrets](crate#secrets-in-urls). Names are compared without regard to case and punctuation.
    pub fn redact<K: Into<Cow<'static, str>>>(self, parameters: impl IntoIterator<Item = K>) -> Self {
        self.set(|config| parameters.into_iter().for_each(|name| config.rules.hide(&name.into())))
    }

    /// Records the values of these URL parameters, although they have [common names of secrets](crate#secrets-in-urls):
    /// for example `code` for a country code, or `key` for a sort key. [`redact`](Self::redact) takes precedence.
    pub fn reveal<K: Into<Cow<'static, str>>>(self, parameters: impl IntoIterator<Item = K>) -> Self {
        self.set(|config| parameters.into_iter().for_each(|name| config.rules.show(&name.into())))
    }

    /// Includes the sources of errors of type `E` in the description of a failed call, so that it contains, for
    /// example, `Connection refused`. Not needed for the [known types](crate#errors-and-panics). Errors of other types
    /// are described by their own text only.
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

    /// Starts the span of a request and injects its context into the headers, for clients that are not tower services.
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
        let template = request.template.or(self.0.template.as_deref()).filter(|template| !template.is_empty());
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

    /// Returns the outcome of a call, from the head of the response. A status of 400 or above is an error.
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
        let asked_for = |key: &str| request.baggage.is_none_or(|only| only.allows(key));
        let sent = |key: &str| self.baggage.as_ref().is_none_or(|only| only.allows(key)) && asked_for(key);
        propagator.inject_filtered(context, &sent, &mut HeadersMut(headers));
        self.tag_headers.write(context, &asked_for, request.received.is_some(), headers);
        // An ID of the caller that was refused is replaced.
        let refused = context.extension::<RefusedId>();
        if headers.get(&X_REQUEST_ID).is_none_or(|id| refused.is_some_and(|refused| refused.0 == *id)) {
            if let Some(id) = RequestId::outgoing(context).and_then(|id| HeaderValue::from_str(id.as_ref()).ok()) {
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
