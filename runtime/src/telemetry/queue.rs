//! What waits to be exported. Bounded, and when it is full, whole traces go.
//!
//! What is being exported counts as waiting until it is known what became of it: it is in memory all the
//! same. Every span that comes in is in one of the [`Counts`] at any time, which change under the same lock.
//!
//! A trace is held until the span that began it here has ended, and only then begins to leave: until
//! then it can be evicted as a whole. One that takes its time begins to leave all the same, see
//! [`Queue::tick`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::SpanData;

use super::counts::Counts;

/// How many traces are remembered as begun to leave, and as shed.
const REMEMBERED: usize = 1 << 16;

/// The spans that have ended and have not left.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// The number of spans that are queued or in flight, to be read without the lock.
    waiting: AtomicUsize,
    /// Those of them that may leave.
    ready: AtomicUsize,
    limit: usize,
}

#[derive(Debug, Default)]
struct Inner {
    /// Traces of which nothing may leave yet.
    held: HashMap<TraceId, Held, TraceHash>,
    /// Those traces, oldest first, and some that are not held any more.
    order: VecDeque<TraceId>,
    /// How many spans are held.
    spans_held: usize,
    /// Spans that may leave.
    ready: VecDeque<SpanData>,
    /// Traces with spans in `ready` of which nothing has left.
    whole: HashSet<TraceId, TraceHash>,
    /// Traces of which spans have left: the rest has to follow.
    begun: Recent,
    /// Traces that were evicted: nothing of them may follow.
    shed: Recent,
    /// Spans that have been taken, and nobody has said what became of them.
    in_flight: usize,
    /// Without what is queued and in flight.
    counts: Counts,
    /// Nothing will be taken any more.
    closed: bool,
    /// Moved by `tick`.
    now: u32,
    /// A search has found nothing to evict. So it stays until something has left: without this,
    /// every span of a trace that fills the queue alone would search the whole queue.
    barren: bool,
}

/// The spans of a trace.
#[derive(Debug)]
struct Held {
    spans: Vec<SpanData>,
    since: u32,
}

/// How many spans may leave, before and after one was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) before: usize,
    pub(super) after: usize,
}

impl Queue {
    /// A queue for `limit` spans.
    pub(super) fn new(limit: usize) -> Self {
        Self { inner: Mutex::default(), waiting: AtomicUsize::new(0), ready: AtomicUsize::new(0), limit }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many spans wait: queued or in flight.
    pub(super) fn len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many of them may leave.
    pub(super) fn ready(&self) -> usize {
        self.ready.load(Ordering::Relaxed)
    }

    /// How many spans it holds at most.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Adds a span.
    pub(super) fn push(&self, span: SpanData) -> Ready {
        let mut inner = self.lock();
        let before = inner.ready.len();
        inner.counts.finished += 1;
        if inner.closed {
            inner.counts.left_behind += 1;
        } else {
            inner.push(span, self.limit);
        }
        self.publish(&inner);
        Ready { before, after: inner.ready.len() }
    }

    /// Takes the `count` oldest spans of those that may leave. They are in flight from then on, until they
    /// are [settled](Self::settle).
    pub(super) fn take(&self, count: usize) -> Vec<SpanData> {
        let mut inner = self.lock();
        let count = count.min(inner.ready.len());
        let batch: Vec<_> = inner.ready.drain(..count).collect();
        inner.in_flight += batch.len();
        for span in &batch {
            let trace = span.span_context.trace_id();
            inner.whole.remove(&trace);
            inner.begun.add(trace);
        }
        self.publish(&inner);
        batch
    }

    /// Says what became of spans that were in flight. After the end it is too late for that: they have been
    /// counted as left behind.
    pub(super) fn settle(&self, exported: u64, refused: u64) {
        let mut inner = self.lock();
        let exported = exported.min(inner.in_flight as u64);
        let refused = refused.min(inner.in_flight as u64 - exported);
        inner.in_flight -= usize::try_from(exported + refused).unwrap_or(usize::MAX).min(inner.in_flight);
        inner.counts.exported += exported;
        inner.counts.refused += refused;
        inner.barren = false;
        self.publish(&inner);
    }

    /// How many spans are in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.lock().in_flight
    }

    /// Ends it: what is queued or in flight, and what comes later, is left behind. Gives whether it had not
    /// ended before.
    pub(super) fn close(&self) -> bool {
        let mut inner = self.lock();
        if std::mem::replace(&mut inner.closed, true) {
            return false;
        }
        inner.counts.left_behind += inner.len() as u64;
        inner.in_flight = 0;
        let spans = (std::mem::take(&mut inner.held), std::mem::take(&mut inner.ready));
        inner.spans_held = 0;
        self.publish(&inner);
        drop(inner);
        // Not under the lock.
        drop(spans);
        true
    }

    /// All counts, of one moment.
    pub(super) fn counts(&self) -> Counts {
        let inner = self.lock();
        Counts {
            queued: (inner.spans_held + inner.ready.len()) as u64,
            in_flight: inner.in_flight as u64,
            ..inner.counts
        }
    }

    /// Lets everything leave.
    pub(super) fn release_all(&self) {
        let mut inner = self.lock();
        while let Some(oldest) = inner.order.pop_front() {
            inner.release(oldest);
        }
        self.publish(&inner);
    }

    /// Lets the traces leave that have been held for `patience` ticks; for one, if the queue is
    /// filling up: what is held for long is under way for long, and has to leave some day.
    pub(super) fn tick(&self, patience: u32) {
        let mut inner = self.lock();
        inner.now = inner.now.wrapping_add(1);
        let patience = if inner.len() >= self.limit / 4 { 1 } else { patience };
        while let Some(&oldest) = inner.order.front() {
            let age = inner.held.get(&oldest).map(|held| inner.now.wrapping_sub(held.since));
            // One tick may be shorter than its name says.
            if age.is_some_and(|age| age <= patience) {
                break;
            }
            inner.order.pop_front();
            inner.release(oldest);
        }
        self.publish(&inner);
    }

    fn publish(&self, inner: &Inner) {
        self.waiting.store(inner.len(), Ordering::Relaxed);
        self.ready.store(inner.ready.len(), Ordering::Relaxed);
    }
}

impl Inner {
    fn len(&self) -> usize {
        self.spans_held + self.ready.len() + self.in_flight
    }

    fn push(&mut self, span: SpanData, limit: usize) {
        let trace = span.span_context.trace_id();
        if self.shed.has(trace) {
            self.counts.spans_evicted += 1;
            return;
        }
        if self.len() >= limit && !self.make_room(trace, limit) {
            return;
        }
        if self.begun.has(trace) || self.whole.contains(&trace) {
            self.ready.push_back(span);
            return;
        }
        let has_begun_it = span.parent_span_id == SpanId::INVALID || span.parent_span_is_remote;
        let (order, now) = (&mut self.order, self.now);
        let held = self.held.entry(trace).or_insert_with(|| {
            order.push_back(trace);
            Held { spans: Vec::new(), since: now }
        });
        held.spans.push(span);
        self.spans_held += 1;
        if has_begun_it {
            self.release(trace);
        }
        // Most traces are released out of order, and leave their place behind.
        if self.order.len() > 2 * self.held.len() + 64 {
            self.order.retain(|trace| self.held.contains_key(trace));
        }
    }

    fn release(&mut self, trace: TraceId) {
        if let Some(held) = self.held.remove(&trace) {
            self.spans_held -= held.spans.len();
            self.ready.extend(held.spans);
            self.whole.insert(trace);
        }
    }

    /// Evicts the youngest traces of which nothing has left, an eighth of the queue at once, so
    /// that the search for them is rare: first those that are under way, then those that are over.
    /// Gives whether a span of `arriving` has a place now.
    #[cold]
    fn make_room(&mut self, arriving: TraceId, limit: usize) -> bool {
        if self.barren {
            if self.begun.has(arriving) {
                self.counts.spans_dropped += 1;
            } else {
                self.evict(arriving);
                self.counts.spans_evicted += 1;
            }
            return false;
        }
        let goal = (limit / 8).max(1);
        let full = self.len();
        let mut arriving_is_out = false;
        if !self.begun.has(arriving) {
            // The trace that arrives is the youngest of all.
            self.evict(arriving);
            arriving_is_out = true;
        }
        while full - self.len() < goal {
            let Some(youngest) = self.order.pop_back() else { break };
            if self.held.contains_key(&youngest) {
                self.evict(youngest);
            }
        }
        // Those that are over stand in one row, which is gone through once.
        let mut victims = HashSet::<TraceId, TraceHash>::default();
        if arriving_is_out && self.whole.contains(&arriving) {
            victims.insert(arriving);
        }
        let mut freed = full - self.len();
        for span in self.ready.iter().rev() {
            let trace = span.span_context.trace_id();
            if victims.contains(&trace) {
                freed += 1;
            } else if freed < goal && self.whole.contains(&trace) {
                victims.insert(trace);
                freed += 1;
            }
        }
        if !victims.is_empty() {
            let before = self.ready.len();
            self.ready.retain(|span| !victims.contains(&span.span_context.trace_id()));
            self.counts.spans_evicted += (before - self.ready.len()) as u64;
            for trace in victims {
                self.whole.remove(&trace);
                if trace != arriving {
                    self.evict(trace);
                }
            }
        }
        self.barren = self.len() == full;
        if arriving_is_out {
            self.counts.spans_evicted += 1;
            return false;
        }
        if self.barren {
            self.counts.spans_dropped += 1;
        }
        !self.barren
    }

    /// Evicts a trace of which nothing has left, with the spans that are held.
    fn evict(&mut self, trace: TraceId) {
        self.shed.add(trace);
        self.counts.traces_evicted += 1;
        if let Some(held) = self.held.remove(&trace) {
            self.spans_held -= held.spans.len();
            self.counts.spans_evicted += held.spans.len() as u64;
        }
    }
}

/// The last traces of some kind.
#[derive(Debug, Default)]
struct Recent {
    set: HashSet<TraceId, TraceHash>,
    order: VecDeque<TraceId>,
}

impl Recent {
    fn has(&self, trace: TraceId) -> bool {
        !self.set.is_empty() && self.set.contains(&trace)
    }

    fn add(&mut self, trace: TraceId) {
        if !self.set.insert(trace) {
            return;
        }
        self.order.push_back(trace);
        if self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.set.remove(&oldest);
            }
        }
    }
}

type TraceHash = BuildHasherDefault<TraceHasher>;

/// Trace ids are random, so their own bits do for a hash. One that a caller has chosen with bad
/// intent makes this slower, not wrong: the sets are bounded.
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
        // Both halves count.
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
