//! The spans of a subscriber that are this layer's, by their ids.
//!
//! Not in the extensions of the registry: these take a lookup in the registry, a lock and a box for each span.
//!
//! Nothing of the application's is called while a part of the table is locked, because a thread that has one of the
//! application's locks may need the same part. A span is taken out of the table instead.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use foldhash::fast::FixedState;
use opentelemetry::{Context, time};
use tracing::span::Id;

use super::entry::{Entry, On, Started, State, span_id};
use super::place::{self, Use};
use crate::context::{current, data};
use crate::guard::reentrance::Busy;
use crate::span::unstarted::Unstarted;

/// The spans whose ids lead to the same place. Nearly always there is one at most.
#[derive(Default)]
struct Bucket {
    /// Zero if there is none.
    id: u64,
    first: Option<Entry>,
    more: HashMap<u64, Entry, FixedState>,
}

impl Bucket {
    #[inline]
    fn get(&mut self, id: u64) -> Option<&mut Entry> {
        if self.id == id {
            self.first.as_mut()
        } else if self.more.is_empty() {
            None
        } else {
            self.more.get_mut(&id)
        }
    }

    #[inline]
    fn insert(&mut self, id: u64, entry: Entry) -> Option<Entry> {
        if self.id == 0 || self.id == id {
            self.id = id;
            self.first.replace(entry)
        } else {
            self.more.insert(id, entry)
        }
    }

    #[inline]
    fn remove(&mut self, id: u64) -> Option<Entry> {
        if self.id == id {
            self.id = 0;
            self.first.take()
        } else if self.more.is_empty() {
            None
        } else {
            self.more.remove(&id)
        }
    }
}

/// Aligned, so that threads do not write to each other's cache lines.
#[derive(Default)]
#[repr(align(64))]
struct Locked(Mutex<Bucket>);

pub(super) struct Spans(Box<[Locked]>);

const BITS: u32 = 9;

/// The bits of a registry's id that tell how often its place has been used before: without them, a thread comes back to
/// the same few buckets.
const GENERATION: u32 = 13;

thread_local! {
    /// Whether this thread holds a bucket. An allocator that is traced may be called while one grows.
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

/// A bucket that is locked.
struct Held<'a>(MutexGuard<'a, Bucket>);

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        HOLDS.set(false);
    }
}

/// Puts a span back that was taken, even if what was called in between panics.
struct Taken<'a> {
    spans: &'a Spans,
    id: u64,
    state: State,
}

impl Drop for Taken<'_> {
    #[inline]
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Lost);
        // It stays in the table until it closes.
        if let Some(mut held) = self.spans.hold(self.id) {
            if let Some(entry) = held.0.get(self.id) {
                entry.state = state;
            }
        }
    }
}

impl Spans {
    pub(super) fn new() -> Self {
        Self((0..1 << BITS).map(|_| Locked::default()).collect())
    }

    /// Tells it from that of another layer.
    #[inline]
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// `None` if this thread holds a bucket already.
    #[inline]
    fn hold(&self, id: u64) -> Option<Held<'_>> {
        // By the golden ratio: numbers that follow each other are far apart.
        let hash = (id << GENERATION).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - BITS);
        let bucket = &self.0[usize::try_from(hash).unwrap_or_default()];
        if HOLDS.replace(true) {
            return None;
        }
        Some(Held(bucket.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Adds a span that has just been created.
    #[inline]
    pub(super) fn insert(&self, id: &Id, entry: Entry) {
        let id = id.into_u64();
        let previous = self.hold(id).and_then(|mut held| held.0.insert(id, entry));
        // A registry whose ids are not unique.
        drop(previous);
    }

    /// Calls `look` with the span, once no other thread has taken it. `None` if it is not one of this layer's, or if this
    /// thread has taken it: samplers and span processors are called while a span starts, and may look at that very span.
    #[inline]
    fn look<R>(&self, id: u64, mut look: impl FnMut(&mut Entry) -> Option<R>) -> Option<R> {
        let busy = Busy::begin();
        loop {
            let mut held = self.hold(id)?;
            let entry = held.0.get(id)?;
            if !matches!(entry.state, State::Taken) {
                return look(entry);
            }
            drop(held);
            if busy.is_nested() {
                return None;
            }
            thread::yield_now();
        }
    }

    /// The context of a span, which starts now if it has not, and whether it is recorded. `None` if it is not one of this
    /// layer's.
    #[inline]
    pub(super) fn enter(&self, id: &Id) -> Option<(Context, bool)> {
        enum Found {
            Context(Context, bool),
            Unstarted(Unstarted),
        }
        let id = id.into_u64();
        let found = self.look(id, |entry| match &mut entry.state {
            State::Off { context, is_used } => {
                *is_used = true;
                Some(Found::Context(context.clone(), false))
            }
            State::Started(started) => Some(Found::Context(started.context.clone(), started.recording.is_some())),
            state => state.take_unstarted().map(Found::Unstarted),
        });
        match found? {
            Found::Context(context, is_recorded) => Some((context, is_recorded)),
            Found::Unstarted(span) => Some(self.start(id, span)),
        }
    }

    /// Starts a span that was taken.
    fn start(&self, id: u64, span: Unstarted) -> (Context, bool) {
        let mut taken = Taken { spans: self, id, state: State::Lost };
        let (context, recording) = {
            let _busy = Busy::begin();
            span.start()
        };
        let is_recorded = recording.is_some();
        taken.state = State::Started(Started { context: context.clone(), recording, exited: None });
        (context, is_recorded)
    }

    /// The context of a span, which starts now if it has not. `None` if it is not one of this layer's.
    pub(super) fn context(&self, id: &Id) -> Option<Context> {
        self.enter(id).map(|(context, _)| context)
    }

    /// Notes the time at which a span was exited.
    #[inline]
    pub(super) fn exit(&self, id: &Id) {
        let (id, now) = (id.into_u64(), time::now());
        if let Some(mut held) = self.hold(id) {
            if let Some(Entry { state: State::Started(started), .. }) = held.0.get(id) {
                started.exited = Some(now);
            }
        }
    }

    /// Notes where a span is about to be entered.
    pub(super) fn note_use(&self, id: &Id) {
        let id = id.into_u64();
        let found = self.hold(id).and_then(|mut held| held.0.get(id).map(|entry| (entry.metadata, entry.parent)));
        if let Some((metadata, parent)) = found {
            let is_here = current::with(span_id) == parent;
            place::note(metadata, if is_here { Use::Here } else { Use::Elsewhere });
        }
    }

    /// Calls `change` with the span, unless it has ended or is not recorded.
    pub(super) fn change(&self, id: &Id, change: impl FnOnce(On<'_>)) {
        enum Found {
            Context(Context),
            Unstarted(Unstarted),
        }
        let id = id.into_u64();
        let found = self.look(id, |entry| match &mut entry.state {
            State::Started(started) if started.recording.is_some() => Some(Found::Context(started.context.clone())),
            state => state.take_unstarted().map(Found::Unstarted),
        });
        let _busy = Busy::begin();
        match found {
            Some(Found::Context(context)) => change(On::Started(&context)),
            Some(Found::Unstarted(mut span)) => {
                let mut taken = Taken { spans: self, id, state: State::Lost };
                change(On::Unstarted(&mut span));
                taken.state = State::Unstarted(span);
            }
            None => {}
        }
    }

    /// Replaces the parent of a span that has not started. Returns whether it was not too late; `None` if the span is
    /// not one of this layer's.
    pub(super) fn set_parent(&self, id: &Id, parent: Context) -> Option<bool> {
        let id = id.into_u64();
        let (metadata, before) = self.look(id, |entry| {
            let before = match &mut entry.state {
                State::Off { is_used: true, .. } | State::Started(_) | State::Lost => None,
                state => Some(std::mem::replace(state, State::Taken)),
            };
            Some((entry.metadata, before))
        })?;
        place::note(metadata, Use::Elsewhere);
        let Some(before) = before else { return Some(false) };
        let mut taken = Taken { spans: self, id, state: State::Lost };
        let _busy = Busy::begin();
        taken.state = match before {
            State::Unstarted(mut span) => {
                span.set_parent(parent);
                State::Unstarted(span)
            }
            State::Off { context, .. } => State::below(data::with_source_of(&context, parent), metadata, |_| {}),
            other => other,
        };
        Some(true)
    }

    /// Removes a span that closes.
    #[inline]
    pub(super) fn remove(&self, id: &Id) -> Option<Entry> {
        let id = id.into_u64();
        self.hold(id)?.0.remove(id)
    }
}

impl Drop for Spans {
    /// Ends the spans of a subscriber that is dropped before they are closed.
    fn drop(&mut self) {
        for Locked(bucket) in &mut self.0 {
            let Bucket { first, more, .. } = std::mem::take(bucket.get_mut().unwrap_or_else(PoisonError::into_inner));
            first.into_iter().chain(more.into_values()).filter(Entry::has_started).for_each(Entry::end);
        }
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").finish_non_exhaustive()
    }
}
