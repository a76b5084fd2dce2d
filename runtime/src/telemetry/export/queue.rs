//! The queue of finished spans. It is bounded, and when it is full it evicts whole traces.
//!
//! A batch in flight counts towards the limit until its outcome is known, because it occupies memory. The
//! [`ExportStats`] change under the same lock as the queue, so that they are consistent at any moment.
//!
//! A trace is held until its local root span has ended, and only then is ready for export: until then it can be
//! evicted as a whole. A trace that runs for long becomes ready in parts, see [`Queue::release_old`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::SpanData;

use super::stats::{ExportStats, State};

/// How many traces are remembered as partly exported, and how many as evicted.
const MAX_REMEMBERED: usize = 1 << 16;

#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    /// Spans queued or in flight, to be read without the lock.
    len: AtomicUsize,
    /// Spans ready for export, likewise.
    ready: AtomicUsize,
    /// Counted by the sampler, which must not wait for the lock.
    traces_not_started: AtomicU64,
    limit: usize,
}

#[derive(Debug, Default)]
struct Inner {
    /// Traces without a ready span.
    held: HashMap<TraceId, HeldTrace, TraceHash>,
    /// Those traces, oldest first, and some that are no longer held.
    held_order: VecDeque<TraceId>,
    /// Spans that are ready for export.
    ready: VecDeque<SpanData>,
    /// Traces with spans in `ready` of which no span has been exported.
    unexported: HashSet<TraceId, TraceHash>,
    /// Traces of which spans have been exported: the rest has to follow.
    exported: RecentTraces,
    /// Traces that were evicted: none of their spans may be exported later.
    evicted: RecentTraces,
    /// All counts except for traces that were not started.
    stats: ExportStats,
    /// Nothing will be exported any more.
    closed: bool,
    /// The number of ticks.
    now: u32,
    /// A search has found nothing to evict, which cannot change until spans have left the queue. Without this, every
    /// span of a trace that fills the queue would search the whole queue.
    nothing_to_evict: bool,
}

#[derive(Debug)]
struct HeldTrace {
    spans: Vec<SpanData>,
    since: u32,
}

/// How many spans were ready for export before and after one was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) before: usize,
    pub(super) after: usize,
}

impl Queue {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            inner: Mutex::default(),
            len: AtomicUsize::new(0),
            ready: AtomicUsize::new(0),
            traces_not_started: AtomicU64::new(0),
            limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many spans are queued or in flight.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// How many of them are ready for export.
    pub(super) fn ready(&self) -> usize {
        self.ready.load(Ordering::Relaxed)
    }

    /// The maximum number of spans queued or in flight.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Counts a trace that the sampler has not started because of the load.
    pub(crate) fn count_trace_not_started(&self) {
        self.traces_not_started.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> ExportStats {
        let stats = self.lock().stats;
        ExportStats { traces_not_started: self.traces_not_started.load(Ordering::Relaxed), ..stats }
    }

    /// Adds a span that has ended.
    pub(super) fn push(&self, span: SpanData) -> Ready {
        let mut inner = self.lock();
        let before = inner.ready.len();
        let state = if inner.closed { State::LeftBehind } else { inner.push(span, self.limit) };
        inner.stats.finish(state);
        self.publish(&inner);
        Ready { before, after: inner.ready.len() }
    }

    /// Takes the `count` oldest spans that are ready. They are in flight until they are [settled](Self::settle).
    pub(super) fn take(&self, count: usize) -> Vec<SpanData> {
        let mut inner = self.lock();
        let count = count.min(inner.ready.len());
        let batch: Vec<_> = inner.ready.drain(..count).collect();
        inner.stats.transition(batch.len(), State::Queued, State::InFlight);
        for span in &batch {
            let trace = span.span_context.trace_id();
            inner.unexported.remove(&trace);
            inner.exported.insert(trace);
        }
        self.publish(&inner);
        batch
    }

    /// Records the outcome of spans that were in flight. Once the queue is closed it is too late for that: they are
    /// left behind.
    pub(super) fn settle(&self, exported: u64, refused: u64) {
        let mut inner = self.lock();
        for (spans, state) in [(exported, State::Exported), (refused, State::Refused)] {
            let spans = usize::try_from(spans).unwrap_or(usize::MAX).min(inner.in_flight());
            inner.stats.transition(spans, State::InFlight, state);
        }
        inner.nothing_to_evict = false;
        self.publish(&inner);
    }

    pub(super) fn in_flight(&self) -> usize {
        self.lock().in_flight()
    }

    /// Leaves behind what is queued or in flight, and whatever comes later. Only the first call has an effect, which
    /// it returns.
    pub(super) fn close(&self) -> bool {
        let mut inner = self.lock();
        if std::mem::replace(&mut inner.closed, true) {
            return false;
        }
        let (queued, in_flight) = (inner.queued(), inner.in_flight());
        inner.stats.transition(queued, State::Queued, State::LeftBehind);
        inner.stats.transition(in_flight, State::InFlight, State::LeftBehind);
        let spans = (std::mem::take(&mut inner.held), std::mem::take(&mut inner.ready));
        self.publish(&inner);
        drop(inner);
        // Not under the lock.
        drop(spans);
        true
    }

    /// Makes all spans ready.
    pub(super) fn release_all(&self) {
        let mut inner = self.lock();
        while let Some(oldest) = inner.held_order.pop_front() {
            inner.release(oldest);
        }
        self.publish(&inner);
    }

    /// Counts a tick, and makes traces ready that have been held for `max_ticks` of them; for one, if the queue is
    /// filling up: a trace that is held for long runs for long, and has to be exported some day.
    pub(super) fn release_old(&self, max_ticks: u32) {
        let mut inner = self.lock();
        inner.now = inner.now.wrapping_add(1);
        let max_ticks = if inner.len() >= self.limit / 4 { 1 } else { max_ticks };
        while let Some(&oldest) = inner.held_order.front() {
            let age = inner.held.get(&oldest).map(|held| inner.now.wrapping_sub(held.since));
            // The first of the ticks may have been nearly over when the trace came.
            if age.is_some_and(|age| age <= max_ticks) {
                break;
            }
            inner.held_order.pop_front();
            inner.release(oldest);
        }
        self.publish(&inner);
    }

    fn publish(&self, inner: &Inner) {
        self.len.store(inner.len(), Ordering::Relaxed);
        self.ready.store(inner.ready.len(), Ordering::Relaxed);
    }
}

/// Spans in memory, so there are no more than a `usize` can count.
fn as_len(spans: u64) -> usize {
    usize::try_from(spans).unwrap_or(usize::MAX)
}

impl Inner {
    fn queued(&self) -> usize {
        as_len(self.stats.queued)
    }

    fn in_flight(&self) -> usize {
        as_len(self.stats.in_flight)
    }

    fn len(&self) -> usize {
        as_len(self.stats.queued + self.stats.in_flight)
    }

    /// Queues a span if there is room for it, or room can be made. Returns the resulting state.
    fn push(&mut self, span: SpanData, limit: usize) -> State {
        let trace = span.span_context.trace_id();
        if self.evicted.contains(trace) {
            return State::Evicted;
        }
        if self.len() >= limit {
            if let Err(lost) = self.make_room(trace, limit) {
                return lost;
            }
        }
        if self.exported.contains(trace) || self.unexported.contains(&trace) {
            self.ready.push_back(span);
            return State::Queued;
        }
        let is_local_root = span.parent_span_id == SpanId::INVALID || span.parent_span_is_remote;
        let (order, now) = (&mut self.held_order, self.now);
        let held = self.held.entry(trace).or_insert_with(|| {
            order.push_back(trace);
            HeldTrace { spans: Vec::new(), since: now }
        });
        held.spans.push(span);
        if is_local_root {
            self.release(trace);
        }
        // Most traces are released out of order, and their IDs remain in it.
        if self.held_order.len() > 2 * self.held.len() + 64 {
            self.held_order.retain(|trace| self.held.contains_key(trace));
        }
        State::Queued
    }

    fn release(&mut self, trace: TraceId) {
        if let Some(held) = self.held.remove(&trace) {
            self.ready.extend(held.spans);
            self.unexported.insert(trace);
        }
    }

    /// Evicts the youngest traces of which nothing has been exported, an eighth of the queue at once, so that the
    /// search for them is rare: first those that are held, then those that are ready. An error if there is no room
    /// for a span of `arriving` all the same: what becomes of it.
    #[cold]
    fn make_room(&mut self, arriving: TraceId, limit: usize) -> Result<(), State> {
        let is_exported = self.exported.contains(arriving);
        if self.nothing_to_evict {
            if is_exported {
                return Err(State::Dropped);
            }
            self.evict_held(arriving);
            return Err(State::Evicted);
        }
        let (goal, full) = ((limit / 8).max(1), self.len());
        if !is_exported {
            // It is the youngest.
            self.evict_held(arriving);
        }
        while full - self.len() < goal {
            let Some(youngest) = self.held_order.pop_back() else { break };
            if self.held.contains_key(&youngest) {
                self.evict_held(youngest);
            }
        }
        self.evict_ready((!is_exported).then_some(arriving), goal.saturating_sub(full - self.len()));
        self.nothing_to_evict = self.len() == full;
        match (is_exported, self.nothing_to_evict) {
            (false, _) => Err(State::Evicted),
            (true, true) => Err(State::Dropped),
            (true, false) => Ok(()),
        }
    }

    /// Evicts ready traces of which nothing has been exported: `arriving`, which is counted as evicted already, and
    /// the youngest others until `goal` spans are gone. One pass finds them, another removes them.
    fn evict_ready(&mut self, arriving: Option<TraceId>, goal: usize) {
        let arriving = arriving.filter(|arriving| self.unexported.contains(arriving));
        let mut victims: HashSet<TraceId, TraceHash> = arriving.into_iter().collect();
        let mut found = 0;
        for span in self.ready.iter().rev() {
            let trace = span.span_context.trace_id();
            if victims.contains(&trace) {
                found += 1;
            } else if found < goal && self.unexported.contains(&trace) {
                victims.insert(trace);
                found += 1;
            }
        }
        if victims.is_empty() {
            return;
        }
        self.ready.retain(|span| !victims.contains(&span.span_context.trace_id()));
        self.stats.transition(found, State::Queued, State::Evicted);
        for trace in victims {
            self.unexported.remove(&trace);
            if Some(trace) != arriving {
                self.count_evicted(trace);
            }
        }
    }

    /// Evicts a trace of which nothing has been exported, with the spans that are held of it.
    fn evict_held(&mut self, trace: TraceId) {
        self.count_evicted(trace);
        if let Some(held) = self.held.remove(&trace) {
            self.stats.transition(held.spans.len(), State::Queued, State::Evicted);
        }
    }

    fn count_evicted(&mut self, trace: TraceId) {
        self.evicted.insert(trace);
        self.stats.traces_evicted += 1;
    }
}

/// The last traces of some kind.
#[derive(Debug, Default)]
struct RecentTraces {
    set: HashSet<TraceId, TraceHash>,
    order: VecDeque<TraceId>,
}

impl RecentTraces {
    fn contains(&self, trace: TraceId) -> bool {
        !self.set.is_empty() && self.set.contains(&trace)
    }

    fn insert(&mut self, trace: TraceId) {
        if !self.set.insert(trace) {
            return;
        }
        self.order.push_back(trace);
        if self.order.len() > MAX_REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.set.remove(&oldest);
            }
        }
    }
}

type TraceHash = BuildHasherDefault<TraceHasher>;

/// Trace IDs are random, so their own bits are a sufficient hash. IDs that a caller has chosen to collide make this
/// slower, but not incorrect, and the sets are bounded.
#[derive(Debug, Default)]
struct TraceHasher(u64);

impl Hasher for TraceHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_ne_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u128(&mut self, id: u128) {
        // Uses both halves.
        #[expect(clippy::cast_possible_truncation, reason = "the halves of the id")]
        let (low, high) = (id as u64, (id >> 64) as u64);
        self.write_u64(low);
        self.write_u64(high);
    }

    fn write_usize(&mut self, length: usize) {
        self.write_u64(length as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
