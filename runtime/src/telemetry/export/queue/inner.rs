//! Operations on the queue under its lock. Each is bounded and short.

use bytes::Bytes;

use super::super::stats::State;
use super::arena::NONE;
use super::lists::{Chain, Id};
use super::parts::{Freed, Held, Incoming};
use super::places::Place;
use super::store::{Stage, Store, Trace};
use super::{Inner, MAX_EVICTIONS, MAX_FREED_BYTES, QueueLimits, as_len};
use crate::tracer::encoded::QueuedSpans;

impl Inner {
    pub(super) fn queued(&self) -> usize {
        as_len(self.stats.queued)
    }

    pub(super) fn in_flight(&self) -> usize {
        as_len(self.stats.in_flight)
    }

    pub(super) fn len(&self) -> usize {
        as_len(self.stats.queued + self.stats.in_flight)
    }

    #[cfg(test)]
    pub(super) fn step(&mut self) {
        self.steps += 1;
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "steps are only counted in tests")]
    pub(super) fn step(&self) {}

    /// Returns how many more spans and bytes may be queued.
    pub(super) fn room(&self, limits: QueueLimits) -> QueueLimits {
        QueueLimits {
            spans: limits.spans.saturating_sub(self.len()),
            bytes: limits.bytes.saturating_sub(as_len(self.stats.queued_bytes)),
        }
    }

    pub(super) fn has_room(&self, spans: &Incoming, limits: QueueLimits) -> bool {
        let room = self.room(limits);
        spans.count as usize <= room.spans && spans.bytes.len() <= room.bytes
    }

    /// Queues spans if there is room or room can be made. Returns spans that have to be freed.
    pub(super) fn push(&mut self, spans: Incoming, limits: QueueLimits) -> Option<Incoming> {
        let (id, count) = (Id::from(spans.trace_id), spans.count as usize);
        if self.closed {
            self.stats.finish(count, State::LeftBehind);
            return Some(spans);
        }
        let place = self.store.places.get(id);
        let queued = if let Some(Place::Queued(at)) = place { Some(at) } else { None };
        let has_to_follow = match place {
            None => false,
            Some(Place::Exported(_)) => true,
            Some(Place::Queued(at)) => self.store.traces[at].stage == Stage::Leaving,
            Some(Place::Evicted(_)) => {
                self.stats.finish(count, State::Evicted);
                return Some(spans);
            }
        };
        if self.has_room(&spans, limits) {
            self.add(queued, has_to_follow, spans);
            return None;
        }
        if has_to_follow {
            return self.push_evicting(queued, spans, limits);
        }
        // This trace is the youngest of all, so it is the one to evict.
        self.stats.finish(count, State::Evicted);
        match queued {
            Some(at) => self.evict(at),
            None => self.evict_unqueued(id),
        }
        Some(spans)
    }

    /// Queues spans of a trace that was exported in part. Other traces are evicted to make room; if there are none
    /// left, spans that do not fit are dropped.
    #[cold]
    pub(super) fn push_evicting(
        &mut self,
        queued: Option<u32>,
        spans: Incoming,
        limits: QueueLimits,
    ) -> Option<Incoming> {
        for _ in 0..MAX_EVICTIONS {
            if self.has_room(&spans, limits) || !self.evict_youngest() {
                break;
            }
        }
        let mut room = self.room(limits);
        if self.can_evict() {
            // The spans are larger than what may be evicted at once. Later pushes make up for the excess.
            room.bytes = usize::MAX;
        }
        let count = spans.count as usize;
        if count <= room.spans && spans.bytes.len() <= room.bytes {
            self.add(queued, true, spans);
            return None;
        }
        let fitting = self.store.parts.first(&spans, room.spans, room.bytes);
        self.stats.finish(count - fitting.count as usize, State::Dropped);
        if fitting.count > 0 {
            self.add(queued, true, fitting);
        }
        Some(spans)
    }

    /// Queues spans.
    pub(super) fn add(&mut self, queued: Option<u32>, has_to_follow: bool, spans: Incoming) {
        self.step();
        let (id, count, bytes) = (Id::from(spans.trace_id), spans.count as usize, spans.bytes.len() as u64);
        let has_local_root = spans.has_local_root;
        self.stats.finish(count, State::Queued);
        self.stats.queued_bytes += bytes;
        let at = queued.unwrap_or_else(|| {
            let stage = match (has_to_follow, has_local_root) {
                (true, _) => Stage::Leaving,
                (false, true) => Stage::Ready,
                (false, false) => Stage::Held,
            };
            self.begin(id, stage)
        });
        let Store { traces, parts, .. } = &mut self.store;
        let part = parts.insert(spans);
        let trace = &mut traces[at];
        let part = Chain::of(parts, part);
        trace.parts.append(parts, part);
        trace.bytes += bytes;
        if trace.stage != Stage::Held {
            self.ready_spans += count;
        } else if has_local_root {
            self.release(at);
        }
    }

    pub(super) fn begin(&mut self, id: Id, stage: Stage) -> u32 {
        self.listed += 1;
        let at = self.store.traces.insert(Trace {
            id,
            stage,
            parts: Chain::default(),
            bytes: 0,
            older: NONE,
            younger: NONE,
            since: self.now,
            listed: self.listed,
        });
        self.store.places.insert(id, Place::Queued(at));
        self.store.link(at, stage);
        at
    }

    /// Makes a held trace ready.
    pub(super) fn release(&mut self, at: u32) {
        self.step();
        self.store.unlink(at);
        self.listed += 1;
        self.store.traces[at].listed = self.listed;
        self.ready_spans += self.store.traces[at].parts.spans as usize;
        self.store.link(at, Stage::Ready);
    }

    /// Takes the first part of a ready trace.
    pub(super) fn take_part(&mut self, at: u32) -> QueuedSpans {
        self.step();
        let Store { traces, parts, .. } = &mut self.store;
        let trace = &mut traces[at];
        let first = trace.parts.unlink_first(parts).expect("a trace has parts while it is listed");
        let part = parts.take(first, trace.id.into());
        let (count, bytes) = (part.count as usize, part.bytes.len() as u64);
        trace.bytes -= bytes;
        self.stats.transition(count, State::Queued, State::InFlight);
        self.in_flight_bytes += bytes;
        self.ready_spans -= count;
        if trace.parts.first == NONE {
            let id = trace.id;
            self.store.unlink(at);
            self.store.traces.remove(at);
            self.store.remember(id, false);
        } else if trace.stage == Stage::Ready {
            self.store.unlink(at);
            self.store.traces[at].stage = Stage::Leaving;
            // It was the oldest ready trace, so it is older than all others here.
            let (leaving, traces) = self.store.list(Stage::Leaving);
            leaving.push_oldest(traces, at);
        }
        part
    }

    pub(super) fn can_evict(&self) -> bool {
        self.store.held.youngest != NONE || self.store.ready.youngest != NONE
    }

    /// Evicts the youngest trace of which nothing has been exported: a held one, or else a ready one.
    pub(super) fn evict_youngest(&mut self) -> bool {
        let youngest = match (self.store.held.youngest, self.store.ready.youngest) {
            (NONE, NONE) => return false,
            (NONE, ready) => ready,
            (held, _) => held,
        };
        self.evict(youngest);
        true
    }

    pub(super) fn evict(&mut self, at: u32) {
        self.step();
        self.store.unlink(at);
        let Trace { id, stage, parts, bytes, .. } = self.store.traces.remove(at);
        let spans = parts.spans as usize;
        self.stats.transition(spans, State::Queued, State::Evicted);
        self.stats.queued_bytes -= bytes;
        if stage == Stage::Ready {
            self.ready_spans -= spans;
        }
        let Store { parts: arena, graveyard, .. } = &mut self.store;
        graveyard.append(arena, parts);
        self.evict_unqueued(id);
    }

    pub(super) fn evict_unqueued(&mut self, id: Id) {
        self.stats.traces_evicted += 1;
        self.store.remember(id, true);
    }

    /// Adds refused spans to the graveyard.
    pub(super) fn bury(&mut self, spans: Incoming) {
        // Shared memory is freed with its other parts.
        if let Held::Own(_) = spans.bytes {
            let Store { parts, graveyard, .. } = &mut self.store;
            let part = parts.insert(spans);
            let part = Chain::of(parts, part);
            graveyard.append(parts, part);
        }
    }

    /// Takes at most `parts` parts out of the graveyard, to be freed. Also bounded by their bytes, because compacting
    /// shared memory may move half as many bytes as it frees.
    pub(super) fn exhume(&mut self, parts: usize) -> impl Iterator<Item = Freed> {
        let mut bytes = 0;
        (0..parts).map_while(move |_| {
            if bytes >= MAX_FREED_BYTES {
                return None;
            }
            self.step();
            let Store { parts, graveyard, .. } = &mut self.store;
            let freed = parts.free(graveyard.unlink_first(parts)?);
            bytes += freed.0.as_ref().map_or(0, Bytes::len);
            Some(freed)
        })
    }
}
