//! Where contexts keep the span of ours that this thread started last, or the one above that.

use std::cell::Cell;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt as _};

/// A span: where the contexts keep it that share it, and its ID, because another one may be kept there later. A context
/// that has no more than the IDs of the span, as that of a detached job, keeps these elsewhere, as long as the span is
/// there: see [`forget`].
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

/// The place of the span of `context`.
#[inline]
pub(crate) fn of(context: &Context) -> Place {
    let span = context.span();
    let identity = span.span_context();
    Place { address: std::ptr::from_ref(identity).addr(), span_id: identity.span_id() }
}

/// Forgets the span if `context`, which was made of its IDs, keeps these where the span was, which is gone then.
#[inline]
pub(crate) fn forget(context: &Context) {
    if of(context) == get() {
        set(NOWHERE);
    }
}
