//! How much there may be, and how long it takes at most.

use super::*;

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

/// Whatever the queue is full of, and however large it is.
#[test]
fn a_push_into_a_full_queue_takes_few_steps() {
    for limit in [2_000, 20_000] {
        // Traces that are held, traces that are ready, and one trace in many parts.
        type Fill = fn(u128) -> EncodedSpans;
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
            let worst = |spans: EncodedSpans| steps(&queue, || add(&queue, spans));
            assert!(worst(span(1 << 80)) <= 1 + FREED_BY_PUSH);
            assert!(worst(part(1 << 90, 300, 4, false)) <= 301 + FREED_BY_PUSH);
            assert!(worst(child(7)) <= 2 + FREED_BY_PUSH);
            // What was evicted is freed a few at a time.
            for n in 0..1_000 {
                assert!(worst(span(1 << 81 | n)) <= 2 + FREED_BY_PUSH);
            }
            assert!(queue.lock().store.graveyard.spans as usize <= limit.saturating_sub(1_000 * FREED_BY_PUSH));
            queue.free_evicted();
            assert_eq!(queue.lock().store.graveyard.spans, 0);
        }
    }
}

/// Trace IDs may be chosen by a caller.
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
fn a_trace_that_was_exported_again_is_not_forgotten_before_others() {
    let queue = queue(10);
    for n in [1, 1].into_iter().chain(2..=MAX_REMEMBERED as u128) {
        add(&queue, span(n));
        leave(&queue, 1);
    }
    // The first of the two times that the trace was remembered has been forgotten.
    add(&queue, child(1));
    assert_eq!(traces(&leave(&queue, 1)), [1], "it follows, and is not held");
}
