//! The span of our own tracer that this thread started last and that has not ended, or its parent: recognized by the
//! address of its span context, without a query.

use std::cell::Cell;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt as _};

/// Identifies a span by the address of the span context that all contexts with this span share, and by the span ID,
/// because the address may be reused for another span. A context that has only a copy of the span context, like that
/// of a detached job, has it at another address, at least while the span itself exists: see [`forget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: usize,
    pub(crate) span_id: SpanId,
}

pub(crate) const NOWHERE: Place = Place { address: 0, span_id: SpanId::INVALID };

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(NOWHERE) };
}

#[inline]
pub(crate) fn get() -> Place {
    PLACE.with(Cell::get)
}

#[inline]
pub(crate) fn set(place: Place) {
    PLACE.with(|known| known.set(place));
}

/// Returns the place of the span of `context`.
#[inline]
pub(crate) fn of(context: &Context) -> Place {
    let span = context.span();
    let identity = span.span_context();
    Place { address: std::ptr::from_ref(identity).addr(), span_id: identity.span_id() }
}

/// Forgets the span if `context`, which has only a copy of a span context, has it at the address of that span: the span
/// itself has been freed.
#[inline]
pub(crate) fn forget(context: &Context) {
    if of(context) == get() {
        set(NOWHERE);
    }
}
