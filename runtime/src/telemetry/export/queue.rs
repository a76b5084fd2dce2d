//! The queue of finished spans. It is bounded, and when it is full it evicts whole traces.
//!
//! A batch in flight counts towards the limits until its outcome is known, because it occupies memory. The
//! [`ExportStats`] change under the same lock as the queue, so that they are consistent at any moment.
//!
//! The tracer hands spans over in groups, usually a whole trace at once. A trace is held until its local root span has
//! ended, so that it can be evicted as a whole; only then is it ready for export. A long-running trace becomes ready in
//! parts; see [`Queue::release_old`].
//!
//! Threads that end spans may take the lock, so no operation holds it for long, however much is queued: traces are in
//! linked lists; evicting a trace moves its spans to the graveyard in constant time; and work on many traces is done in
//! steps, between which the lock is released. Usually, only the export thread takes the lock: while the queue is less
//! than half full, spans are left in an inbox.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use bytes::Bytes;
use opentelemetry::trace::TraceId;

use self::arena::NONE;
use self::inbox::{Chunk, Inbox};
use self::parts::{Freed, Held};
use self::places::Place;
use self::store::{Store, Trace};
use super::stats::{ExportStats, State};
use crate::atomic::AtomicU64;
use crate::tracer::encoded::{EncodedSpans, QueuedSpans};

mod arena;
mod inbox;
mod inner;
mod lists;
mod parts;
mod places;
mod store;

/// The maximum number of traces that are remembered as exported, and likewise as evicted.
const MAX_REMEMBERED: usize = 1 << 16;

/// The number of traces or parts that are moved before the lock is released.
const STEPS: usize = 64;

/// The maximum number of traces that one push evicts. Each has at least one span, so this makes enough room for any
/// part of usual size.
const MAX_EVICTIONS: usize = 1 << 9;

/// The number of evicted parts that a push frees. They were allocated by threads like the pushing one: if the export
/// thread freed them all, it would contend with those threads for their heap arenas.
const FREED_BY_PUSH: usize = 4;

/// The number of bytes that are freed before the lock is released, not counting the last part.
const MAX_FREED_BYTES: usize = 1 << 17;

/// The maximum number of ticks for which a trace is held, whatever the delay: ticks are counted in 16 bits.
const MAX_TICKS: u16 = u16::MAX / 2;

/// The limits on what may be queued or in flight.
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
    /// Spans queued or in flight, readable without the lock.
    len: AtomicUsize,
    /// Their size in bytes, likewise.
    bytes: AtomicUsize,
    /// Spans ready for export, likewise.
    ready: AtomicUsize,
    /// Traces not started, counted by the sampler, which must not wait for the lock.
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
    /// Whether the queue was closed, after which nothing is exported.
    closed: bool,
    /// The number of ticks.
    now: u16,
    /// The number of times that a trace was added to a list.
    listed: u64,
    /// Counts operations under the lock that are not constant in time.
    #[cfg(test)]
    steps: usize,
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

    /// Whether spans of a trace are queued, not counting those that have not been [collected](Self::collect). Takes the
    /// lock for a single trace only: a scan of many traces under one lock would block threads that end spans.
    pub(super) fn has(&self, trace: TraceId) -> bool {
        matches!(self.lock().store.places.get(trace.into()), Some(Place::Queued(_)))
    }

    /// The number of spans that are queued or in flight.
    pub(crate) fn len(&self) -> usize {
        self.size().0
    }

    /// Their size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.size().1
    }

    /// Both the number of spans and their size in bytes.
    fn size(&self) -> (usize, usize) {
        let waiting = self.inbox.size();
        (self.len.load(Ordering::Relaxed) + waiting.0, self.bytes.load(Ordering::Relaxed) + waiting.1)
    }

    /// The number of spans that are ready for export.
    pub(super) fn ready(&self) -> usize {
        self.ready.load(Ordering::Relaxed)
    }

    /// The limits on what may be queued or in flight.
    pub(crate) fn limits(&self) -> QueueLimits {
        self.limits
    }

    /// Counts a trace that the sampler has not started because of load.
    pub(crate) fn count_trace_not_started(&self) {
        self.traces_not_started.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> ExportStats {
        self.collect();
        let stats = self.lock().stats;
        ExportStats { traces_not_started: self.traces_not_started.load(Ordering::Relaxed), ..stats }
    }

    /// Adds spans that have ended. The fast path, while there is plenty of room, leaves them in the inbox without
    /// taking the lock. Spans in the inbox count as ready.
    pub(super) fn offer(&self, spans: &EncodedSpans<Vec<u8>>) -> Ready {
        let (count, bytes) = (spans.count as usize, spans.bytes.len());
        let (queued, queued_bytes) = self.size();
        let has_plenty = queued + count <= self.limits.spans / 2 && queued_bytes + bytes <= self.limits.bytes / 2;
        // While the inbox is filling up, pushing threads help to collect it. This keeps room in it for threads that
        // find the lock taken, for example by the export thread while it collects.
        let is_fast = has_plenty && !self.inbox.is_filling();
        if let Some(waiting) = is_fast.then(|| self.inbox.leave(spans)).flatten() {
            let before = self.ready() + waiting;
            return Ready { before, after: before + count };
        }
        self.push(spans.with(spans.bytes.as_slice().into()))
    }

    /// The slow path. Spans are still left in the inbox if another thread holds the lock, because that thread may have
    /// been preempted.
    fn push(&self, spans: EncodedSpans) -> Ready {
        let mut inner = match self.inner.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if self.inbox.leave(&spans).is_some() => {
                return Ready { before: 0, after: 0 };
            }
            Err(TryLockError::WouldBlock) => self.lock(),
        };
        let waiting = if self.inbox.is_filling() { self.inbox.take_any() } else { None };
        let unneeded = waiting.and_then(|(shard, chunk)| self.collect_chunk(&mut inner, shard, chunk));
        let ready = self.push_locked(inner, spans);
        // Freed without the lock.
        drop(unneeded);
        ready
    }

    /// Queues the spans that are in the inbox.
    pub(super) fn collect(&self) {
        if self.inbox.len() == 0 {
            return;
        }
        for (shard, chunks) in self.inbox.chunks() {
            for _ in 0..chunks {
                let mut inner = self.lock();
                let Some(chunk) = self.inbox.take(shard) else { break };
                let unneeded = self.collect_chunk(&mut inner, shard, chunk);
                drop(inner);
                drop(unneeded);
            }
        }
    }

    /// Queues the spans in a chunk. Returns memory that is no longer needed, to be freed without the lock.
    fn collect_chunk(&self, inner: &mut Inner, shard: usize, mut chunk: Chunk) -> Option<Bytes> {
        let memory = chunk.share().map(|memory| (inner.store.parts.share(memory.bytes.clone(), memory.parts), memory));
        let size = chunk.drain(memory.as_ref(), |part| {
            if let Some(refused) = inner.push(part, self.limits) {
                inner.bury(refused);
            }
        });
        let unneeded = memory.and_then(|(memory, _)| inner.store.parts.shared(memory));
        self.publish(inner);
        // Only now, so that the spans are counted here or there at any moment.
        self.inbox.collected(shard, chunk, size);
        unneeded
    }

    fn push_locked(&self, mut inner: MutexGuard<'_, Inner>, spans: EncodedSpans) -> Ready {
        let before = inner.ready_spans;
        let refused = inner.push(spans.map(Held::Own), self.limits);
        let mut freed: [Option<Freed>; FREED_BY_PUSH] = [const { None }; FREED_BY_PUSH];
        if inner.store.graveyard.spans > 0 {
            freed.iter_mut().zip(inner.exhume(FREED_BY_PUSH)).for_each(|(slot, part)| *slot = Some(part));
        }
        let after = inner.ready_spans;
        self.publish(&inner);
        drop(inner);
        // Freed without the lock.
        drop((refused, freed));
        Ready { before, after }
    }

    /// Takes the oldest ready spans: at most `count`, unless more were pushed together. They are in flight until they
    /// are [settled](Self::settle).
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

    /// Records the outcome of spans that were in flight. Has no effect once the queue is closed: they then count as
    /// left behind.
    pub(super) fn settle(&self, exported: u64, refused: u64) {
        let mut inner = self.lock();
        for (spans, state) in [(exported, State::Exported), (refused, State::Refused)] {
            let in_flight = inner.stats.in_flight;
            let spans = spans.min(in_flight);
            if spans > 0 {
                // It is not known which spans they are, so their share of the bytes is estimated.
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

    /// Closes the queue: everything queued, in flight or pushed later counts as left behind. Returns whether this was
    /// the first call; later calls have no effect.
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
        // Freed without the lock.
        drop(store);
        self.free_evicted();
        true
    }

    /// Makes all queued spans ready.
    pub(super) fn release_all(&self) {
        self.collect();
        let listed = self.lock().listed;
        self.release_while(|_, trace| trace.listed <= listed);
    }

    /// Counts a tick, and makes traces ready that have been held for `max_ticks` ticks, or for a single tick if the
    /// queue is filling up: long-running traces have to be exported eventually.
    pub(super) fn release_old(&self, max_ticks: u32) {
        self.collect();
        let mut inner = self.lock();
        inner.now = inner.now.wrapping_add(1);
        drop(inner);
        let is_filling = self.len() >= self.limits.spans / 4 || self.bytes() >= self.limits.bytes / 4;
        let max_ticks = if is_filling { 1 } else { u16::try_from(max_ticks).unwrap_or(MAX_TICKS).min(MAX_TICKS) };
        // Not `>=`, because the first tick may have been nearly over when the trace arrived.
        self.release_while(|now, trace| now.wrapping_sub(trace.since) > max_ticks);
    }

    /// Makes held traces ready, oldest first, up to the first one for which `is_due` returns `false`.
    fn release_while(&self, is_due: impl Fn(u16, &Trace) -> bool) {
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

    /// Frees evicted spans that were not freed by pushes. Called by the export thread.
    pub(super) fn free_evicted(&self) {
        self.collect();
        loop {
            let mut freed = Vec::with_capacity(STEPS);
            let mut inner = self.lock();
            freed.extend(inner.exhume(STEPS));
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

/// Converts a number of spans in memory, which fits into a `usize`.
fn as_len(spans: u64) -> usize {
    usize::try_from(spans).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
