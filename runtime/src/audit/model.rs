//! The spans that an audit examines.

use std::fmt;
use std::sync::Arc;

use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry::{KeyValue, Value};

use crate::semconv;

/// A finished span, recorded by any tracer, as an audit examines it.
///
/// [`new`](Self::new) creates one without a parent; set the other fields as far as they are known. To save memory,
/// share the `Arc` of a name among the spans that have it.
///
/// ```
/// use throughline::audit::Span;
/// use throughline::SpanKind;
///
/// let mut span = Span::new(0x4bf9_u128.into(), 0x00f0_u64.into(), "GET /orders");
/// span.service = "orders".into();
/// span.kind = SpanKind::Server;
/// span.start = 1_700_000_000_000_000_000;
/// span.end = Some(span.start + 12_000_000);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Span {
    /// The attribute `service.name` of the resource. Empty if unknown.
    pub service: Arc<str>,
    /// The name of the instrumentation scope.
    pub scope: Arc<str>,
    /// The trace ID.
    pub trace_id: TraceId,
    /// The span ID.
    pub span_id: SpanId,
    /// The span ID of the parent; `None` for a root span.
    pub parent_id: Option<SpanId>,
    /// Whether the parent is in another process; `None` if unknown. Bits 8 and 9 of `flags` in OTLP.
    pub parent_is_remote: Option<bool>,
    /// Whether the span is sampled; `None` if unknown. Bit 0 of `flags` in OTLP. Many tracers do not set bits 0 to 7,
    /// so if all of them are zero, it is unknown.
    pub is_sampled: Option<bool>,
    /// The span kind.
    pub kind: SpanKind,
    /// The span name.
    pub name: Arc<str>,
    /// The start time, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// The end time, in nanoseconds since the Unix epoch; `None` if the span never ended.
    pub end: Option<u64>,
    /// Whether the span status is `Error`.
    pub is_error: bool,
    /// The attributes. The audit of a running process keeps only those that it needs.
    pub attributes: Vec<KeyValue>,
    /// The events. The audit of a running process keeps only those that it needs.
    pub events: Vec<Event>,
    /// The links.
    pub links: Vec<Link>,
    /// The source location at which the span was started. If `None`, the attributes `code.*` are used instead.
    pub place: Option<Arc<Place>>,
}

impl Span {
    /// Creates a root span that starts and ends at the Unix epoch.
    pub fn new(trace_id: TraceId, span_id: SpanId, name: impl Into<Arc<str>>) -> Self {
        Self {
            service: Arc::default(),
            scope: Arc::default(),
            trace_id,
            span_id,
            parent_id: None,
            parent_is_remote: None,
            is_sampled: None,
            kind: SpanKind::Internal,
            name: name.into(),
            start: 0,
            end: Some(0),
            is_error: false,
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            place: None,
        }
    }

    /// Returns the value of the attribute `key`; the last one, if there are several.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        let attribute = self.attributes.iter().rev().find(|attribute| attribute.key.as_str() == key);
        attribute.map(|attribute| &attribute.value)
    }

    /// Returns the source location: [`place`](Self::place), or the one described by the attributes `code.*`.
    pub fn code_place(&self) -> Option<Arc<Place>> {
        self.place.clone().or_else(|| Place::from_attributes(&self.attributes).map(Arc::new))
    }

    /// Returns the duration in nanoseconds; `None` if the span never ended. Zero if it ended before it started, because
    /// the clock was set back.
    pub fn duration(&self) -> Option<u64> {
        Some(self.end?.saturating_sub(self.start))
    }
}

/// An event of a span.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The event name.
    pub name: Arc<str>,
    /// The time of the event, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// The attributes.
    pub attributes: Vec<KeyValue>,
}

impl Event {
    /// Creates an event. `time` is in nanoseconds since the Unix epoch.
    pub fn new(name: impl Into<Arc<str>>, time: u64, attributes: Vec<KeyValue>) -> Self {
        Self { name: name.into(), time, attributes }
    }
}

/// A link to a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Link {
    /// The trace ID of the linked span.
    pub trace_id: TraceId,
    /// The span ID of the linked span.
    pub span_id: SpanId,
}

impl Link {
    /// Creates a link.
    pub fn new(trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id }
    }
}

/// A source location, as described by the attributes `code.*` of a span.
///
/// The `Display` form is `src/orders.rs:31 (orders::place)`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Place {
    /// The attribute `code.file.path`. Empty if unknown.
    pub file: Arc<str>,
    /// The attribute `code.line.number`.
    pub line: Option<u32>,
    /// The attribute `code.function.name`.
    pub function: Option<Arc<str>>,
}

impl Place {
    /// Creates a source location.
    pub fn new(file: impl Into<Arc<str>>, line: Option<u32>, function: Option<Arc<str>>) -> Self {
        Self { file: file.into(), line, function }
    }

    /// Reads the source location from attributes; `None` if they contain neither a file nor a function. Also recognizes
    /// the names used by `tracing-opentelemetry` and by older semantic conventions.
    pub fn from_attributes(attributes: &[KeyValue]) -> Option<Self> {
        let get = |names: &[&str]| {
            let attribute = attributes.iter().rev().find(|attribute| names.contains(&attribute.key.as_str()));
            attribute.map(|attribute| &attribute.value)
        };
        let file = get(&[semconv::CODE_FILE_PATH, CODE_FILEPATH]).map(Value::as_str);
        let function = get(&[semconv::CODE_FUNCTION_NAME, CODE_FUNCTION]).map(Value::as_str);
        let line = get(&[semconv::CODE_LINE_NUMBER, CODE_LINENO]);
        if file.is_none() && function.is_none() {
            return None;
        }
        let line = line.and_then(|line| match line {
            Value::I64(line) => u32::try_from(*line).ok(),
            other => other.as_str().parse().ok(),
        });
        Some(Self::new(file.unwrap_or_default(), line, function.map(Arc::from)))
    }
}

/// The names in versions of the conventions before 1.30.
const CODE_FILEPATH: &str = concat!("code.", "filepath");
const CODE_FUNCTION: &str = concat!("code.", "function");
const CODE_LINENO: &str = concat!("code.", "lineno");

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::text::escape;

        let function = self.function.as_deref();
        if self.file.is_empty() {
            return f.write_str(&escape(function.unwrap_or_default()));
        }
        f.write_str(&escape(&self.file))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match function {
            Some(function) => write!(f, " ({})", escape(function)),
            None => Ok(()),
        }
    }
}
