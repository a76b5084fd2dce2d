//! The IDs and tags on a log line.

use std::fmt::{self, Display};
use std::sync::Arc;

use opentelemetry::trace::{TraceContextExt as _, TraceFlags};
use opentelemetry::{Array, KeyValue, SpanId, TraceId, Value};
use serde::ser::{Serialize, SerializeMap, SerializeSeq as _, Serializer};
use tracing::Metadata;

use crate::context::current as context;
use crate::context::request_id::RequestId;
use crate::tags::scoped;
use crate::tags::set::{has_key, is_read_by_logs, read_by_logs};
use crate::text::{QuotedValue, Word};

/// The IDs of the current span and the tags in scope, for your own formatter.
///
/// `Display` writes them as [`Text`](super::Text) does, and `Serialize` as the members of a JSON object. Both write
/// nothing for what is absent.
#[derive(Debug, Clone)]
pub struct Current {
    ids: Option<Ids>,
    /// The ID of the HTTP request, if it differs from the trace ID.
    request: Option<Arc<str>>,
    tags: Arc<[KeyValue]>,
}

#[derive(Debug, Clone, Copy)]
struct Ids {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
}

/// Returns the IDs of the current OpenTelemetry span and the tags in scope.
///
/// This reads the current context once and does not allocate. The first call marks the process as one with a log
/// formatter: from then on, tags are evaluated in [unsampled traces](crate::log#unsampled-traces) too.
///
/// ```
/// use opentelemetry_sdk::trace::SdkTracerProvider;
///
/// throughline::install(&SdkTracerProvider::builder().build());
/// assert!(throughline::log::current().is_empty());
/// throughline::span("order").biz_tag("tenant_id", "acme").run(|| {
///     let current = throughline::log::current();
///     let (trace_id, span_id) = (current.trace_id().unwrap(), current.span_id().unwrap());
///     assert_eq!(current.to_string(), format!("trace_id={trace_id} span_id={span_id} tenant_id=acme"));
/// });
/// ```
pub fn current() -> Current {
    if !is_read_by_logs() {
        read_by_logs();
    }
    context::with(|context| {
        let span = context.span();
        let span = span.span_context();
        Current {
            request: request_id(context, span.trace_id()),
            ids: span.is_valid().then(|| Ids {
                trace: span.trace_id(),
                span: span.span_id(),
                flags: span.trace_flags(),
            }),
            tags: scoped::of(context).into_shared(),
        }
    })
}

/// Returns the request ID, unless it is the trace ID in another notation, which is the case if the caller did not send
/// one.
fn request_id(context: &opentelemetry::Context, trace: TraceId) -> Option<Arc<str>> {
    let id = RequestId::from_context(context)?;
    (id.as_trace_id() != Some(trace)).then(|| id.text())
}

/// Returns the IDs and tags for an event with this metadata.
///
/// Like [`current`], but empty for events of the OpenTelemetry API itself: it logs about the context stack while that
/// is borrowed, and reading the current context would panic.
pub fn current_of(metadata: &Metadata<'_>) -> Current {
    if metadata.target() == "opentelemetry" {
        Current { ids: None, request: None, tags: Arc::default() }
    } else {
        current()
    }
}

impl Current {
    /// Returns the trace ID of the current span.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.ids.map(|ids| ids.trace)
    }

    /// Returns the span ID of the current span. In a detached job, that is the job's own span.
    pub fn span_id(&self) -> Option<SpanId> {
        self.ids.map(|ids| ids.span)
    }

    /// Returns the trace flags of the current span, which tell whether the trace is sampled.
    pub fn trace_flags(&self) -> Option<TraceFlags> {
        self.ids.map(|ids| ids.flags)
    }

    /// Returns the ID of the HTTP request, if the caller sent one that differs from the trace ID.
    pub fn request_id(&self) -> Option<&str> {
        self.request.as_deref()
    }

    /// Returns the tags in scope, like [`current_tags`](crate::current_tags).
    pub fn tags(&self) -> &[KeyValue] {
        &self.tags
    }

    /// Returns `true` if there is no span, no request ID and no tag.
    pub fn is_empty(&self) -> bool {
        self.ids.is_none() && self.request.is_none() && self.tags.is_empty()
    }

    /// Calls `member` for each member of a JSON object, following OpenTelemetry's specification of trace context in
    /// non-OTLP logs: IDs and flags in hexadecimal, and the tags as a nested object, so that no tag can be mistaken for
    /// another member.
    ///
    /// For formatters that write member by member. Others can serialize the value as a whole.
    ///
    /// # Errors
    ///
    /// Returns the first error that `member` returns.
    pub fn members<E>(&self, mut member: impl FnMut(&'static str, Member<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut text = |key, value: &dyn Display| member(key, Member(Content::Text(value)));
        if let Some(ids) = self.ids {
            text("trace_id", &ids.trace)?;
            text("span_id", &ids.span)?;
            text("trace_flags", &format_args!("{:02x}", ids.flags))?;
        }
        if let Some(id) = &self.request {
            text("request_id", id)?;
        }
        if !self.tags.is_empty() {
            member("tags", Member(Content::Tags(&self.tags)))?;
        }
        Ok(())
    }
}

/// Writes words separated by spaces: `trace_id=… span_id=… tenant_id=acme`. A value that is not a single plain word is
/// quoted and [escaped](crate::text::needs_escape). `trace_flags=00` marks an unsampled trace.
impl Display for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        if let Some(ids) = self.ids {
            write!(f, "{}", Identity(ids))?;
            space = " ";
        }
        if let Some(id) = &self.request {
            write!(f, "{space}request_id={}", Word(id))?;
            space = " ";
        }
        for tag in &*self.tags {
            write!(f, "{space}{}={}", Word(tag.key.as_str()), QuotedValue(&tag.value))?;
            space = " ";
        }
        Ok(())
    }
}

impl Current {
    /// Returns the `Display` form of the IDs alone.
    pub(super) fn identity(&self) -> Option<impl Display + use<>> {
        self.ids.map(Identity)
    }
}

struct Identity(Ids);

impl Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ids { trace, span, flags } = self.0;
        write!(f, "trace_id={trace} span_id={span}")?;
        if !flags.is_sampled() {
            write!(f, " trace_flags={flags:02x}")?;
        }
        Ok(())
    }
}

/// Serializes to `{"trace_id": "…", "span_id": "…", "trace_flags": "01", "tags": {"tenant_id": "acme"}}`. Use
/// `#[serde(flatten)]` to add these members to your own object.
impl Serialize for Current {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.members(|key, value| map.serialize_entry(key, &value))?;
        map.end()
    }
}

/// The value of one member of a JSON object. See [`Current::members`].
pub struct Member<'a>(Content<'a>);

impl fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").finish_non_exhaustive()
    }
}

enum Content<'a> {
    Text(&'a dyn Display),
    Tags(&'a [KeyValue]),
}

impl Serialize for Member<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Content::Text(text) => serializer.collect_str(text),
            Content::Tags(tags) => {
                let mut map = serializer.serialize_map(None)?;
                for (at, tag) in tags.iter().enumerate() {
                    // Parsers disagree on duplicate keys. As with the attributes of a span, the last one wins.
                    if !has_key(&tags[at + 1..], &tag.key) {
                        map.serialize_entry(tag.key.as_str(), &TagJson(&tag.value))?;
                    }
                }
                map.end()
            }
        }
    }
}

struct TagJson<'a>(&'a Value);

impl Serialize for TagJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(value) => value.serialize(serializer),
            Value::I64(value) => value.serialize(serializer),
            Value::F64(value) => value.serialize(serializer),
            Value::String(value) => value.as_str().serialize(serializer),
            Value::Array(Array::Bool(list)) => list.serialize(serializer),
            Value::Array(Array::I64(list)) => list.serialize(serializer),
            Value::Array(Array::F64(list)) => list.serialize(serializer),
            Value::Array(Array::String(list)) => {
                let mut seq = serializer.serialize_seq(Some(list.len()))?;
                for item in list {
                    seq.serialize_element(item.as_str())?;
                }
                seq.end()
            }
            other => other.as_str().serialize(serializer),
        }
    }
}
