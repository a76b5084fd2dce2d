//! The layer itself.

use std::sync::Arc;

use opentelemetry::Context as OtelContext;
use opentelemetry::trace::{Link, TraceContextExt as _};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::events::Events;
use super::fields::Fields;
use super::shared::{Shared, State};
use super::{place, stack};
use crate::context::current;
use crate::context::snapshot::Snapshot;
use crate::guard::reentrance::Busy;
use crate::span::no_provider;
use crate::span::unstarted::{Place, Unstarted};

/// The layer that [`tracing_layer()`](crate::tracing_layer()) adds to its filter. See
/// [the module](mod@crate::tracing_layer).
#[derive(Debug)]
pub struct TracingLayer {
    events: Events,
}

impl TracingLayer {
    pub(super) fn new(max_events: u16, error_outcomes: bool, error_levels: bool) -> Self {
        Self { events: Events::new(max_events, error_outcomes, error_levels) }
    }
}

/// The span of ours of a `tracing` span. `None` if it is not one of this layer's.
fn shared<S>(context: &Context<'_, S>, id: &Id) -> Option<Arc<Shared>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Shared::of(&context.span(id)?)
}

/// A new span, and the context of its parent.
fn unstarted<S>(attributes: &Attributes<'_>, context: &Context<'_, S>) -> Option<Unstarted>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let metadata = attributes.metadata();
    let place = Place {
        #[cfg(feature = "sdk")]
        encoded: &|| place::encoded(metadata),
        described: &|| place::described(metadata),
    };
    let below = |parent| Unstarted::below(parent, metadata.name(), &place);
    if let Some(parent) = attributes.parent() {
        if let Some(parent) = shared(context, parent).and_then(|parent| parent.context()) {
            return Some(below(parent));
        }
    }
    let current = current::get();
    // The export of spans, for example.
    if current.is_telemetry_suppressed() {
        return None;
    }
    if !attributes.is_root() {
        return Some(below(current));
    }
    let mut root = below(Snapshot::of(&current).without_span().to_context());
    let span = current.span();
    if span.span_context().is_valid() {
        root.link(Link::with_context(span.span_context().clone()));
    }
    Some(root)
}

impl<S> Layer<S> for TracingLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let busy = Busy::begin();
        // A span of code that telemetry calls, such as an instrumented sampler, would call it again.
        if busy.is_nested() || current::is_gone() || no_provider::is_lost() {
            return;
        }
        let (Some(mut span), Some(entry)) = (unstarted(attributes, &context), context.span(id)) else { return };
        // Below a span that is not sampled, only the context is kept.
        if !span.is_off() {
            let mut fields = Fields::of_unstarted(&mut span);
            attributes.record(&mut fields);
            fields.finish();
        }
        entry.extensions_mut().replace(Shared::new(span));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = shared(&context, id) else { return };
        span.with(|state| {
            if let Some(mut fields) = Fields::of(state) {
                values.record(&mut fields);
                fields.finish();
            }
        });
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        let (Some(span), Some(follows)) = (shared(&context, id), shared(&context, follows)) else { return };
        let Some(follows) = follows.context() else { return };
        link(&span, Link::with_context(follows.span().span_context().clone()));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // Events of code that telemetry calls; the span may be locked.
        if crate::guard::reentrance::is_busy() {
            return;
        }
        let within = match event.parent() {
            Some(parent) => shared(&context, parent).and_then(|span| span.context()),
            None if event.is_root() => None,
            // A clone, because the values are formatted by code that may use the current context.
            None => current::with(|current| current.has_active_span().then(|| current.clone())),
        };
        if let Some(within) = within {
            self.events.add(event, &within);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = shared(&context, id) else { return };
        let Some(context) = span.context() else { return };
        stack::push(id, span, current::attach(context));
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        if let Some(span) = stack::pop(id) {
            span.exit();
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let span = span.extensions_mut().remove::<Arc<Shared>>();
        // Outside of the lock of the extensions: ending a span may call span processors.
        if let Some(span) = span {
            span.end();
        }
    }
}

/// Adds a link to a span.
pub(super) fn link(span: &Shared, link: Link) {
    span.with(|state| match state {
        State::Unstarted(span) => span.link(link),
        State::Started(span) => {
            if let Some(context) = span.0.context() {
                context.span().add_link(link.span_context, link.attributes);
            }
        }
        State::Ended => {}
    });
}

/// The span of ours of a `tracing` span, from outside of the layer.
pub(super) fn find(dispatch: &tracing::Dispatch, id: &Id) -> Option<Arc<Shared>> {
    let registry = dispatch.downcast_ref::<tracing_subscriber::Registry>()?;
    Shared::of(&registry.span(id)?)
}

/// The context of the span of `state`, if it has started.
pub(super) fn started_context(state: &mut State) -> Option<&OtelContext> {
    match state {
        State::Started(span) => span.0.context(),
        _ => None,
    }
}
