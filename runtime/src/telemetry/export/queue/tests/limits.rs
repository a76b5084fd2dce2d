//! Bounds on the size of the queue and on the time of its operations.

use super::*;

#[test]
fn a_queue_full_of_partly_exported_traces_drops_spans_in_constant_time() {
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
    // There is room again, and then a trace to evict.
    queue.push(span(3));
    queue.push(span(4));
    queue.push(span(1));
    assert_eq!(traces(&leave(&queue, 8)), [1, 1, 1, 3]);
    assert_eq!(losses(&queue), (2, 3, 3));
}

/// Regardless of the content and the size of the queue.
#[test]
fn a_push_into_a_full_queue_takes_few_steps() {
    for limit in [2_000, 20_000] {
        // Held traces, ready traces, and one trace in many parts.
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
            // Another trace; another three hundred spans of a trace that was exported, for which as many traces of one
            // span are evicted; and another span of a queued trace.
            let worst = |spans: EncodedSpans| steps(&queue, || add(&queue, spans));
            assert!(worst(span(1 << 80)) <= 1 + FREED_BY_PUSH);
            assert!(worst(part(1 << 90, 300, 4, false)) <= 301 + FREED_BY_PUSH);
            assert!(worst(child(7)) <= 2 + FREED_BY_PUSH);
            // Evicted parts are freed a few at a time.
            for n in 0..1_000 {
                assert!(worst(span(1 << 81 | n)) <= 2 + FREED_BY_PUSH);
            }
            assert!(queue.lock().store.graveyard.spans as usize <= limit.saturating_sub(1_000 * FREED_BY_PUSH));
            queue.free_evicted();
            assert_eq!(queue.lock().store.graveyard.spans, 0);
        }
    }
}

/// Callers may choose trace IDs.
#[test]
fn chosen_trace_ids_are_evenly_distributed() {
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
fn bytes_are_bounded_like_spans() {
    let queue = Queue::new(QueueLimits { spans: 1_000, bytes: 1_000 });
    // Four traces of 240 bytes fit, and then one of 40.
    (1..=6).for_each(|trace| add(&queue, part(trace, 2, 120, true)));
    assert_eq!((queue.len(), queue.bytes(), losses(&queue)), (8, 960, (2, 4, 0)));
    queue.push(part(7, 1, 40, true));
    assert_eq!(queue.bytes(), 1_000);
    // Spans in flight count until they are settled.
    assert_eq!(traces(&queue.take(4)), [1, 1, 2, 2]);
    queue.push(part(8, 1, 120, true));
    assert_eq!((queue.bytes(), losses(&queue)), (1_000, (3, 5, 0)));
    queue.settle(3, 0);
    assert_eq!(queue.bytes(), 640);
    queue.settle(1, 0);
    assert_eq!((queue.bytes(), queue.stats().queued_bytes), (520, 520));
    // Spans of a partly exported trace replace other traces. If there are none left, some are dropped.
    queue.push(part(1, 8, 100, false));
    assert_eq!((queue.bytes(), losses(&queue)), (800, (6, 10, 0)));
    queue.push(part(1, 3, 80, false));
    assert_eq!((queue.bytes(), queue.stats().spans_dropped), (960, 1));
    assert_eq!(traces(&leave(&queue, 100)), [1; 10]);
    assert_eq!((queue.bytes(), queue.len()), (0, 0));
}

/// A span that is larger than what may be evicted at once.
#[test]
fn room_for_a_large_span_is_made_in_steps() {
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
fn the_number_of_remembered_traces_is_bounded() {
    let queue = queue(1);
    queue.push(span(1));
    // Evicted one after the other.
    let many = 2 * MAX_REMEMBERED as u128;
    (0..many).for_each(|n| add(&queue, child(2 + n)));
    assert_eq!(queue.lock().store.places.len(), 1 + MAX_REMEMBERED);
    leave(&queue, 1);
    // The last one is remembered, the first one is not.
    queue.push(child(1 + many));
    assert_eq!(queue.len(), 0);
    queue.push(child(2));
    assert_eq!(queue.len(), 1);
    assert_eq!(traces(&queue.take(1)), [] as [u128; 0], "the trace is held");
}

#[test]
fn a_trace_that_was_exported_twice_is_remembered_from_the_second_time() {
    let queue = queue(10);
    for n in [1, 1].into_iter().chain(2..=MAX_REMEMBERED as u128) {
        add(&queue, span(n));
        leave(&queue, 1);
    }
    // The first of the two entries has been overwritten.
    add(&queue, child(1));
    assert_eq!(traces(&leave(&queue, 1)), [1], "the span follows its trace, and is not held");
}
