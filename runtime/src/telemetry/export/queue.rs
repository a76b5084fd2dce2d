//! The queue of finished spans. It is bounded, and when it is full it evicts whole traces.
//!
//! A batch in flight counts towards the limits until its outcome is known, because it occupies memory. The
//! [`ExportStats`] change under the same lock as the queue, so that they are consistent at any moment.
//!
//! Spans arrive as the tracer hands them over, usually a whole trace at once. A trace is held until its local root span
//! has ended, and only then is ready for export: until then it can be evicted as a whole. A trace that runs for long
//! becomes ready in parts, see [`Queue::release_old`].
//!
//! Whoever ends a span takes the lock, so nothing that happens under it takes long, however much is queued: traces are
//! in linked lists, evicting one moves its spans to the graveyard, whatever their number, and what has to be done for
//! many of them is done in steps, between which the lock is released. Usually nobody takes it but the export thread: while
//! there is room for twice as many spans as there are, they are left in an inbox.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use bytes::Bytes;
use opentelemetry::trace::TraceId;

use self::arena::{Arena, NONE};
use self::inbox::{Chunk, Inbox};
use self::places::Places;
use super::stats::{ExportStats, State};
use crate::tracer::encoded::{EncodedSpans, QueuedSpans};

mod arena;
mod inbox;
mod inner;
mod places;

/// How many traces are remembered as exported, and how many as evicted.
const MAX_REMEMBERED: usize = 1 << 16;

/// How many traces or parts of them are moved before the lock is released.
const STEPS: usize = 64;

/// The most traces that one push evicts. Each has at least one span, and no part has more, so this makes enough room
/// for any of usual size.
const MAX_EVICTIONS: usize = 1 << 9;

/// How many evicted parts a push frees. They were allocated by threads like the one that pushes: if the export thread
/// freed them all, it would contend with these for their part of the heap.
const FREED_BY_PUSH: usize = 4;

/// How much may be queued or in flight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueLimits {
    pub(crate) spans: usize,
    /// Bytes of encoded spans.
    pub(crate) bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    inbox: Inbox,
    /// Spans queued or in flight, to be read without the lock.
    len: AtomicUsize,
    /// Their size in bytes, likewise.
    bytes: AtomicUsize,
    /// Spans ready for export, likewise.
    ready: AtomicUsize,
    /// Counted by the sampler, which must not wait for the lock.
    traces_not_started: AtomicU64,
    limits: QueueLimits,
}

#[derive(Debug, Default)]
struct Inner {
    store: Store,
    /// Spans ready for export.
    ready_spans: usize,
    /// The bytes of the batch that is in flight.
    in_flight_bytes: u64,
    /// All counts except for traces that were not started.
    stats: ExportStats,
    /// Nothing will be exported any more.
    closed: bool,
    /// The number of ticks.
    now: u32,
    /// The number of times that a trace was added to a list.
    listed: u64,
    /// What takes time under the lock.
    #[cfg(test)]
    steps: usize,
}

/// Everything that has to be freed.
#[derive(Debug, Default)]
struct Store {
    places: Places,
    traces: Arena<Trace>,
    parts: Arena<Part>,
    /// Traces whose local root span has not ended, oldest first.
    held: List,
    /// Traces that are ready, and of which nothing was exported.
    ready: List,
    /// Traces of which something was exported: the rest has to follow.
    leaving: List,
    exported: Recent,
    evicted: Recent,
    /// Spans that were evicted and are to be freed without the lock.
    graveyard: Chain,
}

/// A trace with spans that are queued.
#[derive(Debug)]
struct Trace {
    id: TraceId,
    stage: Stage,
    parts: Chain,
    bytes: u64,
    older: u32,
    younger: u32,
    /// The tick in which it came.
    since: u32,
    /// Orders the lists of traces that are ready among each other.
    listed: u64,
}

/// The list in which a trace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Held,
    Ready,
    Leaving,
}

/// Spans that were pushed together.
#[derive(Debug)]
struct Part {
    spans: QueuedSpans,
    next: u32,
}

/// A list of parts.
#[derive(Debug, Clone, Copy)]
struct Chain {
    first: u32,
    last: u32,
    spans: usize,
}

impl Default for Chain {
    fn default() -> Self {
        Self { first: NONE, last: NONE, spans: 0 }
    }
}

impl Chain {
    fn append(&mut self, parts: &mut Arena<Part>, other: Self) {
        if other.first == NONE {
            return;
        }
        if self.first == NONE {
            self.first = other.first;
        } else {
            parts[self.last].next = other.first;
        }
        self.last = other.last;
        self.spans += other.spans;
    }

    fn take_first(&mut self, parts: &mut Arena<Part>) -> Option<QueuedSpans> {
        if self.first == NONE {
            return None;
        }
        let Part { spans, next } = parts.remove(self.first);
        self.first = next;
        self.spans -= spans.count as usize;
        Some(spans)
    }
}

/// A list of traces.
#[derive(Debug)]
struct List {
    oldest: u32,
    youngest: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { oldest: NONE, youngest: NONE }
    }
}

impl List {
    fn push_youngest(&mut self, traces: &mut Arena<Trace>, at: u32) {
        (traces[at].older, traces[at].younger) = (self.youngest, NONE);
        match self.youngest {
            NONE => self.oldest = at,
            youngest => traces[youngest].younger = at,
        }
        self.youngest = at;
    }

    fn push_oldest(&mut self, traces: &mut Arena<Trace>, at: u32) {
        (traces[at].older, traces[at].younger) = (NONE, self.oldest);
        match self.oldest {
            NONE => self.youngest = at,
            oldest => traces[oldest].older = at,
        }
        self.oldest = at;
    }

    fn unlink(&mut self, traces: &mut Arena<Trace>, at: u32) {
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

/// The last traces of some kind.
#[derive(Debug, Default)]
struct Recent {
    ids: Vec<TraceId>,
    next: usize,
}

impl Recent {
    /// Gives where the id is, and the one that was there.
    fn insert(&mut self, id: TraceId) -> (u32, Option<TraceId>) {
        if self.ids.capacity() == 0 {
            // All at once: it must not be moved later.
            self.ids.reserve_exact(MAX_REMEMBERED);
        }
        let at = self.next;
        self.next = (at + 1) % MAX_REMEMBERED;
        let forgotten = self.ids.get_mut(at).map(|oldest| std::mem::replace(oldest, id));
        if forgotten.is_none() {
            self.ids.push(id);
        }
        #[expect(clippy::cast_possible_truncation, reason = "there are fewer")]
        (at as u32, forgotten)
    }
}

/// How many spans were ready for export before and after some were pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) before: usize,
    pub(super) after: usize,
}

impl Queue {
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self {
            inner: Mutex::default(),
            inbox: Inbox::new(limits),
            len: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            ready: AtomicUsize::new(0),
            traces_not_started: AtomicU64::new(0),
            limits,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many spans are queued or in flight.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed) + self.inbox.len()
    }

    /// How many bytes they have.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed) + self.inbox.bytes()
    }

    /// How many of them are ready for export.
    pub(super) fn ready(&self) -> usize {
        self.ready.load(Ordering::Relaxed)
    }

    /// The maximum that may be queued or in flight.
    pub(crate) fn limits(&self) -> QueueLimits {
        self.limits
    }

    /// Counts a trace that the sampler has not started because of the load.
    pub(crate) fn count_trace_not_started(&self) {
        self.traces_not_started.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> ExportStats {
        self.collect();
        let stats = self.lock().stats;
        ExportStats { traces_not_started: self.traces_not_started.load(Ordering::Relaxed), ..stats }
    }

    /// Adds spans that have ended, without the lock if there is plenty of room. Those in the inbox count as ready.
    pub(super) fn offer(&self, spans: &EncodedSpans<Vec<u8>>) -> Ready {
        let (count, bytes) = (spans.count as usize, spans.bytes.len());
        let has_plenty = self.len() + count <= self.limits.spans / 2 && self.bytes() + bytes <= self.limits.bytes / 2;
        // Whoever comes while much waits already helps. So there is room left in the inbox for those who find the lock
        // taken, as by the export thread while it queues what waits.
        let is_welcome = has_plenty && !self.inbox.is_filling();
        if let Some(waiting) = is_welcome.then(|| self.inbox.leave(spans)).flatten() {
            let before = self.ready() + waiting;
            return Ready { before, after: before + count };
        }
        self.push(spans.with(Bytes::copy_from_slice(&spans.bytes)))
    }

    /// Adds spans that have ended. They are left in the inbox if another thread has the lock, and may have lost its
    /// processor.
    fn push(&self, spans: QueuedSpans) -> Ready {
        let mut inner = match self.inner.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if self.inbox.leave(&spans).is_some() => {
                return Ready { before: 0, after: 0 };
            }
            Err(TryLockError::WouldBlock) => self.lock(),
        };
        if self.inbox.is_filling() {
            if let Some((shard, chunk)) = self.inbox.take_any() {
                self.collect_chunk(&mut inner, shard, chunk);
            }
        }
        self.push_locked(inner, spans)
    }

    /// Queues what is left in the inbox by now.
    pub(super) fn collect(&self) {
        if self.inbox.len() == 0 {
            return;
        }
        for (shard, chunks) in self.inbox.chunks() {
            for _ in 0..chunks {
                let mut inner = self.lock();
                let Some(chunk) = self.inbox.take(shard) else { break };
                self.collect_chunk(&mut inner, shard, chunk);
            }
        }
    }

    fn collect_chunk(&self, inner: &mut Inner, shard: usize, mut chunk: Chunk) {
        let size = chunk.drain(|part| {
            if let Some(refused) = inner.push(part, self.limits) {
                inner.bury(refused);
            }
        });
        self.publish(inner);
        // Now, so that they are counted all the time.
        self.inbox.collected(shard, chunk, size);
    }

    fn push_locked(&self, mut inner: MutexGuard<'_, Inner>, spans: QueuedSpans) -> Ready {
        let before = inner.ready_spans;
        let refused = inner.push(spans, self.limits);
        let mut freed = [const { None }; FREED_BY_PUSH];
        if inner.store.graveyard.spans > 0 {
            freed.fill_with(|| inner.exhume());
        }
        let after = inner.ready_spans;
        self.publish(&inner);
        drop(inner);
        // Not under the lock.
        drop((refused, freed));
        Ready { before, after }
    }

    /// Takes the oldest spans that are ready: `count` at most, unless more than that were pushed together. They are in
    /// flight until they are [settled](Self::settle).
    pub(super) fn take(&self, count: usize) -> Vec<QueuedSpans> {
        self.collect();
        let (mut batch, mut spans) = (Vec::new(), 0);
        loop {
            batch.reserve(STEPS);
            let mut inner = self.lock();
            for step in 0.. {
                let next = inner.store.oldest_ready().filter(|at| {
                    let next = inner.store.first_part(*at);
                    spans == 0 || spans + next <= count
                });
                let Some(at) = next.filter(|_| spans < count) else {
                    self.publish(&inner);
                    return batch;
                };
                if step == STEPS {
                    break;
                }
                let part = inner.take_part(at);
                spans += part.count as usize;
                batch.push(part);
            }
            self.publish(&inner);
        }
    }

    /// Records the outcome of spans that were in flight. Once the queue is closed it is too late for that: they are
    /// left behind.
    pub(super) fn settle(&self, exported: u64, refused: u64) {
        let mut inner = self.lock();
        for (spans, state) in [(exported, State::Exported), (refused, State::Refused)] {
            let in_flight = inner.stats.in_flight;
            let spans = spans.min(in_flight);
            if spans > 0 {
                // Which ones they are is not known.
                let share = u128::from(inner.in_flight_bytes) * u128::from(spans) / u128::from(in_flight);
                let share = u64::try_from(share).unwrap_or(inner.in_flight_bytes);
                inner.in_flight_bytes -= share;
                inner.stats.queued_bytes -= share;
            }
            inner.stats.transition(as_len(spans), State::InFlight, state);
        }
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
        (inner.stats.queued_bytes, inner.in_flight_bytes, inner.ready_spans) = (0, 0, 0);
        let store = std::mem::take(&mut inner.store);
        self.publish(&inner);
        drop(inner);
        // Not under the lock.
        drop(store);
        self.free_evicted();
        true
    }

    /// Makes all spans ready that are queued by now.
    pub(super) fn release_all(&self) {
        self.collect();
        let listed = self.lock().listed;
        self.release_while(|_, trace| trace.listed <= listed);
    }

    /// Counts a tick, and makes traces ready that have been held for `max_ticks` of them; for one, if the queue is
    /// filling up: a trace that is held for long runs for long, and has to be exported some day.
    pub(super) fn release_old(&self, max_ticks: u32) {
        self.collect();
        let mut inner = self.lock();
        inner.now = inner.now.wrapping_add(1);
        drop(inner);
        let is_filling = self.len() >= self.limits.spans / 4 || self.bytes() >= self.limits.bytes / 4;
        let max_ticks = if is_filling { 1 } else { max_ticks };
        // The first of the ticks may have been nearly over when the trace came.
        self.release_while(|now, trace| now.wrapping_sub(trace.since) > max_ticks);
    }

    /// Makes held traces ready, oldest first, up to one that `is_due` is false for, given the tick.
    fn release_while(&self, is_due: impl Fn(u32, &Trace) -> bool) {
        loop {
            let mut inner = self.lock();
            for _ in 0..STEPS {
                let oldest = inner.store.held.oldest;
                if oldest == NONE || !is_due(inner.now, &inner.store.traces[oldest]) {
                    self.publish(&inner);
                    return;
                }
                inner.release(oldest);
            }
            self.publish(&inner);
        }
    }

    /// Frees what was evicted and not freed by those who push. For the export thread.
    pub(super) fn free_evicted(&self) {
        self.collect();
        loop {
            let mut freed = Vec::with_capacity(STEPS);
            let mut inner = self.lock();
            freed.extend((0..STEPS).map_while(|_| inner.exhume()));
            drop(inner);
            if freed.is_empty() {
                return;
            }
        }
    }

    fn publish(&self, inner: &Inner) {
        self.len.store(inner.len(), Ordering::Relaxed);
        self.bytes.store(as_len(inner.stats.queued_bytes), Ordering::Relaxed);
        self.ready.store(inner.ready_spans, Ordering::Relaxed);
    }
}

/// Spans in memory, so there are no more than a `usize` can count.
fn as_len(spans: u64) -> usize {
    usize::try_from(spans).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
