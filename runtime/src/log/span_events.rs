//! Events of `tracing` as events of spans.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{Arguments, Debug};
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Array, KeyValue, SpanId, StringValue, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::sources;
use crate::context::current;
use crate::tags::value::text;

/// A layer that adds each event to the current OpenTelemetry span, so that it is seen in the trace.
///
/// | of the `tracing` event | on the span's event |
/// |---|---|
/// | message | its name; without one, the name of the `tracing` event |
/// | level, target | `level`, `target` |
/// | place in the source | `code.file.path`, `code.line.number` |
/// | fields | attributes, also in place of one of the above: numbers and truth values as they are, all else as text of at most [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES) |
/// | an error | its description; those of its sources as a list, `….chain` |
///
/// The status of the span stays as it is: it tells how the work ended, which an error on the way
/// need not decide.
///
/// Events go to a span that is recorded, and up to a number for each span
/// ([`with_max_per_span`](Self::with_max_per_span)), so that a loop which logs cannot crowd out what
/// the SDK has room for: 128 events for each span, unless it is told otherwise, the exception of a
/// failed call among them.
///
/// # With `tracing-opentelemetry`
///
/// Its layer adds events to spans as well, but to those of `tracing` alone. To have each event once,
/// on the innermost span of either kind, leave it the spans:
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
/// Outside of a span, one look at the current context. In one that is not recorded, its lock
/// besides. Otherwise that of an event of the OpenTelemetry API: allocations for the attributes.
///
/// # Deadlocks
///
/// OpenTelemetry calls span processors with the span locked. Throughline ends its spans when they
/// are no longer current, and what the SDK reports of itself is left out here. But where other code
/// calls `end` on the span that is current, a span processor that logs would wait for itself: put a
/// filter on this layer that leaves its target out.
#[derive(Debug)]
pub struct SpanEvents {
    min_level: Level,
    max_per_span: u16,
    counts: Counts,
}

impl SpanEvents {
    /// Events of level INFO and above, 64 for each span.
    pub fn new() -> Self {
        Self { min_level: Level::INFO, max_per_span: 64, counts: Counts::new() }
    }

    /// Leaves events of lesser importance than `level` out. Filters of the subscriber, such as
    /// `RUST_LOG`, come before that.
    #[must_use]
    pub fn with_min_level(mut self, level: Level) -> Self {
        self.min_level = level;
        self
    }

    /// Adds at most `max` events to one span, and then one that says so.
    ///
    /// The counts are kept in a table of fixed size. Where very many spans log at the same time, two
    /// can come to share a place, and one may get more; the SDK's own limit holds in any case.
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
        // A more verbose level is the greater one.
        if *event.metadata().level() > self.min_level || is_of_the_sdk(event.metadata()) {
            return;
        }
        let within = current::with(|context| {
            // Cloned, because the values are formatted by code that may use the current context.
            (context.has_active_span() && !context.is_telemetry_suppressed()).then(|| context.clone())
        });
        let Some(context) = within else { return };
        let span = context.span();
        if !span.is_recording() {
            return;
        }
        match self.counts.admit(span.span_context().span_id(), self.max_per_span) {
            Admitted::Yes => {
                let (name, attributes) = describe(event);
                span.add_event(name, attributes);
            }
            Admitted::NoMore => {
                let limit = KeyValue::new("throughline.log.limit", i64::from(self.max_per_span));
                span.add_event("throughline.log.limit_reached", vec![limit]);
            }
            Admitted::No => {}
        }
    }
}

/// The SDK reports on itself while it holds the lock of a span that ends.
fn is_of_the_sdk(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("opentelemetry")
}

fn describe(event: &Event<'_>) -> (Cow<'static, str>, Vec<KeyValue>) {
    let record = event.normalized_metadata();
    let mut described = Described { name: None, attributes: Vec::with_capacity(8), is_record: record.is_some() };
    described.add("level", event.metadata().level().as_str());
    if let Some(record) = record {
        described.add("target", record.target().to_owned());
        described.place(record.file().map(|file| Value::from(file.to_owned())), record.line());
    } else {
        described.add("target", event.metadata().target());
        described.place(event.metadata().file().map(Value::from), event.metadata().line());
    }
    event.record(&mut described);
    let name = described.name.map_or_else(|| Cow::Borrowed(event.metadata().name()), Cow::Owned);
    (name, described.attributes)
}

/// The parts of a span's event.
struct Described {
    name: Option<String>,
    attributes: Vec<KeyValue>,
    /// Whether the event is a record of the `log` crate: its fields `log.*` are facts of the place.
    is_record: bool,
}

impl Described {
    fn add(&mut self, key: &'static str, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(key, value));
    }

    fn place(&mut self, file: Option<Value>, line: Option<u32>) {
        if let Some(file) = file {
            self.add("code.file.path", file);
        }
        if let Some(line) = line {
            self.add("code.line.number", i64::from(line));
        }
    }

    fn field(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name();
        if self.is_record && name.starts_with("log.") {
            return;
        }
        let name = name.strip_prefix("r#").unwrap_or(name);
        // An event has each attribute once.
        self.attributes.retain(|attribute| attribute.key.as_str() != name);
        self.add(name, value);
    }

    fn text(&mut self, field: &Field, value: Arguments<'_>) {
        if field.name() == "message" {
            self.name = Some(text(value));
        } else {
            self.field(field, text(value));
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
        self.text(field, format_args!("{value}"));
        let sources = sources(value).map(|source| StringValue::from(text(format_args!("{source}"))));
        let sources: Vec<_> = sources.collect();
        if !sources.is_empty() {
            let key = format!("{}.chain", field.name());
            self.attributes.push(KeyValue::new(key, Value::Array(Array::String(sources))));
        }
    }
}

/// How many events each span has got. Spans do not tell when they end, so the table is of fixed
/// size, and a span that comes takes the place of the one that was there before.
#[derive(Debug)]
struct Counts(Box<[AtomicU64]>);

enum Admitted {
    Yes,
    /// No, and it was to be the first above the limit.
    NoMore,
    No,
}

impl Counts {
    const PLACES: usize = 1024;
    /// The lower part of an entry counts, the upper one tells which span.
    const COUNT: u64 = 0xffff;

    fn new() -> Self {
        Self(std::iter::repeat_with(AtomicU64::default).take(Self::PLACES).collect())
    }

    fn admit(&self, span: SpanId, max: u16) -> Admitted {
        let id = u64::from_be_bytes(span.to_bytes());
        // Both ends of a span id are as good as random; the place takes one, the mark the other.
        let place = usize::try_from(id % Self::PLACES as u64).unwrap_or_default();
        let mark = id & !Self::COUNT;
        let next = |entry: u64| if entry & !Self::COUNT == mark { entry.saturating_add(1) } else { mark | 1 };
        let max = u64::from(max);
        let admitted = self.0[place].fetch_update(Ordering::Relaxed, Ordering::Relaxed, |entry| {
            let next = next(entry);
            // One above the limit it stops: the count never runs into the mark.
            (next & Self::COUNT <= max + 1 && next & !Self::COUNT == mark).then_some(next)
        });
        match admitted.map(|before| next(before) & Self::COUNT) {
            Ok(count) if count <= max => Admitted::Yes,
            Ok(_) => Admitted::NoMore,
            Err(_) => Admitted::No,
        }
    }
}
