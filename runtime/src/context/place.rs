//! The most recently started span of our own tracer on this thread that has not ended, or its parent. It is recognized
//! by the address of its span context, without a query.

use std::cell::Cell;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt as _};

/// Identifies a span by the address of its span context, which all contexts with this span share, and by its span ID,
/// because the address may be reused for another span. A context with only a copy of the span context, such as that of
/// a detached job, has it at a different address, as long as the span itself is alive: see [`forget`].
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
    PLACE.get()
}

#[inline]
pub(crate) fn set(place: Place) {
    PLACE.set(place);
}

/// Returns the place of the span of `context`.
#[inline]
pub(crate) fn of(context: &Context) -> Place {
    let span = context.span();
    let identity = span.span_context();
    Place { address: std::ptr::from_ref(identity).addr(), span_id: identity.span_id() }
}

/// Forgets the span if `context`, which has only a copy of its span context, has that at the same address: the span
/// itself has been freed, and its address reused.
#[inline]
pub(crate) fn forget(context: &Context) {
    if of(context) == get() {
        set(NOWHERE);
    }
}
