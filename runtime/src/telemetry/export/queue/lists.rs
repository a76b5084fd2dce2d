//! Linked lists of parts and of traces, in arenas.

use std::hash::{Hash, Hasher};

use opentelemetry::trace::TraceId;

use super::arena::{Arena, NONE};
use super::parts::Parts;
use super::{MAX_REMEMBERED, Trace};

/// A trace ID with an alignment of four bytes: the 16 bytes of a `u128` would add padding to every type that contains
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id([u32; 4]);

impl Hash for Id {
    /// Hashes the ID as one integer, not as a slice.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.number());
    }
}

impl Id {
    fn number(self) -> u128 {
        self.0.into_iter().fold(0, |id, quarter| id << 32 | u128::from(quarter))
    }
}

impl From<TraceId> for Id {
    fn from(id: TraceId) -> Self {
        let id = u128::from_be_bytes(id.to_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "splits the ID into four quarters")]
        Self([96, 64, 32, 0].map(|shift| (id >> shift) as u32))
    }
}

impl From<Id> for TraceId {
    fn from(id: Id) -> Self {
        id.number().into()
    }
}

/// A list of parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) spans: u32,
}

impl Default for Chain {
    fn default() -> Self {
        Self { first: NONE, last: NONE, spans: 0 }
    }
}

impl Chain {
    pub(super) fn of(parts: &Parts, part: u32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a part stores its count as `u32`")]
        Self { first: part, last: part, spans: parts.count(part) as u32 }
    }

    pub(super) fn append(&mut self, parts: &mut Parts, other: Self) {
        if other.first == NONE {
            return;
        }
        if self.first == NONE {
            self.first = other.first;
        } else {
            parts.append(self.last, other.first);
        }
        self.last = other.last;
        self.spans += other.spans;
    }

    /// Unlinks the first part, which the caller removes.
    pub(super) fn unlink_first(&mut self, parts: &Parts) -> Option<u32> {
        let first = self.first;
        if first == NONE {
            return None;
        }
        self.first = parts.next(first);
        self.spans -= Self::of(parts, first).spans;
        Some(first)
    }
}

/// A list of traces.
#[derive(Debug)]
pub(super) struct List {
    pub(super) oldest: u32,
    pub(super) youngest: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { oldest: NONE, youngest: NONE }
    }
}

impl List {
    pub(super) fn push_youngest(&mut self, traces: &mut Arena<Trace>, at: u32) {
        (traces[at].older, traces[at].younger) = (self.youngest, NONE);
        match self.youngest {
            NONE => self.oldest = at,
            youngest => traces[youngest].younger = at,
        }
        self.youngest = at;
    }

    pub(super) fn push_oldest(&mut self, traces: &mut Arena<Trace>, at: u32) {
        (traces[at].older, traces[at].younger) = (NONE, self.oldest);
        match self.oldest {
            NONE => self.youngest = at,
            oldest => traces[oldest].older = at,
        }
        self.oldest = at;
    }

    pub(super) fn unlink(&mut self, traces: &mut Arena<Trace>, at: u32) {
        let (older, younger) = (traces[at].older, traces[at].younger);
        match older {
            NONE => self.oldest = younger,
            older => traces[older].younger = younger,
        }
        match younger {
            NONE => self.youngest = older,
            younger => traces[younger].older = older,
        }
    }
}

/// A ring buffer of the most recent traces that were exported, or that were evicted.
#[derive(Debug, Default)]
pub(super) struct Recent {
    ids: Vec<Id>,
    next: usize,
}

impl Recent {
    /// Adds an ID. Returns its position, and the oldest ID if that was overwritten.
    pub(super) fn insert(&mut self, id: Id) -> (u32, Option<Id>) {
        if self.ids.capacity() == 0 {
            // Allocated at full capacity, so that the lock is never held while entries are moved.
            self.ids.reserve_exact(MAX_REMEMBERED);
        }
        let at = self.next;
        self.next = (at + 1) % MAX_REMEMBERED;
        let forgotten = self.ids.get_mut(at).map(|oldest| std::mem::replace(oldest, id));
        if forgotten.is_none() {
            self.ids.push(id);
        }
        #[expect(clippy::cast_possible_truncation, reason = "below `MAX_REMEMBERED`")]
        (at as u32, forgotten)
    }
}
