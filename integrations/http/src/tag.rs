//! Tags that are taken from a request.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, request};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::{Context, Key, KeyValue, Value};
use throughline::propagation::TagType;
use throughline::{ContextExt as _, TagValue, Tags, text};

use crate::url;

/// A tag whose value a [`ServerLayer`](crate::ServerLayer) takes from the request. Like the tags of
/// [`#[biz_tags]`](macro@throughline::biz_tags), it is set on the server span and on every span below.
///
/// The value is the first of these that is present:
///
/// 1. values determined by the application: a parameter of the route in the [`path`](Self::path), [`env`](Self::env),
///    [`constant`](Self::constant), in the order in which they were added;
/// 2. values sent with this request: [`header`](Self::header), [`query`](Self::query), in the order in which they were
///    added;
/// 3. inherited values: a tag received in a header of its own (see
///    [`ServerLayer::tag_header`](crate::ServerLayer::tag_header)) or in baggage that
///    [becomes tags](throughline::propagation::Propagator::baggage_as_tags);
/// 4. the [`baggage`](Self::baggage);
/// 5. the [`default`](Self::default).
///
/// Therefore a caller that sends `X-Tenant-Id: evil` to `/tenants/acme/orders` cannot make spans, log lines and
/// outgoing calls carry a tenant other than the one that the handler uses. If callers are trusted,
/// [`caller_first`](Self::caller_first) reverses the order of 1 and 2. Received baggage that has the key of the tag and
/// another value is not propagated.
///
/// A tag with the same key that is set in code further down the call path replaces it from there on. An empty value
/// counts as absent. Text is truncated to [`MAX_TEXT_BYTES`](throughline::MAX_TEXT_BYTES), and characters that could
/// forge a log line (control characters, line breaks, changes of direction) are replaced by `U+FFFD`.
///
/// ```
/// use throughline_http::{RequestTag, ServerLayer};
///
/// let layer = ServerLayer::new()
///     .tag(RequestTag::new("tenant_id").path("tenant").header("x-tenant-id").required())
///     .tag(RequestTag::new("user_id").header("x-user-id").hash())
///     .tag(RequestTag::new("region").env("REGION").default("eu"));
/// ```
#[derive(Debug, Clone)]
#[must_use = "a tag does nothing until a layer has it"]
pub struct RequestTag {
    key: &'static str,
    sources: Vec<Source>,
    baggage: Option<Cow<'static, str>>,
    default: Option<Value>,
    required: bool,
    propagate: bool,
    caller_first: bool,
    is: TagType,
    secrecy: Secrecy,
}

#[derive(Debug, Clone)]
enum Source {
    Header(HeaderName),
    Path(Cow<'static, str>),
    Query(Cow<'static, str>),
    Fixed(Value),
}

#[derive(Debug, Clone, Copy)]
enum Secrecy {
    Clear,
    Hash,
    Mask,
}

impl RequestTag {
    /// Creates a tag without sources.
    pub const fn new(key: &'static str) -> Self {
        Self {
            key,
            sources: Vec::new(),
            baggage: None,
            default: None,
            required: false,
            propagate: false,
            caller_first: false,
            is: TagType::Text,
            secrecy: Secrecy::Clear,
        }
    }

    /// Adds a request header as a source. If the header occurs more than once, the first value is used. A value that is
    /// not UTF-8 counts as absent. An invalid name is logged as an error and otherwise ignored.
    pub fn header(mut self, name: &str) -> Self {
        if let Some(name) = header_name(name) {
            self.sources.push(Source::Header(name));
        }
        self
    }

    /// Adds a parameter of the route template, `{name}`, `{*name}` or, as a part of a segment, `order-{name}`, as a
    /// source. The value is percent-decoded. This requires a known route: axum's (feature `axum`) or that of
    /// [`ServerLayer::route`](crate::ServerLayer::route).
    pub fn path(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.sources.push(Source::Path(name.into()));
        self
    }

    /// Adds a query parameter as a source, decoded as `application/x-www-form-urlencoded`. If the parameter occurs more
    /// than once, the first value is used.
    pub fn query(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.sources.push(Source::Query(name.into()));
        self
    }

    /// Adds an environment variable as a source. It is read once, when this method is called. It takes precedence over
    /// values sent by the caller; for a fallback, use [`default`](Self::default).
    pub fn env(mut self, name: &str) -> Self {
        if let Some(value) = std::env::var(name).ok().filter(|value| !value.is_empty()) {
            self.sources.extend(text::sanitize(value.into()).tag_value().map(Source::Fixed));
        }
        self
    }

    /// Adds a constant as a source. It takes precedence over values sent by the caller.
    pub fn constant(mut self, value: impl TagValue) -> Self {
        self.sources.extend(value.tag_value().map(Source::Fixed));
        self
    }

    /// Makes headers and query parameters take precedence over the path, the environment and constants. For services
    /// behind your own gateway, if it has validated the header.
    pub fn caller_first(mut self) -> Self {
        self.caller_first = true;
        self
    }

    /// Sets the type as which received text is parsed, so that `order_no` is the integer `1001`, for example, as if set
    /// in code. Text that is not in the form of the type remains text.
    pub fn of_type(mut self, is: TagType) -> Self {
        self.is = is;
        self
    }

    /// Adds a baggage member as a source.
    pub fn baggage(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.baggage = Some(key.into());
        self
    }

    /// Sets the value to use if no source has one.
    pub fn default(mut self, value: impl TagValue) -> Self {
        self.default = value.tag_value();
        self
    }

    /// Reports requests without a value, by an event `throughline.tag.missing` on the span and by the counter
    /// `throughline.tags.missing`. The request itself is not affected. Nothing is reported in a trace that is not
    /// sampled, or for a request that matches no route and is answered with 404.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Records a keyed hash instead of the value; see [`set_hash_key`](throughline::set_hash_key). An inherited value
    /// is unchanged, because it was hashed where it became a tag.
    pub fn hash(mut self) -> Self {
        self.secrecy = Secrecy::Hash;
        self
    }

    /// Masks all but the last four characters with `*`, or all characters if there are fewer than ten. An inherited
    /// value is unchanged.
    pub fn mask(mut self) -> Self {
        self.secrecy = Secrecy::Mask;
        self
    }

    /// Also adds the tag to the W3C baggage, so that it is sent to other services.
    pub fn propagate(mut self) -> Self {
        self.propagate = true;
        self
    }

    pub(crate) fn key(&self) -> &'static str {
        self.key
    }

    /// Adds the tag to `tags`. Without a route, a required tag without a value is added to `missing` instead of being
    /// reported.
    pub(crate) fn resolve(&self, request: &Edge<'_>, missing: &mut Vec<&'static str>, tags: &mut Tags) {
        let first = |by_caller: bool| {
            let mut sources = self.sources.iter().filter(move |source| source.is_of_caller() == by_caller);
            sources.find_map(|source| source.read(request, self.is))
        };
        let named = first(self.caller_first).or_else(|| first(!self.caller_first));
        let inherited = if named.is_none() { request.inherited(self.key) } else { None };
        let is_inherited = inherited.is_some();
        let value = named
            .or(inherited)
            .or_else(|| request.baggage(self.baggage.as_deref()?, self.is))
            .or_else(|| self.default.clone());
        let is_missing = self.required && value.is_none();
        let mut tag = throughline::Tag::new(value);
        if is_missing && request.route.is_none() {
            missing.push(self.key);
        } else if self.required {
            tag = tag.required();
        }
        match self.secrecy {
            Secrecy::Hash if !is_inherited => tag = tag.hash(),
            Secrecy::Mask if !is_inherited => tag = tag.mask(),
            _ => {}
        }
        if self.propagate {
            tag = tag.propagate();
        }
        tags.scope(self.key, || tag);
    }
}

impl Source {
    fn is_of_caller(&self) -> bool {
        match self {
            Self::Header(_) | Self::Query(_) => true,
            // A path that the application's own route has matched.
            Self::Path(_) | Self::Fixed(_) => false,
        }
    }

    fn read(&self, request: &Edge<'_>, is: TagType) -> Option<Value> {
        match self {
            Self::Header(name) => text_of(request.parts.headers.get(name)?, is),
            Self::Path(name) => untrusted(url::path_variable(request.route?, request.path, name)?, is),
            Self::Query(name) => untrusted(url::query_parameter(request.parts.uri.query()?, name)?, is),
            Self::Fixed(value) => Some(value.clone()),
        }
    }
}

/// The sources of tags.
pub(crate) struct Edge<'a> {
    pub(crate) parts: &'a request::Parts,
    pub(crate) route: Option<&'a str>,
    /// The whole path, of which `route` is the template.
    pub(crate) path: &'a str,
    /// The context that the span of the request inherits.
    pub(crate) parent: &'a Context,
}

impl Edge<'_> {
    fn inherited(&self, key: &str) -> Option<Value> {
        self.parent.tags().iter().find(|tag| tag.key.as_str() == key).map(|tag| tag.value.clone())
    }

    fn baggage(&self, key: &str, is: TagType) -> Option<Value> {
        untrusted(self.parent.baggage().get(key)?.as_str().into(), is)
    }
}

fn untrusted(text: Cow<'_, str>, is: TagType) -> Option<Value> {
    if text.is_empty() { None } else { Some(is.convert(&text::sanitize(text))) }
}

fn text_of(value: &HeaderValue, is: TagType) -> Option<Value> {
    untrusted(std::str::from_utf8(value.as_bytes()).ok()?.trim_matches([' ', '\t']).into(), is)
}

/// A header name from code. An invalid one is logged.
pub(crate) fn header_name(name: &str) -> Option<HeaderName> {
    let parsed = HeaderName::try_from(name).ok();
    if parsed.is_none() {
        tracing::error!(
            target: "throughline",
            "invalid header name `{name}`: this header is neither read nor sent; correct the name in `RequestTag::header`, \
             `tag_header`, `record_request_headers` or `record_response_headers`"
        );
    }
    parsed
}

/// Tags in headers of their own.
#[derive(Debug, Clone, Default)]
pub(crate) struct TagHeaders(Vec<(&'static str, HeaderName)>);

impl TagHeaders {
    pub(crate) fn add(&mut self, key: &'static str, header: &str) {
        self.0.extend(header_name(header).map(|name| (key, name)));
    }

    /// The tags of `headers`.
    pub(crate) fn read(&self, headers: &HeaderMap) -> Vec<(&'static str, Value)> {
        let mut found: Vec<(&'static str, Value)> = Vec::new();
        for (key, name) in &self.0 {
            if found.iter().any(|(known, _)| known == key) {
                continue;
            }
            if let Some(value) = headers.get(name).and_then(|value| text_of(value, TagType::Text)) {
                found.push((key, value));
            }
        }
        found
    }

    /// Writes the tags of `context` for which `sent` returns `true` to `headers`. An existing header is kept, unless
    /// the request `is_forwarded`: then the header comes from its caller.
    pub(crate) fn write(
        &self,
        context: &Context,
        sent: &dyn Fn(&str) -> bool,
        is_forwarded: bool,
        headers: &mut HeaderMap,
    ) {
        if self.0.is_empty() {
            return;
        }
        let tags = context.tags();
        for (key, name) in &self.0 {
            let Some(tag) = tags.iter().find(|tag| tag.key.as_str() == *key) else { continue };
            if is_forwarded {
                // Even if nothing takes its place.
                headers.remove(name);
            }
            if !sent(key) {
                continue;
            }
            // A value that cannot be in a header is not sent.
            let Ok(value) = HeaderValue::from_bytes(tag.value.as_str().as_bytes()) else { continue };
            if !headers.contains_key(name) {
                let _ = headers.try_insert(name.clone(), value);
            }
        }
    }
}

/// Headers whose values are recorded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded(Vec<(HeaderName, Key)>);

impl Recorded {
    pub(crate) fn add<'a>(&mut self, prefix: &str, names: impl IntoIterator<Item = &'a str>) {
        for name in names.into_iter().filter_map(header_name) {
            let key = Key::from(Arc::<str>::from(format!("{prefix}.{name}")));
            self.0.push((name, key));
        }
    }

    pub(crate) fn read<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = KeyValue> + 'a {
        self.0.iter().filter_map(|(name, key)| {
            let values: Vec<_> = headers.get_all(name).iter().map(|value| shown(value).into_owned()).collect();
            if values.is_empty() { None } else { Some(KeyValue::new(key.clone(), values.tag_value()?)) }
        })
    }
}

/// A header value as it is recorded.
pub(crate) fn shown(value: &HeaderValue) -> Cow<'_, str> {
    text::sanitize(String::from_utf8_lossy(value.as_bytes()))
}
