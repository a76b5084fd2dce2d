//! The one value that Throughline keeps in the OpenTelemetry `Context`.

use std::sync::Arc;

use opentelemetry::baggage::{Baggage, BaggageMetadata};
use opentelemetry::trace::SpanBuilder;
use opentelemetry::{Context, Key, KeyValue, StringValue};

/// Starts a span and gives the context that holds it. A `Tracer` without its associated type.
pub(crate) trait Source: Send + Sync {
    /// Starts a span below the span of `context`; `None` if nothing listens.
    fn start(&self, builder: SpanBuilder, context: &Context) -> Option<Context>;
}

/// What Throughline keeps in the OpenTelemetry `Context`, as one value.
#[derive(Clone, Default)]
pub(crate) struct Ambient {
    /// Attributes of every span that starts below.
    pub(crate) tags: Arc<[KeyValue]>,
    /// The baggage once more, in a form that can be shared: OpenTelemetry's cannot be cloned.
    pub(crate) baggage: Option<Arc<[BaggageEntry]>>,
    /// The part of the caller's `tracestate` that OpenTelemetry's type cannot hold.
    #[cfg(feature = "propagation")]
    pub(crate) trace_state: Option<Arc<crate::propagation::trace_state::ForeignTraceState>>,
    /// The trace that has come in with B3's debug flag.
    #[cfg(feature = "propagation")]
    pub(crate) b3_debug: Option<opentelemetry::trace::TraceId>,
    /// The HTTP request that all this is for.
    #[cfg(feature = "http")]
    pub(crate) request: Option<Arc<Request>>,
    /// Where spans of this part of the program go, when not to the installed provider.
    pub(crate) source: Option<Arc<dyn Source>>,
}

/// What is known of an HTTP request besides its span.
#[cfg(feature = "http")]
#[derive(Default)]
pub(crate) struct Request {
    /// Known a moment after the context exists.
    pub(crate) id: std::sync::OnceLock<Arc<str>>,
    /// What the last span below that has failed says of it.
    pub(crate) failure: std::sync::Mutex<Option<String>>,
}

#[cfg(feature = "http")]
impl Request {
    pub(crate) fn note(&self, failure: &str) {
        *self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(failure.to_owned());
    }
}

/// One member of the baggage, in the form in which OpenTelemetry takes and gives it.
pub(crate) type BaggageEntry = (Key, (StringValue, BaggageMetadata));

/// The key under which the context holds an [`Ambient`].
struct Slot(Arc<Ambient>);

impl Ambient {
    pub(crate) fn of(context: &Context) -> Option<&Arc<Self>> {
        context.get::<Slot>().map(|slot| &slot.0)
    }

    pub(crate) fn put(self, context: &Context) -> Context {
        Self::share(Arc::new(self), context)
    }

    pub(crate) fn share(this: Arc<Self>, context: &Context) -> Context {
        context.with_value(Slot(this))
    }
}

/// `to`, but spans below it go where those of `from` go.
pub(crate) fn with_source_of(from: &Context, to: Context) -> Context {
    let Some(source) = Ambient::of(from).and_then(|ambient| ambient.source.as_ref()) else { return to };
    let mut ambient = Ambient::of(&to).map(|ambient| Ambient::clone(ambient)).unwrap_or_default();
    ambient.source.get_or_insert_with(|| Arc::clone(source));
    ambient.put(&to)
}

pub(crate) fn entries(baggage: &Baggage) -> impl Iterator<Item = BaggageEntry> + '_ {
    baggage.iter().map(|(key, member)| (key.clone(), member.clone()))
}
