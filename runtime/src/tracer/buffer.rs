//! Collects the finished spans of a trace in this process, and hands them to the exporter together.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::trace::TraceId;

use super::encoded::{EncodedSpans, SpanSink};
use super::shared::Reference;
use crate::encoding::recycled::{recycle, recycled};
use crate::encoding::{Role, ScopeId};
use crate::guard::reentrance::Busy;

/// The size at which a buffer is handed over before the trace is complete.
const MAX_BYTES: usize = 1 << 14;

/// Collects the spans that end below one local root span, or below a span that continues the trace in a detached job.
///
/// The spans are handed over when that span ends. Spans that end later are handed over immediately, one by one. A
/// long-running trace is handed over in parts: see [`OpenBuffers::hand_over_old`].
pub(crate) struct TraceBuffer {
    trace_id: TraceId,
    provider: Arc<Reference>,
    spans: Mutex<Spans>,
}

#[derive(Default)]
struct Spans {
    bytes: Vec<u8>,
    count: u32,
    first_scope: Option<ScopeId>,
    last_scope: Option<ScopeId>,
    other_scopes: Vec<(usize, ScopeId)>,
    has_local_root: bool,
    /// Whether the span that began the buffer has ended.
    closed: bool,
    /// The slot in [`OpenBuffers`], while the buffer has spans.
    listed: Option<Slot>,
}

impl TraceBuffer {
    pub(crate) fn new(trace_id: TraceId, provider: Arc<Reference>) -> Arc<Self> {
        Arc::new(Self { trace_id, provider, spans: Mutex::default() })
    }

    pub(crate) fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    pub(crate) fn provider(&self) -> &Reference {
        &self.provider
    }

    fn lock(&self) -> MutexGuard<'_, Spans> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a span that has ended; `write` encodes it.
    #[inline]
    pub(crate) fn add(self: &Arc<Self>, scope: ScopeId, role: Role, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(open) = &self.provider.open else { return };
        let mut spans = self.lock();
        if spans.bytes.capacity() == 0 {
            spans.bytes = recycled();
        }
        if spans.last_scope != Some(scope) {
            spans.change_scope(scope);
        }
        write(&mut spans.bytes);
        spans.count += 1;
        if role != Role::Below {
            spans.closed = true;
            spans.has_local_root |= role == Role::LocalRoot;
        }
        if spans.closed || spans.bytes.len() >= MAX_BYTES {
            // Locked and listed until then, so that a flush waits for the spans that have ended before it.
            hand_over(spans.take(self.trace_id), &*open.sink);
            if let Some(slot) = spans.listed.take() {
                open.remove(slot, self);
            }
        } else if spans.listed.is_none() {
            spans.listed = Some(open.add(self));
        }
    }

    /// Hands over the spans of an incomplete trace, whose buffer was removed from [`OpenBuffers`].
    fn hand_over(&self, sink: &dyn SpanSink) {
        let mut spans = self.lock();
        spans.listed = None;
        if spans.count == 0 {
            return;
        }
        let part = spans.take(self.trace_id);
        drop(spans);
        hand_over(part, sink);
    }
}

/// Hands over spans, and recycles their memory.
fn hand_over(mut spans: EncodedSpans<Vec<u8>>, sink: &dyn SpanSink) {
    sink.push(&spans);
    recycle(std::mem::take(&mut spans.bytes));
}

impl Spans {
    #[cold]
    fn change_scope(&mut self, scope: ScopeId) {
        if self.count == 0 {
            self.first_scope = Some(scope);
        } else {
            self.other_scopes.push((self.bytes.len(), scope));
        }
        self.last_scope = Some(scope);
    }

    fn take(&mut self, trace_id: TraceId) -> EncodedSpans<Vec<u8>> {
        self.last_scope = None;
        EncodedSpans {
            trace_id,
            count: std::mem::take(&mut self.count),
            has_local_root: std::mem::take(&mut self.has_local_root),
            bytes: std::mem::take(&mut self.bytes),
            first_scope: self.first_scope.unwrap_or(ScopeId::OURS),
            other_scopes: std::mem::take(&mut self.other_scopes),
        }
    }
}

/// The buffers of a provider that have spans of incomplete traces, so that a flush finds them.
pub(crate) struct OpenBuffers {
    pub(super) sink: Arc<dyn SpanSink>,
    /// Held while the spans of incomplete traces are handed over, so that a flush waits for those that another thread has
    /// removed from the list.
    handing_over: Mutex<()>,
    /// Sharded to reduce contention.
    shards: [Mutex<Shard>; SHARDS],
}

pub(crate) const SHARDS: usize = 16;

/// Aligned to avoid false sharing.
#[derive(Default)]
#[repr(align(128))]
struct Shard {
    /// The buffers, each with the tick at which it was listed.
    slots: Vec<Option<(Arc<TraceBuffer>, u32)>>,
    free: Vec<usize>,
    /// The current tick: the number of calls of `hand_over_old`.
    now: u32,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    shard: usize,
    at: usize,
}

impl OpenBuffers {
    pub(crate) fn new(sink: Arc<dyn SpanSink>) -> Self {
        Self { sink, handing_over: Mutex::default(), shards: Default::default() }
    }

    fn shard(&self, at: usize) -> MutexGuard<'_, Shard> {
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, buffer: &Arc<TraceBuffer>) -> Slot {
        let index = shard_of_thread();
        let mut shard = self.shard(index);
        let entry = Some((Arc::clone(buffer), shard.now));
        let at = if let Some(at) = shard.free.pop() {
            shard.slots[at] = entry;
            at
        } else {
            shard.slots.push(entry);
            shard.slots.len() - 1
        };
        Slot { shard: index, at }
    }

    fn remove(&self, Slot { shard, at }: Slot, buffer: &Arc<TraceBuffer>) {
        let mut shard = self.shard(shard);
        // A flush may have emptied the slot, and another buffer may use it by now.
        let removed = shard.slots[at].take_if(|(listed, _)| Arc::ptr_eq(listed, buffer));
        if removed.is_some() {
            shard.free.push(at);
        }
        drop(shard);
        drop(removed);
    }

    /// Hands over all spans that have ended.
    pub(crate) fn hand_over_all(&self) {
        self.hand_over_older_than(None);
    }

    /// Hands over the spans of buffers that were listed more than `max_ticks` calls ago.
    pub(crate) fn hand_over_old(&self, max_ticks: u32) {
        self.hand_over_older_than(Some(max_ticks));
    }

    fn hand_over_older_than(&self, max_ticks: Option<u32>) {
        // A traced allocator would record spans here, and lock the same shard.
        let _busy = Busy::begin();
        let _handing_over = self.handing_over.lock().unwrap_or_else(PoisonError::into_inner);
        for index in 0..SHARDS {
            let mut shard = self.shard(index);
            shard.now = shard.now.wrapping_add(u32::from(max_ticks.is_some()));
            let Shard { slots, now, .. } = &mut *shard;
            let is_old = |since: u32| max_ticks.is_none_or(|max| now.wrapping_sub(since) > max);
            let old: Vec<_> = slots.iter_mut().filter_map(|slot| slot.take_if(|(_, since)| is_old(*since))).collect();
            let Shard { slots, free, .. } = &mut *shard;
            free.clear();
            free.extend((0..slots.len()).filter(|at| slots[*at].is_none()));
            drop(shard);
            for (buffer, _) in old {
                buffer.hand_over(&*self.sink);
            }
        }
    }
}

/// The shard of this thread, one of [`SHARDS`], assigned round-robin.
pub(crate) fn shard_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let shard = SHARD.get();
    if shard != usize::MAX {
        return shard;
    }
    let shard = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    SHARD.set(shard);
    shard
}
