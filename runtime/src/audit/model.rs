//! The spans that an audit looks at.

use std::fmt;
use std::sync::Arc;

use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry::{KeyValue, Value};

use crate::semconv;

/// A span that an audit looks at, whoever recorded it.
///
/// [`new`](Self::new) gives one without a parent, and the fields are set as far as they are known. Names are shared,
/// because they are few and the spans are many.
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
    /// `service.name` of the resource. Empty if it is not known.
    pub service: Arc<str>,
    /// The name of the instrumentation scope.
    pub scope: Arc<str>,
    /// The id of its trace.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// The id of its parent; `None` for a root span.
    pub parent_id: Option<SpanId>,
    /// Whether the parent is in another process; `None` if that is not known. In OTLP, bits 8 and 9 of `flags`.
    pub parent_is_remote: Option<bool>,
    /// Whether it is sampled; `None` if that is not known. In OTLP, bit 0 of `flags`. Many tracers leave bits 0 to 7 out,
    /// so it is not known if all of them are zero.
    pub is_sampled: Option<bool>,
    /// The kind.
    pub kind: SpanKind,
    /// The name.
    pub name: Arc<str>,
    /// When it started, in nanoseconds since 1970.
    pub start: u64,
    /// When it ended, likewise; `None` if it never did.
    pub end: Option<u64>,
    /// Whether its status is `Error`.
    pub is_error: bool,
    /// The attributes. An audit in the process keeps those that it needs, and no others.
    pub attributes: Vec<KeyValue>,
    /// The events, likewise.
    pub events: Vec<Event>,
    /// The spans it is linked to.
    pub links: Vec<Link>,
    /// Where in the source it was started: the attributes `code.*`, unless it is set.
    pub place: Option<Arc<Place>>,
}

impl Span {
    /// A span without a parent that started and ended in 1970.
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

    /// The value of the attribute `key`; the last one, if there are several.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        let attribute = self.attributes.iter().rev().find(|attribute| attribute.key.as_str() == key);
        attribute.map(|attribute| &attribute.value)
    }

    /// Where in the source it was started: [`place`](Self::place), or what the attributes `code.*` say.
    pub fn code_place(&self) -> Option<Arc<Place>> {
        self.place.clone().or_else(|| Place::of(&self.attributes).map(Arc::new))
    }

    /// How long it took, in nanoseconds; `None` if it never ended. Zero if the clock was set back meanwhile.
    pub fn duration(&self) -> Option<u64> {
        Some(self.end?.saturating_sub(self.start))
    }
}

/// An event of a span.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The name.
    pub name: Arc<str>,
    /// When it happened, in nanoseconds since 1970.
    pub time: u64,
    /// The attributes.
    pub attributes: Vec<KeyValue>,
}

impl Event {
    /// An event.
    pub fn new(name: impl Into<Arc<str>>, time: u64, attributes: Vec<KeyValue>) -> Self {
        Self { name: name.into(), time, attributes }
    }
}

/// A span that another one is linked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Link {
    /// The id of its trace.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
}

impl Link {
    /// A link to a span.
    pub fn new(trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id }
    }
}

/// A place in the source: the attributes `code.*` of a span, as far as it has them.
///
/// Its `Display` form is `src/orders.rs:31 (orders::place)`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Place {
    /// `code.file.path`. Empty if it is not known.
    pub file: Arc<str>,
    /// `code.line.number`.
    pub line: Option<u32>,
    /// `code.function.name`.
    pub function: Option<Arc<str>>,
}

impl Place {
    /// A place in a file.
    pub fn new(file: impl Into<Arc<str>>, line: Option<u32>, function: Option<Arc<str>>) -> Self {
        Self { file: file.into(), line, function }
    }

    /// What the attributes say, also under the names that `tracing-opentelemetry` and older conventions give them.
    pub fn of(attributes: &[KeyValue]) -> Option<Self> {
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
