//! Context propagation between processes: injecting a context into outgoing messages, and extracting it from incoming
//! ones.
//!
//! [`inject`] and [`extract`] work with any text map carrier; integrations call them for you. The formats are
//! configured once per process with a [`Propagator`]; the default is W3C Trace Context and W3C Baggage.
//!
//! ```
//! use std::collections::HashMap;
//! use throughline::{propagation, traced};
//!
//! #[traced(kind = consumer, parent = headers)]
//! fn receive(headers: &HashMap<String, String>) {}
//!
//! let mut headers = HashMap::new();
//! throughline::in_span("send", || propagation::inject(&mut headers));
//! receive(&headers);
//! ```

use std::str::FromStr;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, Key, KeyValue, StringValue};

use crate::context::current;
use crate::context::data::{self, Data};
#[cfg(feature = "sdk")]
use crate::context::place;
use crate::propagation::trace_state::ForeignTraceState;
use crate::tags::scoped;
use crate::tags::set::without;

mod b3;
mod baggage;
mod carrier;
mod environment;
mod jaeger;
mod pairs;
pub(crate) mod trace_state;
mod w3c;
#[cfg(all(feature = "audit", feature = "otlp"))]
pub(crate) mod without_span;
mod xray;

pub use baggage::{BaggageTag, SendBaggage, TagType};
pub use carrier::Carrier;
pub use environment::{Environment, EnvironmentMut};
pub use pairs::{Pairs, PairsMut, extract_with, inject_with};

/// A propagation format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `traceparent` and `tracestate`: W3C Trace Context, levels 1 and 2.
    TraceContext,
    /// Injects Zipkin's single header, `b3`. Extracts both encodings.
    B3,
    /// Injects Zipkin's `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled` and `x-b3-flags`. Extracts both encodings.
    ///
    /// Into a message, the single header is injected as well: many messaging clients look for names as they are spelled,
    /// and not every implementation spells these in lowercase.
    B3Multi,
    /// Jaeger's `uber-trace-id`.
    Jaeger,
    /// AWS X-Ray's `X-Amzn-Trace-Id`, for callers and receivers that have nothing else: X-Ray itself accepts traces of
    /// W3C Trace Context. If the sampling decision is left to the receiver, the trace is sampled.
    XRay,
    /// `baggage`: W3C Baggage.
    Baggage,
}

impl Format {
    /// Returns the name of the format in the environment variable `OTEL_PROPAGATORS`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TraceContext => "tracecontext",
            Self::B3 => "b3",
            Self::B3Multi => "b3multi",
            Self::Jaeger => "jaeger",
            Self::XRay => "xray",
            Self::Baggage => "baggage",
        }
    }

    const ALL: [Self; 6] = [Self::TraceContext, Self::B3, Self::B3Multi, Self::Jaeger, Self::XRay, Self::Baggage];

    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::TraceContext => &w3c::FIELDS,
            Self::B3 | Self::B3Multi => &b3::FIELDS,
            Self::Jaeger => &jaeger::FIELDS,
            Self::XRay => &xray::FIELDS,
            Self::Baggage => &baggage::FIELDS,
        }
    }
}

/// The error for a name that is not the name of a [`Format`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFormat(String);

impl std::fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unknown propagation format `{}`; expected one of", self.0)?;
        for (at, format) in Format::ALL.into_iter().enumerate() {
            write!(f, "{} `{}`", if at == 0 { "" } else { "," }, format.name())?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownFormat {}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// Configures which formats are injected and extracted, and which baggage members are sent and accepted.
///
/// All formats are injected. On extraction, the first *valid* span context in this order is used, whatever the order
/// of configuration: W3C, single-header B3, multi-header B3, Jaeger, X-Ray. An invalid header never hides a valid one in
/// another format. Extraction cannot fail: invalid input is ignored, and without a span context the next span becomes
/// the root of a new trace.
///
/// ```
/// use throughline::propagation::{self, Format, Propagator};
///
/// propagation::set(
///     Propagator::new([Format::TraceContext, Format::B3, Format::Baggage])
///         .send_baggage(["tenant_id"])
///         .accept_baggage(["tenant_id"])
///         .baggage_as_tags(["tenant_id"]),
/// );
/// # propagation::set(Propagator::default());
/// ```
#[derive(Debug, Clone)]
pub struct Propagator {
    /// Sorted, without duplicates.
    formats: Vec<Format>,
    /// The formats that are injected into messages, likewise. A receiver may compare names with regard to case, and that
    /// of B3's single header has only one spelling.
    of_messages: Vec<Format>,
    fields: Vec<String>,
    sent: Allowed,
    accepted: Allowed,
    as_tags: Vec<BaggageTag>,
}

/// A set of baggage keys.
#[derive(Debug, Clone)]
enum Allowed {
    All,
    Only(Vec<Box<str>>),
}

impl Allowed {
    fn only<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self::Only(keys.into_iter().map(|key| key.into().into_boxed_str()).collect())
    }

    fn allows(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(keys) => keys.iter().any(|allowed| **allowed == *key),
        }
    }
}

impl Default for Propagator {
    /// W3C Trace Context and W3C Baggage. All baggage is sent and accepted, and none of it is turned into tags.
    fn default() -> Self {
        Self::new([Format::TraceContext, Format::Baggage])
    }
}

impl Propagator {
    /// Creates a propagator for `formats`. If `formats` is empty, nothing is injected or extracted.
    pub fn new(formats: impl IntoIterator<Item = Format>) -> Self {
        let mut formats: Vec<_> = formats.into_iter().collect();
        formats.sort_unstable();
        formats.dedup();
        let mut of_messages = formats.clone();
        if formats.contains(&Format::B3Multi) && !formats.contains(&Format::B3) {
            of_messages.push(Format::B3);
            of_messages.sort_unstable();
        }
        let mut fields: Vec<String> = Vec::new();
        for &field in formats.iter().flat_map(|format| format.fields()) {
            if !fields.iter().any(|known| known == field) {
                fields.push(field.to_owned());
            }
        }
        Self { formats, of_messages, fields, sent: Allowed::All, accepted: Allowed::All, as_tags: Vec::new() }
    }

    /// Sends only the baggage members with these keys. By default, all are sent.
    #[must_use]
    pub fn send_baggage<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.sent = Allowed::only(keys);
        self
    }

    /// Accepts only the baggage members with these keys. By default, all are accepted.
    #[must_use]
    pub fn accept_baggage<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.accepted = Allowed::only(keys);
        self
    }

    /// Turns accepted baggage members with these keys into tags of every span below. By default, none.
    ///
    /// Baggage is text. If the tag has another type in the sending service, specify the [type](TagType), so that
    /// `order_no` is the integer `1001` here too and a single query finds both.
    ///
    /// ```
    /// use throughline::propagation::{Propagator, TagType};
    ///
    /// let propagator =
    ///     Propagator::default().baggage_as_tags([("tenant_id", TagType::Text), ("order_no", TagType::Integer)]);
    /// ```
    #[must_use]
    pub fn baggage_as_tags<K: Into<BaggageTag>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.as_tags = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Injects `context` into a carrier. Without a span context, no trace headers are written; without baggage, no
    /// `baggage` header.
    #[track_caller]
    pub fn inject(&self, context: &Context, into: &mut dyn Injector) {
        self.inject_as(&self.formats, context, &|_| true, into);
    }

    /// Like [`inject`](Self::inject), but sends only the baggage members for which `may_leave` returns `true`.
    #[track_caller]
    pub fn inject_filtered(&self, context: &Context, may_leave: &dyn Fn(&str) -> bool, into: &mut dyn Injector) {
        self.inject_as(&self.formats, context, may_leave, into);
    }

    /// Injects `context` into a message.
    #[track_caller]
    pub(crate) fn inject_into_message(&self, context: &Context, into: &mut dyn Injector) {
        self.inject_as(&self.of_messages, context, &|_| true, into);
    }

    #[track_caller]
    fn inject_as(&self, formats: &[Format], context: &Context, also: &dyn Fn(&str) -> bool, into: &mut dyn Injector) {
        #[cfg(all(feature = "audit", feature = "otlp"))]
        if formats.iter().any(|format| *format != Format::Baggage) {
            without_span::note(context);
        }
        for format in formats {
            match format {
                Format::TraceContext => w3c::inject(context, into),
                Format::B3 => b3::inject_single(context, into),
                Format::B3Multi => b3::inject_multi(context, into),
                Format::Jaeger => jaeger::inject(context.span().span_context(), into),
                Format::XRay => xray::inject(context.span().span_context(), into),
                Format::Baggage => {
                    baggage::inject(context.baggage(), &|key| self.sent.allows(key) && also(key), into);
                }
            }
        }
    }

    /// Extracts a context from a carrier. Never panics. Keeps at most 32 members of `tracestate`, and 64 members or
    /// 8,192 bytes of baggage, whatever the carrier contains.
    pub fn extract(&self, from: &dyn Extractor) -> Context {
        self.extract_as(&self.formats, Context::new(), from)
    }

    fn extract_as(&self, formats: &[Format], context: Context, from: &dyn Extractor) -> Context {
        let mut identity = None;
        let mut members = Vec::new();
        for format in formats {
            match format {
                Format::Baggage => members = baggage::extract(from, &|key| self.accepted.allows(key)),
                _ if identity.is_some() => {}
                Format::TraceContext => identity = w3c::extract(from),
                Format::B3 | Format::B3Multi => identity = b3::extract(from).map(|(span, _)| bare(span)),
                Format::Jaeger => identity = jaeger::extract(from).map(bare),
                Format::XRay => identity = xray::extract(from).map(bare),
            }
        }
        let mut context = context;
        let mut data = Data::of(&context).map(|data| Data::clone(data));
        let held = scoped::of(&context);
        let mut tags: Vec<_> = members.iter().filter_map(|(key, (value, _))| self.as_tag(key, value)).collect();
        // Tags are tied to the span below which they were set, so they are set again below a new one.
        let sets_tags = !tags.is_empty() || (identity.is_some() && !held.is_empty());
        if let Some((span, foreign)) = identity {
            let debugged = formats.iter().any(|format| matches!(format, Format::B3 | Format::B3Multi))
                && b3::asks_to_debug(from, &span);
            if foreign.is_some() || debugged || data.is_some() {
                let data = data.get_or_insert_default();
                data.set_extension(foreign);
                data.set_extension(debugged.then(|| b3::Debugged(span.trace_id())));
            }
            context = context.with_remote_span_context(span);
            #[cfg(feature = "sdk")]
            place::forget(&context);
        }
        if sets_tags {
            tags.extend(without(&held.list(), &tags));
            data.get_or_insert_default().set_tags(tags.into(), &context);
        }
        if !members.is_empty() {
            let data = data.get_or_insert_default();
            context = context.with_baggage(members.iter().cloned().collect::<opentelemetry::baggage::Baggage>());
            data.baggage = Some(data::entries(context.baggage()).collect());
        }
        match data {
            Some(data) => data.put(&context),
            None => context,
        }
    }

    /// Converts a member to a tag, if it is configured to become one.
    fn as_tag(&self, key: &Key, value: &StringValue) -> Option<KeyValue> {
        let tag = self.as_tags.iter().find(|tag| *tag.key == *key.as_str())?;
        Some(baggage::as_tag(key, value, tag.is))
    }

    /// Extracts the span context only and ignores the baggage, for callers that are not trusted.
    pub fn extract_identity(&self, from: &dyn Extractor) -> Context {
        let formats: Vec<_> = self.formats.iter().copied().filter(|format| *format != Format::Baggage).collect();
        self.extract_as(&formats, Context::new(), from)
    }
}

/// Trims the optional whitespace of HTTP. `str::trim` would also remove other Unicode whitespace, and thereby accept
/// invalid headers.
fn trim(header: &str) -> &str {
    header.trim_matches([' ', '\t'])
}

fn bare(span: SpanContext) -> (SpanContext, Option<ForeignTraceState>) {
    (span, None)
}

impl TextMapPropagator for Propagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        self.inject(context, injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        self.extract_as(&self.formats, context.clone(), extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

static PROPAGATOR: LazyLock<RwLock<Arc<Propagator>>> = LazyLock::new(RwLock::default);

/// Sets the propagator of this process.
///
/// It applies to all later injections and extractions by this crate and its integrations. May be called repeatedly.
///
/// Libraries that use OpenTelemetry's global propagator need it too:
/// `opentelemetry::global::set_text_map_propagator(propagator)`.
pub fn set(propagator: Propagator) {
    *PROPAGATOR.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(propagator);
}

/// Returns the propagator of this process.
pub fn get() -> Arc<Propagator> {
    Arc::clone(&PROPAGATOR.read().unwrap_or_else(PoisonError::into_inner))
}

/// Injects the current context into a carrier: a `HashMap<String, String>`, [`PairsMut`], or any other [`Injector`].
#[track_caller]
pub fn inject(into: &mut dyn Injector) {
    let propagator = get();
    let current = current::get();
    propagator.inject(&current, into);
}

/// Injects `context` into a carrier.
#[track_caller]
pub fn inject_context(context: &Context, into: &mut dyn Injector) {
    get().inject(context, into);
}

/// Extracts a context from a carrier. See [`Propagator::extract`].
pub fn extract(from: &dyn Extractor) -> Context {
    get().extract(from)
}
