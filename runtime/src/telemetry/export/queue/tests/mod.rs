use std::collections::HashMap;

use super::*;
use crate::encoding::wire::{SPANS, put_bytes};

mod counts;
mod inbox;
mod limits;
mod memory;

fn queue(spans: usize) -> Queue {
    Queue::new(QueueLimits { spans, bytes: usize::MAX })
}

/// `count` spans of `bytes` bytes each, handed over together.
fn part(trace: u128, count: u32, bytes: usize, has_local_root: bool) -> EncodedSpans {
    let mut encoded = Vec::new();
    (0..count).for_each(|_| put_bytes(&mut encoded, SPANS, &vec![0; bytes - 2]));
    EncodedSpans { has_local_root, ..EncodedSpans::complete(trace, count, encoded.into()) }
}

impl Queue {
    /// A queue with one trace, whose spans have `bytes` bytes in total.
    pub(in crate::telemetry) fn filled(limits: QueueLimits, spans: u32, bytes: usize) -> Self {
        let queue = Self::new(limits);
        add(&queue, EncodedSpans { bytes: vec![0; bytes].into(), ..part(1, spans, 2, true) });
        queue
    }

    /// The number of evicted spans that have not been freed.
    pub(in crate::telemetry) fn unfreed(&self) -> usize {
        self.lock().store.graveyard.spans as usize
    }
}

/// A local root span.
fn span(trace: u128) -> EncodedSpans {
    part(trace, 1, 4, true)
}

/// A span that is not the local root.
fn child(trace: u128) -> EncodedSpans {
    part(trace, 1, 4, false)
}

fn add(queue: &Queue, spans: EncodedSpans) {
    queue.push(spans);
}

/// The trace of each span.
fn traces(parts: &[QueuedSpans]) -> Vec<u128> {
    let trace = |part: &QueuedSpans| u128::from_be_bytes(part.trace_id.to_bytes());
    parts.iter().flat_map(|part| (0..part.count).map(move |_| trace(part))).collect()
}

/// Takes spans, and settles them as exported.
fn leave(queue: &Queue, count: usize) -> Vec<QueuedSpans> {
    let batch = queue.take(count);
    queue.settle(traces(&batch).len() as u64, 0);
    batch
}

/// The number of evicted traces, of their spans, and of dropped spans.
fn losses(queue: &Queue) -> (u64, u64, u64) {
    let stats = queue.stats();
    (stats.traces_evicted, stats.spans_evicted, stats.spans_dropped)
}

/// The sum of all states.
fn settled(stats: &ExportStats) -> u64 {
    stats.queued
        + stats.in_flight
        + stats.exported
        + stats.refused
        + stats.spans_evicted
        + stats.spans_dropped
        + stats.left_behind
}

/// The number of steps that `f` takes under the lock.
fn steps(queue: &Queue, f: impl FnOnce()) -> usize {
    let before = queue.lock().steps;
    f();
    queue.lock().steps - before
}

#[test]
fn first_in_first_out() {
    let queue = queue(8);
    for trace in [1, 2, 1] {
        queue.push(span(trace));
    }
    assert_eq!(queue.len(), 3);
    // A later span of a waiting trace is exported with it.
    assert_eq!(traces(&leave(&queue, 2)), [1, 1]);
    assert_eq!(traces(&leave(&queue, 2)), [2]);
    assert_eq!((queue.len(), losses(&queue)), (0, (0, 0, 0)));
}

#[test]
fn a_trace_that_does_not_fit_is_evicted_as_a_whole() {
    let queue = queue(4);
    for trace in [1, 1, 2, 3] {
        queue.push(span(trace));
    }
    // There is no room for a fourth trace: none of its spans are queued, now or later.
    queue.push(span(4));
    queue.push(span(4));
    assert_eq!(traces(&leave(&queue, 8)), [1, 1, 2, 3], "the fourth is the youngest");
    assert_eq!(losses(&queue), (1, 2, 0));
    queue.push(span(4));
    assert_eq!(queue.len(), 0);
    assert_eq!(losses(&queue), (1, 3, 0));
}

#[test]
fn spans_of_a_partly_exported_trace_are_not_evicted() {
    let queue = queue(4);
    queue.push(span(1));
    leave(&queue, 1);
    for trace in [1, 1, 2, 3] {
        queue.push(span(trace));
    }
    queue.push(span(1));
    assert_eq!(traces(&leave(&queue, 8)), [1, 1, 1, 2]);
    assert_eq!(losses(&queue), (1, 1, 0));
}

#[test]
fn dropped_spans_of_a_trace_larger_than_the_queue_are_counted() {
    let queue = queue(2);
    queue.push(span(1));
    leave(&queue, 1);
    for _ in 0..5 {
        queue.push(span(1));
    }
    assert_eq!(queue.len(), 2);
    assert_eq!(losses(&queue), (0, 0, 3));
}

#[test]
fn a_trace_is_ready_when_its_local_root_has_ended() {
    let queue = queue(64);
    assert_eq!(queue.push(child(1)), Ready { before: 0, after: 0 });
    queue.push(child(2));
    queue.push(child(1));
    assert_eq!((queue.len(), queue.ready(), leave(&queue, 8).len()), (3, 0, 0));
    assert_eq!(queue.push(span(1)), Ready { before: 0, after: 3 });
    // A job that outlives the local root.
    queue.push(child(1));
    assert_eq!((queue.len(), queue.ready()), (5, 4));
    assert_eq!(traces(&leave(&queue, 8)), [1, 1, 1, 1]);
    queue.push(child(1));
    assert_eq!(traces(&leave(&queue, 8)), [1]);
    // A local root after its trace was exported in part.
    queue.push(span(2));
    assert_eq!(traces(&leave(&queue, 8)), [2, 2]);
}

#[test]
fn a_long_running_trace_becomes_ready_after_some_ticks() {
    let queue = queue(64);
    queue.push(child(1));
    queue.release_old(2);
    queue.push(child(2));
    queue.release_old(2);
    assert_eq!(queue.ready(), 0);
    queue.release_old(2);
    assert_eq!(traces(&leave(&queue, 8)), [1]);
    queue.release_old(2);
    assert_eq!(traces(&leave(&queue, 8)), [2]);
    // Sooner if the queue is filling up.
    (0..16).for_each(|_| assert_eq!(queue.push(child(3)).after, 0));
    queue.release_old(9);
    assert_eq!(queue.ready(), 0);
    queue.release_old(9);
    assert_eq!(queue.ready(), 16);
    queue.push(child(4));
    queue.release_all();
    assert_eq!((queue.len(), queue.ready()), (17, 17));
}

#[test]
fn held_traces_are_evicted_before_ready_ones() {
    let queue = queue(4);
    for span in [child(1), span(2), child(3), span(4)] {
        queue.push(span);
    }
    // A complete trace gets more spans after its first ones were exported.
    assert_eq!(traces(&leave(&queue, 1)), [2]);
    queue.push(child(2));
    queue.push(child(2));
    assert_eq!(traces(&leave(&queue, 8)), [4, 2, 2]);
    assert_eq!(losses(&queue), (1, 1, 0));
    queue.push(span(3));
    queue.push(span(1));
    assert_eq!(traces(&leave(&queue, 8)), [1, 1]);
}

/// Even if far more traces are active than there is room for.
#[test]
fn no_trace_is_exported_in_part() {
    let queue = queue(64);
    let (mut sent, mut whole) = (0, 0);
    for round in 0..200u128 {
        // Fifty traces of eleven spans, interleaved.
        for _ in 0..10 {
            for trace in 0..50 {
                queue.push(child(1 + round * 50 + trace));
            }
            for span in leave(&queue, 5) {
                sent += 1;
                whole += u64::from(span.has_local_root);
            }
        }
        for trace in 0..50 {
            queue.push(span(1 + round * 50 + trace));
        }
        assert!(queue.len() <= 64);
    }
    queue.release_all();
    for span in leave(&queue, 64) {
        sent += 1;
        whole += u64::from(span.has_local_root);
    }
    let (evicted, _, dropped) = losses(&queue);
    assert_eq!((sent, dropped, evicted), (whole * 11, 0, 10_000 - whole));
    assert!(whole > 200, "{whole}");
}

/// In whatever order spans arrive, a trace is exported as a whole or not at all, unless spans are counted as dropped.
#[test]
fn all_or_nothing() {
    let mut state = 7u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let queue = queue(64);
    let mut sent: HashMap<u128, usize> = HashMap::new();
    let mut left: HashMap<u128, usize> = HashMap::new();
    for round in 0..2_000u128 {
        for _ in 0..random(12) {
            // Five traces are active at a time.
            let trace = 1 + round / 5 * 5 + u128::from(random(5));
            *sent.entry(trace).or_default() += 1;
            queue.push(span(trace));
        }
        for trace in traces(&leave(&queue, usize::try_from(random(8)).unwrap())) {
            *left.entry(trace).or_default() += 1;
        }
        assert!(queue.len() <= 64);
    }
    for trace in traces(&leave(&queue, usize::MAX)) {
        *left.entry(trace).or_default() += 1;
    }
    let (evicted, spans, dropped) = losses(&queue);
    assert!(evicted > 100, "{evicted}");
    assert_eq!(dropped, 0, "a few traces at a time fit into the queue");
    let total: usize = sent.values().sum();
    assert_eq!(left.values().sum::<usize>() as u64 + spans, total as u64);
    for (trace, count) in left {
        assert_eq!(count, sent[&trace], "trace {trace} is complete");
    }
}
