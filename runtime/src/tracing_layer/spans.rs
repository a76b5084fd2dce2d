//! The spans of a subscriber that are this layer's, by their ids.
//!
//! Not in the extensions of the registry: these take a lookup in the registry, a lock and a box for each span.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;
use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt as _};
use tracing::Metadata;
use tracing::span::Id;

use super::place::{self, Use};
use super::shared::Shared;
use crate::context::{current, data};
use crate::span::handle::is_off;

/// A span of this layer.
#[derive(Debug)]
pub(super) enum Entry {
    Off(Off),
    On(Arc<Shared>),
}

/// A span below one that is not sampled: only the context of its parent is kept.
#[derive(Debug)]
pub(super) struct Off {
    pub(super) context: Context,
    pub(super) metadata: &'static Metadata<'static>,
    /// Whether its context has been used, so that its parent cannot be replaced.
    pub(super) is_used: bool,
}

type Map = HashMap<u64, Entry, FixedState>;

/// Aligned, so that threads do not write to each other's cache lines.
#[derive(Default)]
#[repr(align(128))]
struct Shard(Mutex<Map>);

pub(super) struct Spans {
    shards: [Shard; SHARDS],
}

const SHARDS: usize = 64;

thread_local! {
    /// Whether this thread holds a shard. An allocator that is traced may be called while one grows.
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

/// A shard that is locked.
struct Held<'a>(MutexGuard<'a, Map>);

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        HOLDS.set(false);
    }
}

fn span_id(context: &Context) -> SpanId {
    context.span().span_context().span_id()
}

impl Spans {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Shard::default()) }
    }

    /// Tells it from that of another layer.
    #[inline]
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// `None` if this thread holds one already.
    #[inline]
    fn hold(&self, id: u64) -> Option<Held<'_>> {
        // Neither the lowest bits of the hash nor the highest, which are the map's.
        let at = usize::try_from(FixedState::default().hash_one(id) >> 32 & (SHARDS as u64 - 1)).unwrap_or_default();
        if HOLDS.replace(true) {
            return None;
        }
        Some(Held(self.shards[at].0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Adds a span that has just been created.
    pub(super) fn insert(&self, id: &Id, entry: Entry) {
        let id = id.into_u64();
        let previous = self.hold(id).and_then(|mut held| held.0.insert(id, entry));
        // A registry whose ids are not unique.
        drop(previous);
    }

    /// The context of a span, which starts now if it has not; and the span, unless only its context is kept.
    #[inline]
    pub(super) fn enter(&self, id: &Id) -> Option<(Context, Option<Arc<Shared>>)> {
        let id = id.into_u64();
        let span = {
            let mut held = self.hold(id)?;
            match held.0.get_mut(&id)? {
                Entry::Off(off) => {
                    off.is_used = true;
                    return Some((off.context.clone(), None));
                }
                Entry::On(span) => Arc::clone(span),
            }
        };
        Some((span.context()?, Some(span)))
    }

    /// The context of a span, which starts now if it has not. `None` if it is not one of this layer's.
    pub(super) fn context(&self, id: &Id) -> Option<Context> {
        self.enter(id).map(|(context, _)| context)
    }

    /// Notes where a span is about to be entered.
    pub(super) fn note_use(&self, id: &Id) {
        let id = id.into_u64();
        let found = self.hold(id).and_then(|held| match held.0.get(&id)? {
            Entry::Off(off) => Some((off.metadata, span_id(&off.context))),
            Entry::On(span) => Some((span.metadata, span.parent)),
        });
        if let Some((metadata, parent)) = found {
            let is_here = current::with(span_id) == parent;
            place::note(metadata, if is_here { Use::Here } else { Use::Elsewhere });
        }
    }

    /// The span, unless only its context is kept.
    pub(super) fn get(&self, id: &Id) -> Option<Arc<Shared>> {
        let id = id.into_u64();
        match self.hold(id)?.0.get(&id)? {
            Entry::On(span) => Some(Arc::clone(span)),
            Entry::Off(_) => None,
        }
    }

    /// Replaces the parent of a span that has not started. Returns whether it was not too late; `None` if the span is
    /// not one of this layer's.
    pub(super) fn set_parent(&self, id: &Id, parent: Context) -> Option<bool> {
        let raw = id.into_u64();
        let found = {
            let held = self.hold(raw)?;
            match held.0.get(&raw)? {
                Entry::On(span) => Ok(Arc::clone(span)),
                Entry::Off(off) if off.is_used => return Some(false),
                Entry::Off(off) => Err((off.context.clone(), off.metadata)),
            }
        };
        let (context, metadata) = match found {
            Ok(span) => {
                place::note(span.metadata, Use::Elsewhere);
                return Some(span.set_parent(parent));
            }
            Err(off) => off,
        };
        place::note(metadata, Use::Elsewhere);
        let parent = data::with_source_of(&context, parent);
        let entry = if is_off(&parent) {
            Entry::Off(Off { context: parent, metadata, is_used: false })
        } else {
            Entry::On(Shared::below(parent, metadata, |_| {}))
        };
        self.insert(id, entry);
        Some(true)
    }

    /// Removes a span that closes.
    #[inline]
    pub(super) fn remove(&self, id: &Id) -> Option<Entry> {
        let id = id.into_u64();
        self.hold(id)?.0.remove(&id)
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").finish_non_exhaustive()
    }
}
