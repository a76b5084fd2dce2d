//! The layer itself.

use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use opentelemetry::trace::{Link, SpanContext, TraceContextExt as _};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use super::entry::{Entry, On};
use super::events::Events;
use super::fields::Fields;
use super::place::{self, Use};
use super::spans::Spans;
use super::{stack, switched_off};
use crate::context::current::{self, is_off};
use crate::context::snapshot::Snapshot;
use crate::guard::reentrance::{Busy, is_busy};
use crate::span::no_provider;

/// The layer itself, without its filter. Created by [`tracing_layer()`](crate::tracing_layer()) and
/// [`Builder::build`](super::Builder::build).
#[derive(Debug)]
pub struct TracingLayer {
    events: Events,
    spans: Arc<Spans>,
    /// The most verbose level of spans to record.
    level: LevelFilter,
    /// Whether spans below an unsampled one are disabled. This applies to all layers: `tracing` has no cheaper way.
    skips_unsampled: bool,
}

impl TracingLayer {
    pub(super) fn new(events: Events, level: LevelFilter, skips_unsampled: bool) -> Self {
        Self { events, spans: Arc::new(Spans::new()), level, skips_unsampled }
    }

    /// Creates the entry of a new span. `None` if telemetry is suppressed, as during the export of spans.
    #[inline]
    fn entry(&self, attributes: &Attributes<'_>) -> Option<Entry> {
        let metadata = attributes.metadata();
        if self.skips_unsampled && !attributes.is_contextual() {
            place::note(metadata, Use::Elsewhere);
        }
        let (parent, linked) = if let Some(parent) = attributes.parent().and_then(|parent| self.spans.context(parent)) {
            (parent, None)
        } else {
            let current = current::with(|current| (!current.is_telemetry_suppressed()).then(|| current.clone()))?;
            if attributes.is_root() {
                let linked = current.span().span_context().clone();
                (Snapshot::from_context(&current).without_span().to_context(), Some(linked))
            } else {
                (current, None)
            }
        };
        Some(Entry::below(parent, metadata, |span| {
            if let Some(linked) = linked.filter(SpanContext::is_valid) {
                span.link(Link::with_context(linked));
            }
            let mut fields = Fields::new(On::Unstarted(span));
            attributes.record(&mut fields);
            fields.finish();
        }))
    }
}

impl<S> Layer<S> for TracingLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let is_skipped =
            self.skips_unsampled && metadata.is_span() && current::with(is_off) && place::is_used_here(metadata);
        !is_skipped
    }

    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        switched_off::registered(dispatch, self.level);
        if let Some(registry) = dispatch.downcast_ref::<Registry>() {
            let mut known = known();
            known.retain(|known| known.spans.strong_count() > 0);
            known.push(Known { registry: ptr::from_ref(registry).addr(), spans: Arc::downgrade(&self.spans) });
        }
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let busy = Busy::begin();
        // Code that telemetry calls, such as an instrumented sampler, must not start spans, which would call it again.
        if busy.is_nested() || current::is_gone() || no_provider::is_lost() {
            return;
        }
        if let Some(entry) = self.entry(attributes) {
            self.spans.insert(id, entry);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.spans.change(id, |on| {
            let mut fields = Fields::new(on);
            values.record(&mut fields);
            fields.finish();
        });
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _: Context<'_, S>) {
        if let Some(follows) = self.spans.context(follows) {
            link(&self.spans, id, Link::with_context(follows.span().span_context().clone()));
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // In code that telemetry calls, the current span may be locked.
        if is_busy() {
            return;
        }
        let within = match event.parent() {
            Some(parent) => self.spans.context(parent),
            None if event.is_root() => None,
            // Cloned, because formatting the values may call code that uses the current context.
            None => current::with(|current| current.has_active_span().then(|| current.clone())),
        };
        if let Some(within) = within {
            self.events.add(event, &within);
        }
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        if self.skips_unsampled {
            self.spans.note_use(id);
        }
        if let Some((context, is_recorded)) = self.spans.enter(id) {
            stack::push(self.spans.address(), id, is_recorded, current::attach(context));
        }
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        if stack::pop(self.spans.address(), id) {
            self.spans.exit(id);
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        if let Some(span) = self.spans.remove(&id) {
            span.end();
        }
    }
}

/// Adds a link to a span.
pub(super) fn link(spans: &Spans, id: &Id, link: Link) {
    spans.change(id, |on| match on {
        On::Unstarted(span) => span.link(link),
        On::Started(context) => context.span().add_link(link.span_context, link.attributes),
    });
}

/// The spans of a subscriber, registered here because a layer inside of a `reload::Layer` cannot be found through the
/// subscriber.
struct Known {
    registry: usize,
    spans: Weak<Spans>,
}

static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

fn known() -> MutexGuard<'static, Vec<Known>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Finds the spans of the layer of a subscriber.
pub(super) fn find(dispatch: &Dispatch) -> Option<Arc<Spans>> {
    if let Some(layer) = dispatch.downcast_ref::<TracingLayer>() {
        return Some(Arc::clone(&layer.spans));
    }
    let registry = ptr::from_ref(dispatch.downcast_ref::<Registry>()?).addr();
    known().iter().rev().filter(|known| known.registry == registry).find_map(|known| known.spans.upgrade())
}
