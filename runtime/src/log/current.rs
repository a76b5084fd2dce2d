//! What a log line says of the trace it belongs to.

use std::fmt::{self, Display};
use std::sync::Arc;

use opentelemetry::trace::{TraceContextExt as _, TraceFlags};
use opentelemetry::{Array, KeyValue, SpanId, TraceId, Value};
use serde::ser::{Serialize, SerializeMap, SerializeSeq as _, Serializer};
use tracing::Metadata;

use crate::context::current as context;
use crate::context::data::Ambient;
use crate::tags::set::{has_key, is_read_by_logs, read_by_logs};
use crate::text::{QuotedValue, Word};

/// The identity of the current span and the tags that hold, for a formatter of your own.
///
/// `Display` writes them as [`Text`](super::Text) does, `Serialize` as [`json`](super::json) does:
/// in both, nothing when there is nothing.
#[derive(Debug, Clone)]
pub struct Current {
    ids: Option<Ids>,
    /// The id of the HTTP request, where it is another than that of the trace.
    request: Option<Arc<str>>,
    tags: Arc<[KeyValue]>,
}

#[derive(Debug, Clone, Copy)]
struct Ids {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
}

/// The identity of the current OpenTelemetry span, and the tags that hold here.
///
/// Costs one look at the current context, and does not allocate. The first call says that this process
/// has a log formatter: from then on, tags are evaluated in traces that are not sampled too.
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
            tags: Ambient::of(context).map_or_else(Arc::default, |ambient| Arc::clone(&ambient.tags)),
        }
    })
}

/// Request id and trace id are one, unless a caller has named its own.
#[cfg(feature = "http")]
fn request_id(context: &opentelemetry::Context, trace: TraceId) -> Option<Arc<str>> {
    let id = Ambient::of(context)?.request.as_ref()?.id.get()?;
    let number = crate::text::hex::parse(id.bytes().filter(|byte| *byte != b'-'));
    let same = id.len() >= 32 && number.map(TraceId::from) == Some(trace);
    (!same).then(|| Arc::clone(id))
}

#[cfg(not(feature = "http"))]
fn request_id(_: &opentelemetry::Context, _: TraceId) -> Option<Arc<str>> {
    None
}

/// What the line of an event says. Nothing of an event of the OpenTelemetry API itself: it reports
/// on the stack of contexts while that cannot be looked at, and a look would panic.
pub(super) fn of_event(metadata: &Metadata<'_>) -> Current {
    if metadata.target() == "opentelemetry" {
        Current { ids: None, request: None, tags: Arc::default() }
    } else {
        current()
    }
}

impl Current {
    /// The trace of the current span.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.ids.map(|ids| ids.trace)
    }

    /// The current span. In a detached job, that is the job's own.
    pub fn span_id(&self) -> Option<SpanId> {
        self.ids.map(|ids| ids.span)
    }

    /// The flags of the current span; they tell whether the trace is sampled.
    pub fn trace_flags(&self) -> Option<TraceFlags> {
        self.ids.map(|ids| ids.flags)
    }

    /// The id of the HTTP request that this is for, if the caller has named one that is not the
    /// trace id. The feature `http` tells.
    pub fn request_id(&self) -> Option<&str> {
        self.request.as_deref()
    }

    /// The tags of `#[biz_tags]`, as [`current_tags`](crate::current_tags) gives them.
    pub fn tags(&self) -> &[KeyValue] {
        &self.tags
    }

    /// Whether there is neither a span, nor a request, nor a tag.
    pub fn is_empty(&self) -> bool {
        self.ids.is_none() && self.request.is_none() && self.tags.is_empty()
    }

    /// The members of a JSON object, by the specification of trace context in logs that are not
    /// OTLP: the ids and flags in hexadecimal digits, and the tags as an object of their own, so
    /// that no tag can stand in for another member.
    pub(super) fn members<E>(
        &self,
        mut member: impl FnMut(&'static str, Member<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(ids) = self.ids {
            member("trace_id", Member::Text(&ids.trace))?;
            member("span_id", Member::Text(&ids.span))?;
            member("trace_flags", Member::Text(&format_args!("{:02x}", ids.flags)))?;
        }
        if let Some(id) = &self.request {
            member("request_id", Member::Text(id))?;
        }
        if !self.tags.is_empty() {
            member("tags", Member::Tags(&self.tags))?;
        }
        Ok(())
    }
}

/// Words with a space between them: `trace_id=… span_id=… tenant_id=acme`. A word in which a reader
/// could go wrong is quoted and escaped. `trace_flags=00` is there where the trace is not sampled.
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
    /// The ids alone, as text.
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

/// `{"trace_id": "…", "span_id": "…", "trace_flags": "01", "tags": {"tenant_id": "acme"}}`. To have
/// it among the members of an object of yours, use `#[serde(flatten)]`.
impl Serialize for Current {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.members(|key, value| map.serialize_entry(key, &value))?;
        map.end()
    }
}

/// The value of one member of a JSON object.
pub(super) enum Member<'a> {
    Text(&'a dyn Display),
    Tags(&'a [KeyValue]),
}

impl Serialize for Member<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.collect_str(text),
            Self::Tags(tags) => {
                let mut map = serializer.serialize_map(None)?;
                for (at, tag) in tags.iter().enumerate() {
                    // A key twice would leave it to the reader which one counts. As with the
                    // attributes of a span, it is the last.
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
