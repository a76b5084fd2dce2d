//! Tags that a request brings along.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, request};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::{Context, Key, KeyValue, Value};

use crate::url;
use throughline::ContextExt as _;
use throughline::TagValue;
use throughline::Tags;
use throughline::propagation::TagType;
use throughline::text;

/// A tag whose value a [`ServerLayer`](crate::ServerLayer) takes from the request: it is on the
/// server span and on every span below, as those of [`#[biz_tags]`](macro@throughline::biz_tags) are.
///
/// The value is the first of these that there is:
///
/// 1. what the application itself says: a variable of the [`path`](Self::path) that its route names,
///    [`env`](Self::env), [`constant`](Self::constant), in the order in which they were named;
/// 2. what the caller says in this request: [`header`](Self::header), [`query`](Self::query), in the
///    order in which they were named;
/// 3. what the request has inherited: a tag that came in a header of its own (see
///    [`ServerLayer::travel`](crate::ServerLayer::tag_header)) or in baggage that
///    [becomes tags](throughline::propagation::Propagator::baggage_as_tags);
/// 4. the [`baggage`](Self::baggage);
/// 5. the [`default`](Self::default).
///
/// So a caller who sends `X-Tenant-Id: evil` to `/tenants/acme/orders` cannot make a span, a log line or
/// a service below believe anything else than what the handler works on. Where callers are trusted to know
/// better, [`caller_first`](Self::caller_first) says so. Baggage that has come in under the key of the tag, and
/// says something else, goes no further.
///
/// A tag of the same key that code sets further down wins over all of them, from there on. An empty
/// value counts as none. Text is bounded by [`MAX_TEXT_BYTES`](throughline::MAX_TEXT_BYTES), and characters that
/// could forge a line in a log (control characters, line ends, changes of direction) become `U+FFFD`.
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
    /// A tag of which nothing is known but its name.
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

    /// Looks at a request header; if it occurs more than once, at the first. One whose value is not
    /// UTF-8 counts as absent.
    pub fn header(mut self, name: &str) -> Self {
        if let Some(name) = header_name(name) {
            self.sources.push(Source::Header(name));
        }
        self
    }

    /// Looks at a variable of the route template, `{name}` or `{*name}`, percent-decoded.
    pub fn path(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.sources.push(Source::Path(name.into()));
        self
    }

    /// Looks at a parameter of the query, decoded as forms are; if it occurs more than once, at the
    /// first.
    pub fn query(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.sources.push(Source::Query(name.into()));
        self
    }

    /// Looks at a variable of the environment: once, now. It goes before what the caller says; for a value
    /// that stands in for a missing one there is [`default`](Self::default).
    pub fn env(mut self, name: &str) -> Self {
        if let Some(value) = std::env::var(name).ok().filter(|value| !value.is_empty()) {
            self.sources.extend(text::sanitize(value.into()).tag_value().map(Source::Fixed));
        }
        self
    }

    /// Has this value, whatever the caller says.
    pub fn constant(mut self, value: impl TagValue) -> Self {
        self.sources.extend(value.tag_value().map(Source::Fixed));
        self
    }

    /// Believes the caller before the application: a header or a parameter of the query goes before
    /// variables of the path, the environment and constants. For services behind your own gateway, which
    /// has checked the header.
    pub fn caller_first(mut self) -> Self {
        self.caller_first = true;
        self
    }

    /// Reads text from outside as a value of this type: `order_no` is then the integer `1001`, as it is
    /// where code has set it. What is not written as one stays text.
    pub fn of_type(mut self, is: TagType) -> Self {
        self.is = is;
        self
    }

    /// Looks at a member of the baggage.
    pub fn baggage(mut self, key: impl Into<Cow<'static, str>>) -> Self {
        self.baggage = Some(key.into());
        self
    }

    /// Has this value if there is no other.
    #[allow(clippy::should_implement_trait, reason = "it takes a value, and reads as `required` does")]
    pub fn default(mut self, value: impl TagValue) -> Self {
        self.default = value.tag_value();
        self
    }

    /// Reports a request that has no value for it: with an event `throughline.tag.missing` on the span, and in
    /// the counter `throughline.tags.missing`. The request itself goes on. In a trace that is not
    /// sampled nothing is reported, nor of a request that no route matches and that is answered with 404.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Records a keyed hash in place of the value. See [`set_hash_key`](throughline::set_hash_key). A value
    /// that was inherited stays as it is: it was hashed where it became a tag.
    pub fn hash(mut self) -> Self {
        self.secrecy = Secrecy::Hash;
        self
    }

    /// Records the last four characters, and `*` for the others. A value that was inherited stays
    /// as it is.
    pub fn mask(mut self) -> Self {
        self.secrecy = Secrecy::Mask;
        self
    }

    /// Writes the tag to the W3C baggage too, so that services further down have it.
    pub fn propagate(mut self) -> Self {
        self.propagate = true;
        self
    }

    pub(crate) fn key(&self) -> &'static str {
        self.key
    }

    /// Adds the tag of a request to `tags`. One that is required and `missing` is reported only if the
    /// request is for a route.
    pub(crate) fn resolve(&self, request: &Edge<'_>, missing: &mut Vec<&'static str>, tags: &mut Tags) {
        let said = |by_caller: bool| {
            let mut sources = self.sources.iter().filter(move |source| source.is_of_caller() == by_caller);
            sources.find_map(|source| source.look_at(request, self.is))
        };
        let named = said(self.caller_first).or_else(|| said(!self.caller_first));
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

    fn look_at(&self, request: &Edge<'_>, is: TagType) -> Option<Value> {
        match self {
            Self::Header(name) => text_of(request.parts.headers.get(name)?, is),
            Self::Path(name) => from_outside(url::path_variable(request.route?, request.path, name)?, is),
            Self::Query(name) => from_outside(url::query_parameter(request.parts.uri.query()?, name)?, is),
            Self::Fixed(value) => Some(value.clone()),
        }
    }
}

/// A request, as far as tags are concerned.
pub(crate) struct Edge<'a> {
    pub(crate) parts: &'a request::Parts,
    pub(crate) route: Option<&'a str>,
    /// The whole path, of which `route` is the template.
    pub(crate) path: &'a str,
    /// What the request has inherited.
    pub(crate) parent: &'a Context,
}

impl Edge<'_> {
    fn inherited(&self, key: &str) -> Option<Value> {
        self.parent.tags().iter().find(|tag| tag.key.as_str() == key).map(|tag| tag.value.clone())
    }

    fn baggage(&self, key: &str, is: TagType) -> Option<Value> {
        from_outside(self.parent.baggage().get(key)?.as_str().into(), is)
    }
}

fn from_outside(text: Cow<'_, str>, is: TagType) -> Option<Value> {
    if text.is_empty() { None } else { Some(is.read(&text::sanitize(text))) }
}

fn text_of(value: &HeaderValue, is: TagType) -> Option<Value> {
    from_outside(std::str::from_utf8(value.as_bytes()).ok()?.trim_matches([' ', '\t']).into(), is)
}

/// A header name that was written in code. A wrong one is reported, and stands for no header.
pub(crate) fn header_name(name: &str) -> Option<HeaderName> {
    let parsed = HeaderName::try_from(name).ok();
    if parsed.is_none() {
        tracing::error!("`{name}` is not the name of an HTTP header, so nothing is read from it or written to it");
    }
    parsed
}

/// Tags that travel in plain headers, each in its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct TagHeaders(Vec<(&'static str, HeaderName)>);

impl TagHeaders {
    pub(crate) fn add(&mut self, key: &'static str, header: &str) {
        self.0.extend(header_name(header).map(|name| (key, name)));
    }

    /// `context` with the tags that `headers` bring along.
    pub(crate) fn read(&self, headers: &HeaderMap, context: Context) -> Context {
        let mut found = Vec::new();
        for (key, name) in &self.0 {
            if found.iter().any(|tag: &KeyValue| tag.key.as_str() == *key) {
                continue;
            }
            if let Some(value) = headers.get(name).and_then(|value| text_of(value, TagType::Text)) {
                found.push(KeyValue::new(*key, value));
            }
        }
        context.with_tags(found)
    }

    /// Writes the tags of `context` for which `sent` holds to `headers`, but for those that are there
    /// already, and were not sent by another: of `passed_on` headers none is believed.
    pub(crate) fn write(
        &self,
        context: &Context,
        sent: &dyn Fn(&str) -> bool,
        passed_on: bool,
        headers: &mut HeaderMap,
    ) {
        if self.0.is_empty() {
            return;
        }
        let tags = context.tags();
        for (key, name) in self.0.iter().filter(|(key, _)| sent(key)) {
            let key = Key::from_static_str(key);
            let Some(tag) = tags.iter().find(|tag| tag.key == key) else { continue };
            // A value that cannot stand in a header stays here.
            let Ok(value) = HeaderValue::from_bytes(tag.value.as_str().as_bytes()) else { continue };
            if passed_on || !headers.contains_key(name) {
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
            let key = Key::from(Arc::<str>::from(format!("{prefix}{name}")));
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

/// A header value for the eye.
pub(crate) fn shown(value: &HeaderValue) -> Cow<'_, str> {
    text::sanitize(String::from_utf8_lossy(value.as_bytes()))
}
