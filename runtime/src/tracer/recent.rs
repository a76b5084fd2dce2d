//! A thread-local cache of what children inherit from the span that our own tracer started last on this thread, or from
//! the parent of that span: most new spans are children of one of the two.
//!
//! What children inherit from a span never changes, so entries are never stale. A hit saves the query of
//! [`local`](crate::context::local), which locks the span.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use opentelemetry::Context;
use opentelemetry::trace::SpanId;

use super::buffer::TraceBuffer;
use crate::context::place::{self, NOWHERE, Place, get, set};
use crate::encoding::Role;
use crate::tags::draft::Draft;
use crate::tags::scoped::EncodedTags;

/// What children inherit from the cached span.
#[derive(Debug)]
struct Passed {
    /// Weak, because a buffer keeps its provider alive.
    buffer: Weak<TraceBuffer>,
    tags: Option<EncodedTags>,
}

thread_local! {
    static PASSED: RefCell<Passed> = const { RefCell::new(Passed { buffer: Weak::new(), tags: None }) };
}

/// On a cache hit, copies the tags that a child of the span of `context` inherits to `draft`, and sets `draft.recent`,
/// which permits the call of [`buffer`].
#[inline]
pub(super) fn inherit(draft: &mut Draft, context: &Context) -> bool {
    let above = place::of(context);
    draft.above_at = above.address;
    if above != get() {
        return false;
    }
    let is_cached = PASSED.try_with(|passed| {
        let Ok(passed) = passed.try_borrow() else { return false };
        if passed.tags.is_some() {
            draft.tags.clone_from(&passed.tags);
        }
        true
    });
    draft.recent = (is_cached == Ok(true)).then_some(above.span_id);
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

/// Caches what children of a span inherit, before the span is created. The entry is invalid until [`started`].
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

/// Validates the entry: the span was created, and is that of `context`.
#[inline]
pub(super) fn started(context: &Context) {
    set(place::of(context));
}

/// Called when a span ends. If it is the cached one, the entry now stands for its parent, provided that children
/// inherit the same from both.
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
        let mut draft = tracer.draft(parent, Data::of(parent)).expect("the sampler does not read attributes");
        draft.describe(&Cow::Borrowed("span"), &SpanKind::Internal);
        draft.inherit();
        tracer.start(draft, parent)
    }

    fn is_cached(context: &Context) -> bool {
        get() == place::of(context)
    }

    #[test]
    fn the_innermost_open_span_is_cached() {
        let (_provider, tracer) = tracer();
        let root = begin(&tracer, &Context::new());
        assert!(is_cached(&root));
        let child = begin(&tracer, &root);
        let grandchild = begin(&tracer, &child);
        assert!(is_cached(&grandchild));
        grandchild.span().end();
        assert!(is_cached(&child));
        let sibling = begin(&tracer, &child);
        sibling.span().end();
        child.span().end();
        assert!(is_cached(&root));
        root.span().end();
        assert_eq!(get(), NOWHERE);
    }

    #[test]
    fn spans_that_end_out_of_order_are_never_mistaken_for_others() {
        let (_provider, tracer) = tracer();
        let root = begin(&tracer, &Context::new());
        let (first, second) = (begin(&tracer, &root), begin(&tracer, &root));
        first.span().end();
        assert!(is_cached(&second));
        root.span().end();
        second.span().end();
        assert!(is_cached(&root), "children inherit the same after its end");
        let other = begin(&tracer, &Context::new());
        let mut draft = Draft::unlimited();
        assert!(!inherit(&mut draft, &root) && draft.recent.is_none());
        assert!(inherit(&mut draft, &other) && draft.recent.is_some());
        draft.recycle();
        other.span().end();
    }

    #[test]
    fn a_draft_stays_in_its_trace_if_another_span_starts_meanwhile() {
        let (_provider, tracer) = tracer();
        let root = begin(&tracer, &Context::new());
        let mut draft = tracer.draft(&root, None).expect("the sampler does not read attributes");
        assert!(draft.recent.is_some());
        let other = begin(&tracer, &Context::new());
        draft.inherit();
        let child = tracer.start(draft, &root);
        let buffer = |context: &Context| local::above(context).expect("a span of our own tracer").buffer;
        assert!(Arc::ptr_eq(&buffer(&child), &buffer(&root)));
        assert!(!Arc::ptr_eq(&buffer(&child), &buffer(&other)));
        for context in [child, other, root] {
            context.span().end();
        }
    }

    #[test]
    fn a_copied_span_context_misses_the_cache() {
        let (_provider, tracer) = tracer();
        let root = begin(&tracer, &Context::new());
        let ids = Context::new().with_remote_span_context(root.span().span_context().clone());
        let mut draft = Draft::unlimited();
        assert!(!inherit(&mut draft, &ids), "a detached job has its own buffer");
        draft.recycle();
        root.span().end();
    }

    #[test]
    fn the_parent_of_a_local_root_is_not_cached() {
        let (_provider, tracer) = tracer();
        let ids = SpanContext::new(7.into(), 8.into(), TraceFlags::SAMPLED, true, TraceState::NONE);
        let caller = Context::new().with_remote_span_context(ids);
        let first = begin(&tracer, &caller);
        first.span().end();
        assert!(!is_cached(&caller), "another local root begins its own buffer");
    }

    #[test]
    fn a_copied_span_context_at_a_reused_address_misses_the_cache() {
        let (_provider, tracer) = tracer();
        let root = begin(&tracer, &Context::new());
        // Keeps the buffer alive.
        let _open = begin(&tracer, &root);
        let child = begin(&tracer, &root);
        let snapshot = Snapshot::from_context(&root);
        root.span().end();
        child.span().end();
        assert!(is_cached(&root), "still cached after its end");
        drop((child, root));
        let ids: Vec<_> = (0..1_000).map(|_| snapshot.to_context()).collect();
        let is_hit = |ids| {
            let mut draft = Draft::unlimited();
            let is_hit = inherit(&mut draft, ids);
            draft.recycle();
            is_hit
        };
        assert!(!ids.iter().any(is_hit));
    }

    #[test]
    fn the_cache_does_not_keep_a_provider_alive() {
        let (provider, tracer) = tracer();
        let shared = Arc::downgrade(provider.shared());
        thread::scope(|scope| {
            scope.spawn(|| {
                // Ended on another thread, so that it stays cached on this one.
                let root = begin(&tracer, &Context::new());
                scope.spawn(move || root.span().end()).join().expect("no thread panics");
                drop((provider, tracer));
                assert!(shared.upgrade().is_none());
            });
        });
    }

    #[test]
    fn children_are_not_recorded_if_telemetry_is_suppressed_or_shut_down() {
        let (provider, tracer) = tracer();
        let root = begin(&tracer, &Context::new());
        let is_recorded = |parent: &Context| begin(&tracer, parent).span().is_recording();
        assert!(is_recorded(&root) && !is_recorded(&root.with_telemetry_suppressed()));
        provider.shutdown().expect("the first shutdown succeeds");
        assert!(!is_recorded(&root) && !is_recorded(&Context::new()));
    }
}
