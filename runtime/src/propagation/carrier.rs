//! A serializable context.

use std::future::Future;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use super::Format;
use crate::context::current;
use crate::context::origin::Origin;
use crate::context::snapshot::Snapshot;
use crate::span::instrumented::Instrumented;

/// A serializable context, which can be stored and used as a parent or a link later.
///
/// Store it in a database row, an outbox table or the payload of a delayed job, and use it in the code that processes
/// the work later.
///
/// Always in W3C Trace Context and W3C Baggage format, independent of the formats of the process's
/// [`Propagator`](super::Propagator); its rules for baggage apply. Empty fields are not serialized and may be missing
/// when deserialized; binary formats, which identify fields by position, write them as `None`.
///
/// ```
/// use throughline::{Carrier, traced};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Job {
///     order_no: u64,
///     trace: Carrier,
/// }
///
/// #[traced(kind = consumer, parent = job.trace)]
/// fn run(job: &Job) {}
///
/// let row = serde_json::to_string(&Job { order_no: 1001, trace: Carrier::capture() }).unwrap();
/// // … hours later, in another process …
/// run(&serde_json::from_str(&row).unwrap());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct Carrier {
    /// The span context: W3C Trace Context, section "Traceparent Header".
    pub traceparent: Option<String>,
    /// Vendor-specific trace state: W3C Trace Context, section "Tracestate Header".
    pub tracestate: Option<String>,
    /// W3C Baggage.
    pub baggage: Option<String>,
}

const FORMATS: [Format; 2] = [Format::TraceContext, Format::Baggage];

impl Carrier {
    /// Serializes the current context.
    #[track_caller]
    pub fn capture() -> Self {
        Self::from_context(&current::get())
    }

    /// Serializes `context`.
    #[track_caller]
    pub fn from_context(context: &Context) -> Self {
        let mut carrier = Self::default();
        super::get().inject_as(&FORMATS, context, &|_| true, &mut carrier);
        carrier
    }

    /// Returns `true` if all fields are empty.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Restores the context. Invalid fields are ignored.
    pub fn to_context(&self) -> Context {
        super::get().extract_as(&FORMATS, Context::new(), self)
    }

    /// Runs `f` with this context as the current one. Spans started in `f` are children of the serialized span.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        Snapshot::from_context(&self.to_context()).run(f)
    }

    /// Returns a future that has this context as its current one whenever it is polled.
    pub fn run_async<F: Future>(&self, future: F) -> Instrumented<F> {
        Snapshot::from_context(&self.to_context()).run_async(future)
    }
}

impl Serialize for Carrier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let human_readable = serializer.is_human_readable();
        let fields = [("traceparent", &self.traceparent), ("tracestate", &self.tracestate), ("baggage", &self.baggage)];
        // In a positional format, omitting a field would shift those that follow.
        let is_written = |value: &Option<String>| value.is_some() || !human_readable;
        let written = fields.iter().filter(|(_, value)| is_written(value)).count();
        let mut carrier = serializer.serialize_struct("Carrier", written)?;
        for (name, value) in fields {
            if is_written(value) {
                carrier.serialize_field(name, value)?;
            } else {
                carrier.skip_field(name)?;
            }
        }
        carrier.end()
    }
}

impl Origin for Carrier {
    fn origin(&self) -> Context {
        self.to_context()
    }
}

impl Injector for Carrier {
    fn set(&mut self, key: &str, value: String) {
        match key {
            // Trace state belongs to one `traceparent`, which is always written first.
            "traceparent" => (self.traceparent, self.tracestate) = (Some(value), None),
            "tracestate" => self.tracestate = Some(value),
            "baggage" => self.baggage = Some(value),
            _ => {}
        }
    }
}

impl Extractor for Carrier {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.traceparent.as_deref(),
            "tracestate" => self.tracestate.as_deref(),
            "baggage" => self.baggage.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        ["traceparent", "tracestate", "baggage"].into_iter().filter(|key| self.get(key).is_some()).collect()
    }
}
