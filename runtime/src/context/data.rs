//! The data that Throughline stores in the OpenTelemetry `Context`.

use std::sync::Arc;

use opentelemetry::baggage::{Baggage, BaggageMetadata};
use opentelemetry::trace::{SpanBuilder, SpanId, TraceContextExt as _};
use opentelemetry::{Context, Key, StringValue};

#[cfg(feature = "sdk")]
use crate::context::encoder::Encoder;
#[cfg(feature = "integration")]
use crate::context::extensions::Extensions;
use crate::tags::scoped::ScopedTags;

/// Starts a span and returns the context that holds it: an object-safe `Tracer`.
pub(crate) trait Source: Send + Sync {
    /// Starts a span whose parent is the span of `context`; `None` if no provider is set up.
    fn start(&self, builder: SpanBuilder, context: &Context) -> Option<Context>;

    /// Our own tracer, whose spans are encoded while they are recorded.
    #[cfg(feature = "sdk")]
    fn encoder(&self) -> Option<&dyn Encoder> {
        None
    }
}

/// The data that Throughline stores in the OpenTelemetry `Context`, as a single value that is also part of every
/// [`Snapshot`].
///
/// [`Snapshot`]: crate::Snapshot
#[derive(Clone, Default)]
pub(crate) struct Data {
    /// Attributes of every span that starts below.
    pub(crate) tags: ScopedTags,
    /// The span in whose context `tags` were set. The tags of any other span of our own tracer are newer.
    pub(crate) tags_below: Option<SpanId>,
    /// A copy of the baggage that can be shared, because OpenTelemetry's type is not `Clone`.
    pub(crate) baggage: Option<Arc<[BaggageEntry]>>,
    /// The provider for spans started in this context, if it is not the installed one.
    pub(crate) source: Option<Arc<dyn Source>>,
    /// Data attached by integrations.
    #[cfg(feature = "integration")]
    pub(super) extensions: Extensions,
}

/// A baggage member, in the form that OpenTelemetry's API uses.
pub(crate) type BaggageEntry = (Key, (StringValue, BaggageMetadata));

/// The context entry that holds [`Data`].
struct Slot(Arc<Data>);

impl Data {
    pub(crate) fn of(context: &Context) -> Option<&Arc<Self>> {
        context.get::<Slot>().map(|slot| &slot.0)
    }

    pub(crate) fn put(self, context: &Context) -> Context {
        Self::share(Arc::new(self), context)
    }

    pub(crate) fn share(this: Arc<Self>, context: &Context) -> Context {
        context.with_value(Slot(this))
    }

    /// Whether this holds nothing but tags, so that it may be kept alive longer.
    #[cfg(all(feature = "tokio", tokio_unstable))]
    pub(crate) fn is_only_tags(&self) -> bool {
        #[cfg(feature = "integration")]
        if !self.extensions.is_empty() {
            return false;
        }
        self.baggage.is_none() && self.source.is_none()
    }

    /// Sets the tags in scope in `context`, or in a context derived from it.
    pub(crate) fn set_tags(&mut self, tags: ScopedTags, context: &Context) {
        self.tags = tags;
        self.tags_below = Some(context.span().span_context().span_id());
    }
}

/// Returns `context` with modified [`Data`].
pub(crate) fn edit(context: &Context, change: impl FnOnce(&mut Data)) -> Context {
    let mut data = Data::of(context).map(|data| Data::clone(data)).unwrap_or_default();
    change(&mut data);
    data.put(context)
}

/// Returns `to`, with the span source of `from` unless it has its own.
pub(crate) fn with_source_of(from: &Context, to: Context) -> Context {
    let Some(source) = Data::of(from).and_then(|data| data.source.as_ref()) else { return to };
    edit(&to, |data| {
        data.source.get_or_insert_with(|| Arc::clone(source));
    })
}

pub(crate) fn entries(baggage: &Baggage) -> impl Iterator<Item = BaggageEntry> + '_ {
    baggage.iter().map(|(key, member)| (key.clone(), member.clone()))
}
