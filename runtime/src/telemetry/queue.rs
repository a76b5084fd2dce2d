//! What waits to be exported. Bounded, and when it is full, whole traces go.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry::trace::TraceId;
use opentelemetry_sdk::trace::SpanData;

/// How many traces are remembered as begun to leave, and as shed.
const REMEMBERED: usize = 1 << 16;

/// The spans that have ended and have not left.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// The number of spans, to be read without the lock.
    waiting: AtomicUsize,
    limit: usize,
}

#[derive(Debug, Default)]
struct Inner {
    spans: VecDeque<SpanData>,
    /// Traces of which spans have left: the rest has to follow.
    begun: Recent,
    /// Traces that were thrown out: nothing of them may follow.
    shed: Recent,
    losses: Losses,
}

/// What did not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Losses {
    /// Traces that were thrown out as a whole.
    pub(super) traces: u64,
    /// Their spans.
    pub(super) spans: u64,
    /// Spans of traces that had begun to leave: there was nothing else to throw out.
    pub(super) torn: u64,
}

impl Queue {
    /// A queue for `limit` spans.
    pub(super) fn new(limit: usize) -> Self {
        Self { inner: Mutex::default(), waiting: AtomicUsize::new(0), limit }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many spans wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many spans it holds at most.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Adds a span. Gives how many spans wait then.
    pub(super) fn push(&self, span: SpanData) -> usize {
        let trace = span.span_context.trace_id();
        let mut inner = self.lock();
        if inner.shed.has(trace) {
            inner.losses.spans += 1;
            return inner.spans.len();
        }
        if inner.spans.len() >= self.limit && !inner.make_room(trace, self.limit) {
            return inner.spans.len();
        }
        inner.spans.push_back(span);
        self.publish(&inner)
    }

    /// Takes the `count` oldest spans.
    pub(super) fn take(&self, count: usize) -> Vec<SpanData> {
        let mut inner = self.lock();
        let count = count.min(inner.spans.len());
        let batch: Vec<_> = inner.spans.drain(..count).collect();
        for span in &batch {
            inner.begun.add(span.span_context.trace_id());
        }
        self.publish(&inner);
        batch
    }

    fn publish(&self, inner: &Inner) -> usize {
        let waiting = inner.spans.len();
        self.waiting.store(waiting, Ordering::Relaxed);
        waiting
    }

    /// What has been lost since the last call.
    pub(super) fn take_losses(&self) -> Losses {
        std::mem::take(&mut self.lock().losses)
    }
}

impl Inner {
    /// Throws out the youngest traces of which nothing has left, an eighth of the queue at once, so
    /// that the search for them is rare. Gives whether a span of `arriving` has a place now.
    #[cold]
    fn make_room(&mut self, arriving: TraceId, limit: usize) -> bool {
        let mut sizes: HashMap<TraceId, usize, TraceHash> = HashMap::default();
        for span in &self.spans {
            let trace = span.span_context.trace_id();
            if !self.begun.has(trace) {
                *sizes.entry(trace).or_default() += 1;
            }
        }
        let goal = (limit / 8).max(1);
        let mut freed = 0;
        let mut victims = HashSet::<TraceId, TraceHash>::default();
        // The trace that arrives is the youngest of all.
        let youngest =
            std::iter::once(arriving).chain(self.spans.iter().rev().map(|span| span.span_context.trace_id()));
        for trace in youngest {
            if freed >= goal {
                break;
            }
            if self.begun.has(trace) || !victims.insert(trace) {
                continue;
            }
            freed += sizes.get(&trace).copied().unwrap_or_default();
        }
        self.spans.retain(|span| !victims.contains(&span.span_context.trace_id()));
        for &trace in &victims {
            self.shed.add(trace);
        }
        self.losses.traces += victims.len() as u64;
        self.losses.spans += freed as u64;
        if victims.contains(&arriving) {
            self.losses.spans += 1;
            return false;
        }
        if self.spans.len() >= limit {
            self.losses.torn += 1;
            return false;
        }
        true
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
mod tests {
    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn span(trace: u128) -> SpanData {
        let context =
            SpanContext::new(TraceId::from(trace), SpanId::from(1), TraceFlags::SAMPLED, false, TraceState::NONE);
        let now = opentelemetry::time::now();
        SpanData {
            span_context: context,
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "work".into(),
            start_time: now,
            end_time: now,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    fn traces(spans: &[SpanData]) -> Vec<u128> {
        spans.iter().map(|span| u128::from_be_bytes(span.span_context.trace_id().to_bytes())).collect()
    }

    #[test]
    fn first_in_first_out() {
        let queue = Queue::new(8);
        for trace in [1, 2, 1] {
            queue.push(span(trace));
        }
        assert_eq!(queue.len(), 3);
        assert_eq!(traces(&queue.take(2)), [1, 2]);
        assert_eq!(traces(&queue.take(2)), [1]);
        assert_eq!((queue.len(), queue.take_losses()), (0, Losses::default()));
    }

    #[test]
    fn the_trace_that_does_not_fit_goes_as_a_whole() {
        let queue = Queue::new(4);
        for trace in [1, 1, 2, 3] {
            queue.push(span(trace));
        }
        // No room for a fourth: nothing of it is kept, and nothing of it is taken later.
        queue.push(span(4));
        queue.push(span(4));
        assert_eq!(traces(&queue.take(8)), [1, 1, 2], "the goal is a span, and the youngest that has one is 3");
        assert_eq!(queue.take_losses(), Losses { traces: 2, spans: 3, torn: 0 });
        queue.push(span(3));
        assert_eq!(queue.len(), 0);
        assert_eq!(queue.take_losses(), Losses { traces: 0, spans: 1, torn: 0 });
    }

    #[test]
    fn what_has_begun_to_leave_follows() {
        let queue = Queue::new(4);
        queue.push(span(1));
        queue.take(1);
        for trace in [1, 1, 2, 3] {
            queue.push(span(trace));
        }
        queue.push(span(1));
        assert_eq!(traces(&queue.take(8)), [1, 1, 2, 1]);
        assert_eq!(queue.take_losses(), Losses { traces: 1, spans: 1, torn: 0 });
    }

    #[test]
    fn a_trace_larger_than_the_queue_is_torn_and_says_so() {
        let queue = Queue::new(2);
        queue.push(span(1));
        queue.take(1);
        for _ in 0..5 {
            queue.push(span(1));
        }
        assert_eq!(queue.len(), 2);
        assert_eq!(queue.take_losses(), Losses { traces: 0, spans: 0, torn: 3 });
    }

    /// Whatever comes in whatever order: what leaves of a trace is all of it or nothing, unless it
    /// is counted as torn.
    #[test]
    fn all_or_nothing() {
        let mut state = 7u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let queue = Queue::new(64);
        let mut sent: HashMap<u128, usize> = HashMap::new();
        let mut left: HashMap<u128, usize> = HashMap::new();
        let mut losses = Losses::default();
        for round in 0..2_000u128 {
            for _ in 0..random(12) {
                // Five traces are under way at a time.
                let trace = 1 + round / 5 * 5 + u128::from(random(5));
                *sent.entry(trace).or_default() += 1;
                queue.push(span(trace));
            }
            for trace in traces(&queue.take(usize::try_from(random(8)).unwrap())) {
                *left.entry(trace).or_default() += 1;
            }
            assert!(queue.len() <= 64);
        }
        for trace in traces(&queue.take(usize::MAX)) {
            *left.entry(trace).or_default() += 1;
        }
        let more = queue.take_losses();
        losses.traces += more.traces;
        losses.spans += more.spans;
        losses.torn += more.torn;
        assert!(losses.traces > 100, "{losses:?}");
        assert_eq!(losses.torn, 0, "so few traces at a time leave room");
        let total: usize = sent.values().sum();
        assert_eq!(left.values().sum::<usize>() as u64 + losses.spans, total as u64);
        for (trace, count) in left {
            assert_eq!(count, sent[&trace], "trace {trace} is complete");
        }
    }
}
