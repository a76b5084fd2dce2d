//! The queued traces, and their order.

use super::arena::{Arena, NONE};
use super::lists::{Chain, Id, List, Recent};
use super::parts::Parts;
use super::places::{Place, Places};

/// The content of the queue, which is freed without the lock.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) places: Places,
    pub(super) traces: Arena<Trace>,
    pub(super) parts: Parts,
    /// Traces whose local root span has not ended, oldest first.
    pub(super) held: List,
    /// Ready traces of which nothing was exported.
    pub(super) ready: List,
    /// Traces that were exported in part, and whose other spans must therefore not be evicted.
    pub(super) leaving: List,
    exported: Recent,
    evicted: Recent,
    /// Evicted parts, to be freed without the lock.
    pub(super) graveyard: Chain,
}

/// A trace with queued spans. Kept to 56 bytes besides its parts.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) id: Id,
    pub(super) bytes: u64,
    /// Determines the order among traces of different lists.
    pub(super) listed: u64,
    pub(super) parts: Chain,
    pub(super) older: u32,
    pub(super) younger: u32,
    /// The tick in which it arrived.
    pub(super) since: u16,
    pub(super) stage: Stage,
}

/// The list that a trace is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Held,
    Ready,
    Leaving,
}

impl Store {
    pub(super) fn list(&mut self, stage: Stage) -> (&mut List, &mut Arena<Trace>) {
        let list = match stage {
            Stage::Held => &mut self.held,
            Stage::Ready => &mut self.ready,
            Stage::Leaving => &mut self.leaving,
        };
        (list, &mut self.traces)
    }

    /// Adds a trace to a list, as the youngest.
    pub(super) fn link(&mut self, at: u32, stage: Stage) {
        self.traces[at].stage = stage;
        let (list, traces) = self.list(stage);
        list.push_youngest(traces, at);
    }

    pub(super) fn unlink(&mut self, at: u32) {
        let (list, traces) = self.list(self.traces[at].stage);
        list.unlink(traces, at);
    }

    /// The trace to export next.
    pub(super) fn oldest_ready(&self) -> Option<u32> {
        match (self.ready.oldest, self.leaving.oldest) {
            (NONE, NONE) => None,
            (NONE, at) | (at, NONE) => Some(at),
            (ready, leaving) if self.traces[ready].listed < self.traces[leaving].listed => Some(ready),
            (_, leaving) => Some(leaving),
        }
    }

    /// The number of spans in the first part of a trace.
    pub(super) fn first_part(&self, at: u32) -> usize {
        self.parts.count(self.traces[at].parts.first)
    }

    pub(super) fn remember(&mut self, id: Id, is_evicted: bool) {
        let recent = if is_evicted { &mut self.evicted } else { &mut self.exported };
        let (at, forgotten) = recent.insert(id);
        let place = if is_evicted { Place::Evicted(at) } else { Place::Exported(at) };
        // The forgotten trace may have been queued again since, or be remembered at another position.
        if let Some(forgotten) = forgotten.filter(|forgotten| self.places.get(*forgotten) == Some(place)) {
            self.places.remove(forgotten);
        }
        self.places.insert(id, place);
    }
}
