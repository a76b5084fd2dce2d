//! The spans of a subscriber that this layer records, by their IDs.
//!
//! They are not stored in the extensions of the registry, which would cost a registry lookup, a lock and a box per
//! span.
//!
//! No application code is called while a bucket of the table is locked, because a thread that holds one of the
//! application's locks may need the same bucket. The span is taken out of the table instead.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use tracing::span::Id;

use super::entry::{Entry, On, Started, State, span_id};
use super::place::{self, Use};
use crate::context::{current, data};
use crate::guard::reentrance::Busy;
use crate::span::unstarted::{Recording, Unstarted};
use crate::table::Table;

pub(super) struct Spans(Table<Entry>);

const BITS: u32 = 9;

/// The number of bits of a registry's ID that are the generation of its slot. They are ignored, so that a thread reuses
/// the same few buckets.
const GENERATION: u32 = 13;

/// How long a thread waits for a span that another thread has taken. Bounded, because the code that the other thread
/// calls may wait for a lock that this one holds.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// How long it only yields. Most spans are put back sooner.
const MAX_YIELDING: Duration = Duration::from_millis(1);

/// Puts a span back into the table when dropped, even during a panic of the code called in between.
struct Taken<'a> {
    spans: &'a Spans,
    id: u64,
    state: State,
}

impl Drop for Taken<'_> {
    #[inline]
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Lost);
        // The entry is in the table until the span closes.
        if let Some(mut held) = self.spans.0.hold(self.id) {
            if let Some(entry) = held.get() {
                entry.state = state;
            }
        }
    }
}

impl Spans {
    pub(super) fn new() -> Self {
        Self(Table::new(BITS, GENERATION))
    }

    /// Identifies the layer to [`stack`](super::stack).
    #[inline]
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Adds a span that has just been created.
    #[inline]
    pub(super) fn insert(&self, id: &Id, entry: Entry) {
        let id = id.into_u64();
        let previous = self.0.hold(id).and_then(|mut held| held.insert(entry));
        // There is one only in a registry whose IDs are not unique.
        drop(previous);
    }

    /// Calls `f` with the span, once no other thread has taken it. Returns `None` if the layer does not have the span,
    /// if this thread may have taken it, because samplers and span processors are called while a span starts, and may
    /// access it, or if another thread has taken it for longer than [`MAX_WAIT`].
    #[inline]
    fn with_entry<R>(&self, id: u64, mut f: impl FnMut(&mut Entry) -> Option<R>) -> Option<R> {
        let busy = Busy::begin();
        let mut since = None;
        loop {
            let mut held = self.0.hold(id)?;
            let entry = held.get()?;
            if !matches!(entry.state, State::Taken) {
                return f(entry);
            }
            drop(held);
            if busy.is_nested() || !wait(&mut since) {
                return None;
            }
        }
    }

    /// Starts the span if it has not started. Returns its context and whether it is recorded, or `None` if the layer
    /// does not have the span.
    #[inline]
    pub(super) fn enter(&self, id: &Id) -> Option<(Context, bool)> {
        enum Found {
            Context(Context, bool),
            Unstarted(Unstarted),
        }
        let id = id.into_u64();
        let found = self.with_entry(id, |entry| match &mut entry.state {
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

    /// Starts the span if it has not started. Returns its context, or `None` if the layer does not have the span.
    pub(super) fn context(&self, id: &Id) -> Option<Context> {
        self.enter(id).map(|(context, _)| context)
    }

    /// Records the time at which a span was exited.
    #[inline]
    pub(super) fn exit(&self, id: &Id) {
        if let Some(mut held) = self.0.hold(id.into_u64()) {
            if let Some(Entry { state: State::Started(started), .. }) = held.get() {
                started.exited = started.recording.as_ref().map(Recording::now);
            }
        }
    }

    /// Records whether a span is about to be entered where its parent is current.
    pub(super) fn note_use(&self, id: &Id) {
        let id = id.into_u64();
        let found = self.0.hold(id).and_then(|mut held| held.get().map(|entry| (entry.metadata, entry.parent)));
        if let Some((metadata, parent)) = found {
            let is_here = current::with(span_id) == parent;
            place::note(metadata, if is_here { Use::Here } else { Use::Elsewhere });
        }
    }

    /// Calls `change` with the span, unless it has closed or is not recorded.
    pub(super) fn change(&self, id: &Id, change: impl FnOnce(On<'_>)) {
        enum Found {
            Context(Context),
            Unstarted(Unstarted),
        }
        let id = id.into_u64();
        let found = self.with_entry(id, |entry| match &mut entry.state {
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

    /// Replaces the parent of a span. Returns `false` if the span has already started, and `None` if the layer does not
    /// have the span.
    pub(super) fn set_parent(&self, id: &Id, parent: Context) -> Option<bool> {
        let id = id.into_u64();
        let (metadata, before) = self.with_entry(id, |entry| {
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
        self.0.hold(id)?.remove()
    }
}

/// Waits a little. Returns `false` after [`MAX_WAIT`].
#[cold]
fn wait(since: &mut Option<Instant>) -> bool {
    let waited = since.get_or_insert_with(Instant::now).elapsed();
    if waited >= MAX_WAIT {
        return false;
    }
    if waited < MAX_YIELDING {
        thread::yield_now();
    } else {
        thread::sleep(MAX_YIELDING);
    }
    true
}

impl Drop for Spans {
    /// Ends the spans of a subscriber that is dropped before they are closed.
    fn drop(&mut self) {
        self.0.drain().filter(Entry::has_started).for_each(Entry::end);
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").finish_non_exhaustive()
    }
}
