//! Records events of `tracing` as span events.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{Arguments, Debug};
use std::sync::atomic::Ordering;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Array, KeyValue, SpanId, StringValue, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::sources;
use crate::atomic::AtomicU64;
use crate::context::current;
use crate::redact::error_text;
use crate::semconv;
use crate::tags::value::{TagValue as _, text, text_within};

/// A layer that adds each event to the current OpenTelemetry span, so that it appears in the trace.
///
/// | `tracing` event | span event |
/// |---|---|
/// | message | name; without a message, the name of the `tracing` event |
/// | level, target | `level`, `target` |
/// | source location | `code.file.path`, `code.line.number` |
/// | fields | attributes, which replace one of the above with the same name: numbers and booleans with their type, everything else as text of at most [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES) |
/// | an error | its description; those of its sources as a list, `….chain`; both as far as [`ErrorText`](crate::ErrorText) permits |
///
/// The status of the span does not change: it describes the outcome of the work, and a logged error may have been
/// handled.
///
/// Events are added to spans that are recording, up to a limit per span
/// ([`with_max_per_span`](Self::with_max_per_span)). A loop that logs could otherwise exhaust the SDK's limit, 128
/// events per span by default, which the exception of a failed call counts towards.
///
/// # With `tracing-opentelemetry`
///
/// Its layer adds events to spans too, but only to those of `tracing`. To have each event once, on the innermost span
/// of either kind, let that layer see the spans alone:
///
/// ```
/// use opentelemetry::trace::TracerProvider as _;
/// use tracing_subscriber::Layer as _;
/// use tracing_subscriber::filter::filter_fn;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// # let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
/// let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("app"));
/// let subscriber = tracing_subscriber::registry()
///     .with(spans.with_filter(filter_fn(|metadata| !metadata.is_event())))
///     .with(throughline::log::SpanEvents::new());
/// # drop(subscriber);
/// ```
///
/// # Cost
///
/// Outside of a span, the layer reads the current context. In a span that is not recording, it also takes the span's
/// lock. Otherwise the cost is that of an event of the OpenTelemetry API, which allocates for the attributes.
///
/// # Deadlocks
///
/// OpenTelemetry calls span processors with the span locked. Throughline ends its spans when they are no longer
/// current, and this layer ignores the SDK's own events. But where other code calls `end` on the current span, a span
/// processor that logs would deadlock: add a filter to this layer that excludes the processor's target.
#[derive(Debug)]
pub struct SpanEvents {
    min_level: Level,
    max_per_span: u16,
    counts: Counts,
}

impl SpanEvents {
    /// Creates a layer for events of level INFO and above, at most 64 per span.
    pub fn new() -> Self {
        Self { min_level: Level::INFO, max_per_span: 64, counts: Counts::new() }
    }

    /// Ignores events that are more verbose than `level`. Filters of the subscriber, such as `RUST_LOG`, apply before.
    #[must_use]
    pub fn with_min_level(mut self, level: Level) -> Self {
        self.min_level = level;
        self
    }

    /// Adds at most `max` events to a span, then one event that reports the limit.
    ///
    /// The counts are in a table of fixed size. When very many spans log at the same time, two may collide, and one
    /// of them may get more events. The SDK's own limit holds in any case.
    #[must_use]
    pub fn with_max_per_span(mut self, max: u16) -> Self {
        self.max_per_span = max;
        self
    }
}

impl Default for SpanEvents {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Subscriber> Layer<S> for SpanEvents {
    fn on_event(&self, event: &Event<'_>, _ctx: Context<'_, S>) {
        // A more verbose level compares as greater.
        if *event.metadata().level() > self.min_level || is_from_sdk(event.metadata()) {
            return;
        }
        let within = current::with(|context| {
            // Cloned, because formatting the values may call code that uses the current context.
            (context.has_active_span() && !context.is_telemetry_suppressed()).then(|| context.clone())
        });
        let Some(context) = within else { return };
        let span = context.span();
        if !span.is_recording() {
            return;
        }
        match self.counts.admit(span.span_context().span_id(), self.max_per_span) {
            Admitted::Yes => {
                let (name, attributes) = Described::of(event).into_parts(event);
                span.add_event(name, attributes);
            }
            Admitted::NoMore => {
                let (name, attributes) = limit_reached(self.max_per_span);
                span.add_event(name, attributes);
            }
            Admitted::No => {}
        }
    }
}

/// The SDK logs about itself while it holds the lock of a span that is ending.
fn is_from_sdk(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("opentelemetry")
}

/// The name and attributes of the event that reports the limit of events per span.
pub(crate) fn limit_reached(max: u16) -> (&'static str, Vec<KeyValue>) {
    ("throughline.log.limit_reached", vec![KeyValue::new(semconv::THROUGHLINE_LOG_LIMIT, i64::from(max))])
}

/// Collects the name and attributes of a span event.
pub(crate) struct Described {
    name: Option<Cow<'static, str>>,
    pub(crate) attributes: Vec<KeyValue>,
    /// Whether the event is a record of the `log` crate, whose metadata is in fields `log.*`.
    is_record: bool,
    /// Whether the field `error` is text that has not been truncated.
    has_long_error: bool,
    /// Whether the field `error` is an error whose text has not been redacted.
    has_raw_error: bool,
}

impl Described {
    pub(crate) fn of(event: &Event<'_>) -> Self {
        let record = event.normalized_metadata();
        let mut described = Self {
            name: None,
            attributes: Vec::with_capacity(8),
            is_record: record.is_some(),
            has_long_error: false,
            has_raw_error: false,
        };
        described.add("level", event.metadata().level().as_str());
        if let Some(record) = record {
            described.add("target", record.target().to_owned());
            described.place(record.file().map(|file| Value::from(file.to_owned())), record.line());
        } else {
            described.add("target", event.metadata().target());
            described.place(event.metadata().file().map(Value::from), event.metadata().line());
        }
        event.record(&mut described);
        described
    }

    /// Returns the name and the attributes.
    pub(crate) fn into_parts(mut self, event: &Event<'_>) -> (Cow<'static, str>, Vec<KeyValue>) {
        if self.has_long_error {
            self.shorten_error();
        }
        (self.name.unwrap_or(Cow::Borrowed(event.metadata().name())), self.attributes)
    }

    /// Removes and returns the field `error`, if the event has no message.
    #[cfg(feature = "tracing")]
    pub(crate) fn take_error(&mut self) -> Option<Value> {
        let at = self.attributes.iter().position(|attribute| attribute.key.as_str() == "error")?;
        self.name.is_none().then(|| self.attributes.remove(at).value)
    }

    #[cfg(feature = "tracing")]
    pub(crate) fn rename(&mut self, name: &'static str) {
        self.name = Some(Cow::Borrowed(name));
    }

    /// Redacts the field `error`, if it is an error, and truncates it.
    #[cold]
    fn shorten_error(&mut self) {
        let at = self.attributes.iter().position(|attribute| attribute.key.as_str() == "error");
        let Some(at) = at else { return };
        let long = &self.attributes[at].value;
        let short =
            if self.has_raw_error { error_text::of(format_args!("{long}")).map(Value::from) } else { long.tag_value() };
        match short {
            Some(short) => self.attributes[at].value = short,
            None => drop(self.attributes.remove(at)),
        }
    }

    fn add(&mut self, key: &'static str, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(key, value));
    }

    fn place(&mut self, file: Option<Value>, line: Option<u32>) {
        if let Some(file) = file {
            self.add(semconv::CODE_FILE_PATH, file);
        }
        if let Some(line) = line {
            self.add(semconv::CODE_LINE_NUMBER, i64::from(line));
        }
    }

    fn field(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name();
        if self.is_record && name.starts_with("log.") {
            return;
        }
        let name = name.strip_prefix("r#").unwrap_or(name);
        // Attribute keys are unique.
        self.attributes.retain(|attribute| attribute.key.as_str() != name);
        self.add(name, value);
    }

    fn text(&mut self, field: &Field, value: Arguments<'_>) {
        match field.name() {
            "message" => self.name = Some(Cow::Owned(text(value))),
            // Truncated after it was redacted: half of a secret would not be recognized.
            "error" => {
                self.has_long_error = true;
                self.field(field, text_within(error_text::SEEN, value));
            }
            _ => self.field(field, text(value)),
        }
    }
}

impl Visit for Described {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.field(field, value),
            Err(_) => self.text(field, format_args!("{value}")),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        if field.name() == "error" {
            // Redacted later, because it may become the outcome of the span instead.
            self.has_raw_error = true;
            self.text(field, format_args!("{value}"));
        } else if let Some(text) = error_text::of(format_args!("{value}")) {
            self.text(field, format_args!("{text}"));
        }
        if let Some(sources) = source_texts(value) {
            self.attributes.push(KeyValue::new(format!("{}.chain", field.name()), sources));
        }
    }
}

/// Returns the texts of the sources of `error`, as far as they may be recorded, or `None` if there are none.
pub(crate) fn source_texts(error: &(dyn Error + 'static)) -> Option<Value> {
    let texts = sources(error).filter_map(|source| error_text::of(format_args!("{source}")));
    let texts: Vec<_> = texts.map(StringValue::from).collect();
    (!texts.is_empty()).then_some(Value::Array(Array::String(texts)))
}

/// Counts the events of each span. The end of a span is not observed, so the table has a fixed size, and a new span
/// evicts the previous one from its slot.
#[derive(Debug)]
pub(crate) struct Counts(Box<[AtomicU64]>);

pub(crate) enum Admitted {
    Yes,
    /// This is the first event above the limit.
    NoMore,
    No,
}

impl Counts {
    const SLOTS: usize = 1024;
    /// The lower bits of an entry are the count, the upper ones identify the span. The count can be one above the
    /// highest limit.
    const COUNT: u64 = 0x1_ffff;

    pub(crate) fn new() -> Self {
        Self(std::iter::repeat_with(AtomicU64::default).take(Self::SLOTS).collect())
    }

    pub(crate) fn admit(&self, span: SpanId, max: u16) -> Admitted {
        // The lower bits select the slot, the upper ones are the mark. Multiplied, because an ID generator may count, so
        // that only the lower bits differ.
        let id = u64::from_be_bytes(span.to_bytes()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = usize::try_from(id % Self::SLOTS as u64).unwrap_or_default();
        let mark = id & !Self::COUNT;
        let next = |entry: u64| if entry & !Self::COUNT == mark { entry.saturating_add(1) } else { mark | 1 };
        let max = u64::from(max);
        let admitted = self.0[slot].fetch_update(Ordering::Relaxed, Ordering::Relaxed, |entry| {
            let next = next(entry);
            // The count stops one above the limit, so it never overflows into the mark.
            (next & Self::COUNT <= max + 1 && next & !Self::COUNT == mark).then_some(next)
        });
        match admitted.map(|before| next(before) & Self::COUNT) {
            Ok(count) if count <= max => Admitted::Yes,
            Ok(_) => Admitted::NoMore,
            Err(_) => Admitted::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_reported_once() {
        for max in [0, 1, 64, u16::MAX] {
            let (counts, span) = (Counts::new(), SpanId::from(u64::MAX));
            for n in 0..max {
                assert!(matches!(counts.admit(span, max), Admitted::Yes), "{n} of {max}");
            }
            assert!(matches!(counts.admit(span, max), Admitted::NoMore), "{max}");
            for _ in 0..3 {
                assert!(matches!(counts.admit(span, max), Admitted::No), "{max}");
            }
        }
    }

    #[test]
    fn spans_with_consecutive_ids_are_counted_separately() {
        let counts = Counts::new();
        for span in 1..=100_000_u64 {
            let admitted = counts.admit(SpanId::from(span), 1);
            assert!(matches!(admitted, Admitted::Yes), "the first event of span {span}");
        }
    }
}
