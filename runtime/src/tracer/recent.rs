//! The span of ours that this thread started last, or the one above that: most spans that start are below it.
//!
//! What a span passes on never changes. As long as it is known here, the span need not be asked for it, for which it has to
//! be locked; see [`local`](crate::context::local).

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Weak};

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt as _};

use super::buffer::TraceBuffer;
use crate::context::local::Inherited;
use crate::encoding::Role;
use crate::tags::draft::Draft;
use crate::tags::scoped::EncodedTags;

/// A span: where the contexts keep it that share it, and its id, because another one may be kept there later. A context
/// that has no more than the ids of the span, as that of a detached job, keeps these elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    address: usize,
    span_id: SpanId,
}

/// What the span passes on.
#[derive(Debug)]
struct Passed {
    /// Weak, because a buffer keeps its provider.
    buffer: Weak<TraceBuffer>,
    tags: Option<EncodedTags>,
}

const NOWHERE: Place = Place { address: 0, span_id: SpanId::INVALID };

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(NOWHERE) };
    static PASSED: RefCell<Passed> = const { RefCell::new(Passed { buffer: Weak::new(), tags: None }) };
}

#[inline]
fn get() -> Place {
    PLACE.with(Cell::get)
}

#[inline]
fn set(place: Place) {
    PLACE.with(|known| known.set(place));
}

#[inline]
fn place(context: &Context) -> Place {
    let span = context.span();
    let identity = span.span_context();
    Place { address: std::ptr::from_ref(identity).addr(), span_id: identity.span_id() }
}

/// Writes what the span of `context` passes on to `draft`, if it is known.
#[inline]
pub(super) fn inherit(draft: &mut Draft, context: &Context) -> bool {
    let above = place(context);
    draft.above_at = above.address;
    above == get() && pass_on(draft, above.span_id)
}

#[inline]
fn pass_on(draft: &mut Draft, span_id: SpanId) -> bool {
    let passed = PASSED.try_with(|passed| {
        let passed = passed.try_borrow().ok()?;
        let buffer: Arc<TraceBuffer> = passed.buffer.upgrade()?;
        draft.above = Some(Inherited { span_id, buffer });
        if passed.tags.is_some() {
            draft.tags.clone_from(&passed.tags);
        }
        Some(())
    });
    matches!(passed, Ok(Some(())))
}

/// A span is about to be made that passes these on.
#[inline]
pub(super) fn starting(buffer: &Arc<TraceBuffer>, tags: Option<&EncodedTags>) {
    set(NOWHERE);
    let _ = PASSED.try_with(|passed| {
        let Ok(mut passed) = passed.try_borrow_mut() else { return };
        if passed.buffer.as_ptr() != Arc::as_ptr(buffer) {
            passed.buffer = Arc::downgrade(buffer);
        }
        let is_same = match (&passed.tags, tags) {
            (None, None) => true,
            (Some(known), Some(tags)) => known.is(tags),
            _ => false,
        };
        if !is_same {
            passed.tags = tags.cloned();
        }
    });
}

/// The span has been made, and is that of `context`.
#[inline]
pub(super) fn started(context: &Context) {
    set(place(context));
}

/// A span ends. If it is the one that is known, the one above it is from now on.
#[inline]
pub(super) fn ended(draft: &Draft, span_id: SpanId) {
    if get().span_id == span_id {
        let passes_on_the_same = draft.role == Role::Below && !draft.changes_tags;
        let above = Place { address: draft.above_at, span_id: draft.parent };
        set(if passes_on_the_same { above } else { NOWHERE });
    }
}
