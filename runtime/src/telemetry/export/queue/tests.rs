use std::collections::HashMap;

use super::*;
use crate::encoding::wire::{SPANS, put_bytes};
use crate::tracer::encoded::ScopeId;

fn queue(spans: usize) -> Queue {
    Queue::new(QueueLimits { spans, bytes: usize::MAX })
}

/// Spans that are handed over together, of `bytes` bytes each.
fn part(trace: u128, count: u32, bytes: usize, has_local_root: bool) -> QueuedSpans {
    let mut encoded = Vec::new();
    (0..count).for_each(|_| put_bytes(&mut encoded, SPANS, &vec![0; bytes - 2]));
    QueuedSpans {
        trace_id: TraceId::from(trace),
        count,
        has_local_root,
        bytes: encoded.into(),
        first_scope: ScopeId::OURS,
        other_scopes: Vec::new(),
    }
}

/// A local root span.
fn span(trace: u128) -> QueuedSpans {
    part(trace, 1, 4, true)
}

/// A span that is not the local root.
fn child(trace: u128) -> QueuedSpans {
    part(trace, 1, 4, false)
}

fn add(queue: &Queue, spans: QueuedSpans) {
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

/// Traces evicted, their spans, and spans dropped from others.
fn losses(queue: &Queue) -> (u64, u64, u64) {
    let stats = queue.stats();
    (stats.traces_evicted, stats.spans_evicted, stats.spans_dropped)
}

#[test]
fn first_in_first_out() {
    let queue = queue(8);
    for trace in [1, 2, 1] {
        queue.push(span(trace));
    }
    assert_eq!(queue.len(), 3);
    // What comes later of a trace that waits goes with it.
    assert_eq!(traces(&leave(&queue, 2)), [1, 1]);
    assert_eq!(traces(&leave(&queue, 2)), [2]);
    assert_eq!((queue.len(), losses(&queue)), (0, (0, 0, 0)));
}

#[test]
fn the_trace_that_does_not_fit_goes_as_a_whole() {
    let queue = queue(4);
    for trace in [1, 1, 2, 3] {
        queue.push(span(trace));
    }
    // No room for a fourth: nothing of it is queued, now or later.
    queue.push(span(4));
    queue.push(span(4));
    assert_eq!(traces(&leave(&queue, 8)), [1, 1, 2, 3], "it is the youngest itself");
    assert_eq!(losses(&queue), (1, 2, 0));
    queue.push(span(4));
    assert_eq!(queue.len(), 0);
    assert_eq!(losses(&queue), (1, 3, 0));
}

#[test]
fn what_has_begun_to_leave_follows() {
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
fn a_trace_larger_than_the_queue_is_torn_and_says_so() {
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
fn a_trace_begins_to_leave_when_the_span_that_began_it_has_ended() {
    let queue = queue(64);
    assert_eq!(queue.push(child(1)), Ready { before: 0, after: 0 });
    queue.push(child(2));
    queue.push(child(1));
    assert_eq!((queue.len(), queue.ready(), leave(&queue, 8).len()), (3, 0, 0));
    assert_eq!(queue.push(span(1)), Ready { before: 0, after: 3 });
    // Its jobs outlive it.
    queue.push(child(1));
    assert_eq!((queue.len(), queue.ready()), (5, 4));
    assert_eq!(traces(&leave(&queue, 8)), [1, 1, 1, 1]);
    queue.push(child(1));
    assert_eq!(traces(&leave(&queue, 8)), [1]);
    // The spans of a trace may come in parts.
    queue.push(span(2));
    assert_eq!(traces(&leave(&queue, 8)), [2, 2]);
}

#[test]
fn one_that_takes_its_time_leaves_all_the_same() {
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
    // Sooner when the queue is filling up.
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
fn what_is_under_way_goes_before_what_is_over() {
    let queue = queue(4);
    for span in [child(1), span(2), child(3), span(4)] {
        queue.push(span);
    }
    // A trace that is complete gets further spans after its first ones were exported.
    assert_eq!(traces(&leave(&queue, 1)), [2]);
    queue.push(child(2));
    queue.push(child(2));
    assert_eq!(traces(&leave(&queue, 8)), [4, 2, 2]);
    assert_eq!(losses(&queue), (1, 1, 0));
    queue.push(span(3));
    queue.push(span(1));
    assert_eq!(traces(&leave(&queue, 8)), [1, 1]);
}

/// Far more traces are active than there is room for.
#[test]
fn nothing_is_torn_however_much_is_under_way() {
    let queue = queue(64);
    let (mut sent, mut whole) = (0, 0);
    for round in 0..200u128 {
        // Fifty traces of eleven spans, in turn.
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

#[test]
fn a_full_queue_of_traces_that_have_begun_is_searched_once() {
    let queue = queue(4);
    queue.push(span(1));
    leave(&queue, 1);
    for _ in 0..6 {
        queue.push(span(1));
    }
    assert_eq!(steps(&queue, || add(&queue, span(1))), 0);
    queue.push(span(2));
    queue.push(span(2));
    assert_eq!(losses(&queue), (1, 2, 3));
    leave(&queue, 2);
    // There is room again, and then something to evict.
    queue.push(span(3));
    queue.push(span(4));
    queue.push(span(1));
    assert_eq!(traces(&leave(&queue, 8)), [1, 1, 1, 3]);
    assert_eq!(losses(&queue), (2, 3, 3));
}

/// In whatever order spans arrive: a trace is exported as a whole or not at all, unless spans are counted as dropped.
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
    assert_eq!(dropped, 0, "so few traces at a time leave room");
    let total: usize = sent.values().sum();
    assert_eq!(left.values().sum::<usize>() as u64 + spans, total as u64);
    for (trace, count) in left {
        assert_eq!(count, sent[&trace], "trace {trace} is complete");
    }
}

#[test]
fn what_is_in_flight_takes_up_room_until_it_is_settled() {
    let queue = queue(4);
    for trace in 1..=4 {
        queue.push(span(trace));
    }
    assert_eq!(traces(&queue.take(4)).len(), 4);
    assert_eq!((queue.len(), queue.in_flight()), (4, 4));
    queue.push(span(5));
    assert_eq!((queue.len(), losses(&queue)), (4, (1, 1, 0)), "there is no room");
    queue.settle(1, 1);
    queue.push(span(6));
    assert_eq!((queue.len(), queue.in_flight()), (3, 2));
    let stats = queue.stats();
    assert_eq!((stats.exported, stats.refused, stats.queued, stats.in_flight), (1, 1, 1, 2));
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

#[test]
fn no_span_is_counted_twice_or_not_at_all() {
    let mut seed = 11u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let queue = queue(32);
    let mut pushed = 0;
    for round in 0..5_000u128 {
        match random(4) {
            0 | 1 => {
                let (count, has_local_root) = (1 + u32::try_from(random(3)).unwrap(), random(6) == 0);
                pushed += u64::from(count);
                let trace = 1 + round / 100 * 4 + u128::from(random(4));
                queue.push(part(trace, count, 20, has_local_root));
            }
            2 => drop(queue.take(usize::try_from(random(6)).unwrap())),
            _ => {
                let (exported, refused) = (random(4), random(2));
                queue.settle(exported, refused);
            }
        }
        if random(7) == 0 {
            queue.release_old(1);
        }
        let stats = queue.stats();
        assert_eq!((stats.finished, settled(&stats)), (pushed, pushed), "{stats:?}");
        assert!(stats.queued + stats.in_flight <= 32);
        assert_eq!(stats.queued_bytes, 20 * (stats.queued + stats.in_flight));
    }
    assert!(queue.stats().spans_evicted > 0 && queue.stats().spans_dropped > 0, "{:?}", queue.stats());
    assert!(queue.close() && !queue.close());
    queue.push(span(1));
    queue.settle(5, 5);
    let stats = queue.stats();
    assert_eq!((queue.len(), stats.queued, stats.in_flight, settled(&stats)), (0, 0, 0, pushed + 1), "{stats:?}");
    assert_eq!((queue.bytes(), stats.queued_bytes), (0, 0));
}

/// How many steps under the lock something takes.
fn steps(queue: &Queue, f: impl FnOnce()) -> usize {
    let before = queue.lock().steps;
    f();
    queue.lock().steps - before
}

/// Whatever the queue is full of, and however large it is.
#[test]
fn a_push_into_a_full_queue_takes_few_steps() {
    for limit in [2_000, 20_000] {
        // Traces that are held, traces that are ready, and one trace in many parts.
        type Fill = fn(u128) -> QueuedSpans;
        let fills: [Fill; 4] = [child, span, |_| child(7), |_| span(7)];
        for fill in fills {
            let queue = queue(limit);
            queue.push(span(1 << 90));
            leave(&queue, 1);
            for n in 0..limit {
                assert!(steps(&queue, || add(&queue, fill(n as u128))) <= 2);
            }
            assert_eq!(queue.len(), limit);
            // One more trace, one more span of a trace that is queued, and the rest of one that was exported: for its
            // three hundred spans as many traces have to go, if each has one.
            let worst = |spans: QueuedSpans| steps(&queue, || add(&queue, spans));
            assert!(worst(span(1 << 80)) <= 1 + FREED_BY_PUSH);
            assert!(worst(part(1 << 90, 300, 4, false)) <= 301 + FREED_BY_PUSH);
            assert!(worst(child(7)) <= 2 + FREED_BY_PUSH);
            // What was evicted is freed a few at a time.
            for n in 0..1_000 {
                assert!(worst(span(1 << 81 | n)) <= 2 + FREED_BY_PUSH);
            }
            assert!(queue.lock().store.graveyard.spans <= limit.saturating_sub(1_000 * FREED_BY_PUSH));
            queue.free_evicted();
            assert_eq!(queue.lock().store.graveyard.spans, 0);
        }
    }
}

/// Trace ids may be chosen by a caller.
#[test]
fn chosen_trace_ids_are_spread_like_any() {
    const TRACES: u128 = 100_000;
    let patterns: [fn(u128) -> u128; 4] =
        [|n| n + 1, |n| (n + 1) << 64, |n| (n + 1) << 100, |n| ((n + 1) << 64).wrapping_mul(0x9e37_79b9_7f4a_7c15)];
    for id in patterns {
        let queue = queue(1 << 20);
        (0..TRACES).for_each(|n| add(&queue, child(id(n))));
        let inner = queue.lock();
        assert_eq!(inner.store.places.len(), 100_000);
        // 391 on average, with a standard deviation of 20.
        assert!(inner.store.places.largest() < 600, "{}", inner.store.places.largest());
    }
}

#[test]
fn bytes_are_bounded_as_spans_are() {
    let queue = Queue::new(QueueLimits { spans: 1_000, bytes: 1_000 });
    // Four of 240 bytes fit, and then one of 40.
    (1..=6).for_each(|trace| add(&queue, part(trace, 2, 120, true)));
    assert_eq!((queue.len(), queue.bytes(), losses(&queue)), (8, 960, (2, 4, 0)));
    queue.push(part(7, 1, 40, true));
    assert_eq!(queue.bytes(), 1_000);
    // What is in flight counts until it is settled.
    assert_eq!(traces(&queue.take(4)), [1, 1, 2, 2]);
    queue.push(part(8, 1, 120, true));
    assert_eq!((queue.bytes(), losses(&queue)), (1_000, (3, 5, 0)));
    queue.settle(3, 0);
    assert_eq!(queue.bytes(), 640);
    queue.settle(1, 0);
    assert_eq!((queue.bytes(), queue.stats().queued_bytes), (520, 520));
    // What has to follow takes the place of others, and if there are none, of its own.
    queue.push(part(1, 8, 100, false));
    assert_eq!((queue.bytes(), losses(&queue)), (800, (6, 10, 0)));
    queue.push(part(1, 3, 80, false));
    assert_eq!((queue.bytes(), queue.stats().spans_dropped), (960, 1));
    assert_eq!(traces(&leave(&queue, 100)), [1; 10]);
    assert_eq!((queue.bytes(), queue.len()), (0, 0));
}

/// Spans that are larger than what may be evicted at once.
#[test]
fn a_large_span_has_room_made_for_it_in_steps() {
    let queue = Queue::new(QueueLimits { spans: 10_000, bytes: 100_000 });
    queue.push(span(1));
    leave(&queue, 1);
    (2..=5_000).for_each(|trace| add(&queue, part(trace, 1, 20, true)));
    assert!(steps(&queue, || add(&queue, part(1, 1, 50_000, false))) <= MAX_EVICTIONS + 1 + FREED_BY_PUSH);
    assert_eq!((queue.stats().spans_dropped, queue.stats().traces_evicted), (0, 512));
    (0..10).for_each(|_| add(&queue, child(1)));
    assert!(queue.bytes() <= 100_000, "{}", queue.bytes());
    assert_eq!(queue.stats().spans_dropped, 0);
}

#[test]
fn as_many_traces_are_remembered_as_there_is_room_for() {
    let queue = queue(1);
    queue.push(span(1));
    // Evicted, one after the other.
    let many = 2 * MAX_REMEMBERED as u128;
    (0..many).for_each(|n| add(&queue, child(2 + n)));
    assert_eq!(queue.lock().store.places.len(), 1 + MAX_REMEMBERED);
    leave(&queue, 1);
    // The last is remembered, and the first is not.
    queue.push(child(1 + many));
    assert_eq!(queue.len(), 0);
    queue.push(child(2));
    assert_eq!(queue.len(), 1);
    assert_eq!(traces(&queue.take(1)), [] as [u128; 0], "it is held");
}

#[test]
fn a_push_does_not_wait_for_the_lock() {
    let queue = queue(64);
    queue.push(child(1));
    let locked = queue.lock();
    // On this thread: if it waited for the lock, it would wait for ever.
    assert_eq!(queue.push(part(1, 3, 10, true)), Ready { before: 0, after: 0 });
    queue.push(child(2));
    assert_eq!((queue.len(), queue.bytes(), locked.stats.finished), (5, 38, 1));
    drop(locked);
    let stats = queue.stats();
    assert_eq!((stats.finished, stats.queued, stats.queued_bytes, queue.len()), (5, 5, 38, 5));
    assert_eq!(traces(&leave(&queue, 8)), [1, 1, 1, 1]);
    // What comes when the queue is closed is left behind.
    let locked = queue.lock();
    queue.push(child(2));
    drop(locked);
    queue.close();
    assert_eq!((queue.stats().left_behind, queue.len(), queue.bytes()), (2, 0, 0));
}

/// Whoever gets the lock helps to collect what waits.
#[test]
fn few_spans_wait_for_the_lock() {
    let queue = queue(1_000);
    let locked = queue.lock();
    (0..250).for_each(|n| add(&queue, span(1 + n)));
    assert!(queue.inbox.leave(&span(1_000)).is_none(), "a quarter of the limit");
    drop(locked);
    assert!(steps(&queue, || add(&queue, span(1_001))) <= STEPS + 2);
    assert!(steps(&queue, || add(&queue, span(1_002))) <= STEPS + 2);
    assert_eq!((queue.inbox.len(), queue.len()), (250 - 2 * STEPS, 252));
    (0..4).for_each(|n| add(&queue, span(1_003 + n)));
    assert_eq!(queue.inbox.len(), 0);
    assert_eq!(queue.stats().queued, 256);
}

#[test]
fn every_span_is_counted_once_whichever_thread_pushes_it() {
    let queue = queue(1_000);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let queue = &queue;
            scope.spawn(move || (0..5_000).for_each(|n| add(queue, span(thread << 64 | (n / 2 + 1)))));
        }
        for _ in 0..200 {
            leave(&queue, 50);
            queue.free_evicted();
            let stats = queue.stats();
            assert_eq!(stats.finished, settled(&stats), "{stats:?}");
        }
    });
    let stats = queue.stats();
    assert_eq!((stats.finished, settled(&stats)), (20_000, 20_000), "{stats:?}");
    queue.release_all();
    leave(&queue, usize::MAX);
    assert_eq!((queue.len(), queue.bytes()), (0, 0));
}

fn offer(queue: &Queue, spans: &QueuedSpans) -> Ready {
    queue.offer(&spans.with(spans.bytes.to_vec()))
}

#[test]
fn while_there_is_plenty_of_room_spans_wait_in_the_inbox() {
    let queue = queue(1_000);
    // On this thread: if it waited for the lock, it would wait for ever.
    let locked = queue.lock();
    assert_eq!(offer(&queue, &part(1, 2, 10, false)), Ready { before: 0, after: 2 });
    assert_eq!(offer(&queue, &part(1, 3, 10, true)), Ready { before: 2, after: 5 });
    assert_eq!((locked.stats.finished, queue.inbox.len(), queue.len(), queue.bytes()), (0, 5, 5, 50));
    drop(locked);
    queue.collect();
    assert_eq!((queue.inbox.len(), queue.inbox.bytes(), queue.len(), queue.ready()), (0, 0, 5, 5));
    assert_eq!(offer(&queue, &span(2)), Ready { before: 5, after: 6 });
    assert_eq!(traces(&leave(&queue, 8)), [1, 1, 1, 1, 1, 2]);
    // One that is larger than a chunk.
    let large = part(3, 2, 1 << 17, true);
    offer(&queue, &large);
    assert_eq!((queue.inbox.len(), queue.len(), queue.bytes()), (0, 2, large.bytes.len()));
    assert_eq!(leave(&queue, 8)[0].bytes, large.bytes);
}

#[test]
fn what_was_left_in_the_inbox_is_as_it_was() {
    let queue = queue(1 << 20);
    // Fewer chunks than are used again, and then so many that traces share their memory.
    for count in [200_usize, 900, 100] {
        let mut expected = Vec::new();
        for n in 0..count {
            let mut spans = part((count << 20 | n) as u128 + 1, 1, 4 + n, n % 3 > 0);
            spans.other_scopes.extend((n % 2 == 0).then_some((2, ScopeId(1))));
            offer(&queue, &spans);
            expected.push((spans.trace_id.to_bytes(), spans.bytes.clone(), spans.other_scopes.clone()));
        }
        assert_eq!(queue.inbox.len(), count);
        queue.release_all();
        let taken = leave(&queue, 1_000).into_iter();
        let mut taken: Vec<_> =
            taken.map(|spans| (spans.trace_id.to_bytes(), spans.bytes, spans.other_scopes)).collect();
        taken.sort_by_key(|(trace_id, ..)| *trace_id);
        assert_eq!(taken, expected);
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }
}

#[test]
fn a_queue_that_is_half_full_is_told_at_once() {
    let queue = queue(16);
    (0..16).for_each(|n| _ = offer(&queue, &span(1 + n)));
    // A quarter may wait, and then all.
    assert_eq!((queue.inbox.len(), queue.len()), (0, 16));
    offer(&queue, &span(20));
    assert_eq!((queue.len(), losses(&queue)), (16, (1, 1, 0)));
}

#[test]
fn whoever_comes_while_much_waits_helps() {
    let queue = queue(640);
    (0..11).for_each(|n| _ = offer(&queue, &span(1 + n)));
    assert_eq!((queue.inbox.len(), queue.ready()), (11, 0));
    offer(&queue, &span(12));
    assert_eq!((queue.inbox.len(), queue.ready()), (0, 12));
    // Unless the lock is taken: then there is room for more.
    (0..11).for_each(|n| _ = offer(&queue, &span(13 + n)));
    let locked = queue.lock();
    (0..50).for_each(|n| _ = offer(&queue, &span(24 + n)));
    assert_eq!(queue.inbox.len(), 61);
    drop(locked);
    assert_eq!((leave(&queue, 640).len(), queue.len()), (73, 0));
}
