//! Caches what children inherit from the span of our own tracer that this thread started last, or from its parent: most
//! spans that start are children of one of the two.
//!
//! What a span passes to its children never changes. The cache saves the query of [`local`](crate::context::local),
//! which locks the span.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use opentelemetry::Context;
use opentelemetry::trace::SpanId;

use super::buffer::TraceBuffer;
use crate::context::place::{self, NOWHERE, Place, get, set};
use crate::encoding::Role;
use crate::tags::draft::Draft;
use crate::tags::scoped::EncodedTags;

/// What children inherit from the span.
#[derive(Debug)]
struct Passed {
    /// Weak, because a buffer keeps its provider.
    buffer: Weak<TraceBuffer>,
    tags: Option<EncodedTags>,
}

thread_local! {
    static PASSED: RefCell<Passed> = const { RefCell::new(Passed { buffer: Weak::new(), tags: None }) };
}

/// Writes what a child of the span of `context` inherits to `draft`, if it is cached: the tags, and that [`buffer`] may
/// be called for the buffer.
#[inline]
pub(super) fn inherit(draft: &mut Draft, context: &Context) -> bool {
    let above = place::of(context);
    draft.above_at = above.address;
    if above != get() {
        return false;
    }
    let is_known = PASSED.try_with(|passed| {
        let Ok(passed) = passed.try_borrow() else { return false };
        if passed.tags.is_some() {
            draft.tags.clone_from(&passed.tags);
        }
        true
    });
    draft.recent = (is_known == Ok(true)).then_some(above.span_id);
    draft.recent.is_some()
}

/// Returns the buffer of the span of `context`, if it is still cached.
#[inline]
pub(super) fn buffer(context: &Context) -> Option<Arc<TraceBuffer>> {
    if place::of(context) != get() {
        return None;
    }
    PASSED.try_with(|passed| passed.try_borrow().ok()?.buffer.upgrade()).ok().flatten()
}

/// Called before a span is created whose children inherit these.
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

/// Called when the span has been created. It is that of `context`.
#[inline]
pub(super) fn started(context: &Context) {
    set(place::of(context));
}

/// Called when a span ends. If it is the cached one, its parent takes its place, provided that children of both inherit
/// the same.
#[inline]
pub(super) fn ended(draft: &Draft, span_id: SpanId) {
    if get().span_id == span_id {
        let passes_on_the_same = draft.role == Role::Below && !draft.changes_tags;
        let above = Place { address: draft.above_at, span_id: draft.parent };
        set(if passes_on_the_same { above } else { NOWHERE });
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::thread;

    use opentelemetry::trace::{
        SpanContext, SpanKind, TraceContextExt as _, TraceFlags, TraceState, TracerProvider as _,
    };

    use super::*;
    use crate::context::data::Data;
    use crate::context::encoder::Encoder as _;
    use crate::context::local;
    use crate::context::snapshot::Snapshot;
    use crate::tracer::{Tracer, TracerProvider};

    fn tracer() -> (TracerProvider, Tracer) {
        let provider = TracerProvider::builder().build();
        let tracer = provider.tracer("tests");
        (provider, tracer)
    }

    fn begin(tracer: &Tracer, parent: &Context) -> Context {
        let mut draft = tracer.draft(parent, Data::of(parent)).expect("it need not see attributes");
        draft.describe(&Cow::Borrowed("span"), &SpanKind::Internal);
        draft.inherit();
        tracer.start(draft, parent)
    }

    fn is_known(context: &Context) -> bool {
        get() == place::of(context)
    }

    #[test]
    fn it_is_the_innermost_span_that_is_open() {
        let (_provider, tracer) = tracer();
        let root = begin(&tracer, &Context::new());
        assert!(is_known(&root));
        let child = begin(&tracer, &root);
        let grandchild = begin(&tracer, &child);
        assert!(is_known(&grandchild));
        grandchild.span().end();
        assert!(is_known(&child));
        let sibling = begin(&tracer, &child);
        sibling.span().end();
        child.span().end();
        assert!(is_known(&root));
        root.span().end();
        assert_eq!(get(), NOWHERE);
    }

    #[test]
    fn spans_that_end_out_of_order_are_never_taken_for_others() {
        let (_provider, tracer) = tracer();
        let root = begin(&tracer, &Context::new());
        let (first, second) = (begin(&tracer, &root), begin(&tracer, &root));
        first.span().end();
        assert!(is_known(&second));
        root.span().end();
        second.span().end();
        assert!(is_known(&root), "what it passes on is the same after its end");
        let other = begin(&tracer, &Context::new());
        let mut draft = Draft::unlimited();
        assert!(!inherit(&mut draft, &root) && draft.recent.is_none());
        assert!(inherit(&mut draft, &other) && draft.recent.is_some());
        draft.recycle();
        other.span().end();
    }

    #[test]
    fn a_span_that_starts_while_another_is_described_does_not_part_it_from_its_trace() {
        let (_provider, tracer) = tracer();
        let root = begin(&tracer, &Context::new());
        let mut draft = tracer.draft(&root, None).expect("it need not see attributes");
        assert!(draft.recent.is_some());
        let other = begin(&tracer, &Context::new());
        draft.inherit();
        let child = tracer.start(draft, &root);
        let buffer = |context: &Context| local::above(context).expect("it is a span of ours").buffer;
        assert!(Arc::ptr_eq(&buffer(&child), &buffer(&root)));
        assert!(!Arc::ptr_eq(&buffer(&child), &buffer(&other)));
        for context in [child, other, root] {
            context.span().end();
        }
    }

    #[test]
    fn the_ids_of_a_span_alone_are_not_the_span() {
        let (_provider, tracer) = tracer();
        let root = begin(&tracer, &Context::new());
        let ids = Context::new().with_remote_span_context(root.span().span_context().clone());
        let mut draft = Draft::unlimited();
        assert!(!inherit(&mut draft, &ids), "a job below these has a buffer of its own");
        draft.recycle();
        root.span().end();
    }

    #[test]
    fn what_is_above_a_span_that_began_a_buffer_is_not_known() {
        let (_provider, tracer) = tracer();
        let ids = SpanContext::new(7.into(), 8.into(), TraceFlags::SAMPLED, true, TraceState::NONE);
        let caller = Context::new().with_remote_span_context(ids);
        let first = begin(&tracer, &caller);
        first.span().end();
        assert!(!is_known(&caller), "another one below it begins a buffer of its own");
    }

    #[test]
    fn ids_that_are_kept_where_the_span_was_are_not_the_span() {
        let (_provider, tracer) = tracer();
        let root = begin(&tracer, &Context::new());
        // It keeps the buffer.
        let _open = begin(&tracer, &root);
        let child = begin(&tracer, &root);
        let snapshot = Snapshot::from_context(&root);
        root.span().end();
        child.span().end();
        assert!(is_known(&root), "it is known after its end");
        drop((child, root));
        let ids: Vec<_> = (0..1_000).map(|_| snapshot.to_context()).collect();
        let is_taken_for_root = |ids| {
            let mut draft = Draft::unlimited();
            let is_taken = inherit(&mut draft, ids);
            draft.recycle();
            is_taken
        };
        assert!(!ids.iter().any(is_taken_for_root));
    }

    #[test]
    fn a_provider_is_not_kept_by_threads_that_had_its_spans() {
        let (provider, tracer) = tracer();
        let shared = Arc::downgrade(provider.shared());
        thread::scope(|scope| {
            scope.spawn(|| {
                // It ends on another thread than the one that knows it.
                let root = begin(&tracer, &Context::new());
                scope.spawn(move || root.span().end()).join().expect("no thread panics");
                drop((provider, tracer));
                assert!(shared.upgrade().is_none());
            });
        });
    }

    #[test]
    fn below_a_span_none_is_recorded_where_telemetry_is_suppressed_or_after_a_shutdown() {
        let (provider, tracer) = tracer();
        let root = begin(&tracer, &Context::new());
        let is_recorded = |parent: &Context| begin(&tracer, parent).span().is_recording();
        assert!(is_recorded(&root) && !is_recorded(&root.with_telemetry_suppressed()));
        provider.shutdown().expect("nothing stands in its way");
        assert!(!is_recorded(&root) && !is_recorded(&Context::new()));
    }
}
