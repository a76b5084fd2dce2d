//! Spans in the inbox.

use super::*;

#[test]
fn a_push_does_not_wait_for_the_lock() {
    let queue = queue(64);
    queue.push(child(1));
    let locked = queue.lock();
    // On the same thread: waiting for the lock would deadlock.
    assert_eq!(queue.push(part(1, 3, 10, true)), Ready { before: 0, after: 0 });
    queue.push(child(2));
    assert_eq!((queue.len(), queue.bytes(), locked.stats.finished), (5, 38, 1));
    drop(locked);
    let stats = queue.stats();
    assert_eq!((stats.finished, stats.queued, stats.queued_bytes, queue.len()), (5, 5, 38, 5));
    assert_eq!(traces(&leave(&queue, 8)), [1, 1, 1, 1]);
    // Spans that are collected after the queue was closed are left behind.
    let locked = queue.lock();
    queue.push(child(2));
    drop(locked);
    queue.close();
    assert_eq!((queue.stats().left_behind, queue.len(), queue.bytes()), (2, 0, 0));
}

/// Threads that get the lock help to collect the inbox.
#[test]
fn the_inbox_is_bounded_while_the_lock_is_taken() {
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
fn spans_pushed_by_many_threads_are_counted_once() {
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

fn offer(queue: &Queue, spans: &EncodedSpans) -> Ready {
    queue.offer(&spans.with(spans.bytes.to_vec()))
}

#[test]
fn while_there_is_plenty_of_room_spans_wait_in_the_inbox() {
    let queue = queue(1_000);
    // On the same thread: waiting for the lock would deadlock.
    let locked = queue.lock();
    assert_eq!(offer(&queue, &part(1, 2, 10, false)), Ready { before: 0, after: 2 });
    assert_eq!(offer(&queue, &part(1, 3, 10, true)), Ready { before: 2, after: 5 });
    assert_eq!((locked.stats.finished, queue.inbox.len(), queue.len(), queue.bytes()), (0, 5, 5, 50));
    drop(locked);
    queue.collect();
    assert_eq!((queue.inbox.size(), queue.len(), queue.ready()), ((0, 0), 5, 5));
    assert_eq!(offer(&queue, &span(2)), Ready { before: 5, after: 6 });
    assert_eq!(traces(&leave(&queue, 8)), [1, 1, 1, 1, 1, 2]);
    // Spans that are larger than a chunk bypass the inbox.
    let large = part(3, 2, 1 << 17, true);
    offer(&queue, &large);
    assert_eq!((queue.inbox.len(), queue.len(), queue.bytes()), (0, 2, large.bytes.len()));
    assert_eq!(*leave(&queue, 8)[0].bytes, *large.bytes);
}

#[test]
fn spans_leave_the_inbox_unchanged() {
    let queue = queue(1 << 20);
    // Fewer chunks than are reused, and then so many that traces share the memory of their chunks.
    for count in [200_usize, 900, 100] {
        let mut expected = Vec::new();
        for n in 0..count {
            let mut spans = part((count << 20 | n) as u128 + 1, 1, 4 + n, n % 3 > 0);
            spans.other_scopes.extend((n % 2 == 0).then_some((2, crate::encoding::ScopeId(1))));
            offer(&queue, &spans);
            expected.push((spans.trace_id.to_bytes(), spans.bytes.to_vec(), spans.other_scopes.clone()));
        }
        assert_eq!(queue.inbox.len(), count);
        queue.release_all();
        let taken = leave(&queue, 1_000).into_iter();
        let mut taken: Vec<_> =
            taken.map(|spans| (spans.trace_id.to_bytes(), spans.bytes.to_vec(), spans.other_scopes)).collect();
        taken.sort_by_key(|(trace_id, ..)| *trace_id);
        assert_eq!(taken, expected);
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }
}

#[test]
fn a_queue_that_is_half_full_bypasses_the_inbox() {
    let queue = queue(16);
    (0..16).for_each(|n| _ = offer(&queue, &span(1 + n)));
    assert_eq!((queue.inbox.len(), queue.len()), (0, 16));
    offer(&queue, &span(20));
    assert_eq!((queue.len(), losses(&queue)), (16, (1, 1, 0)));
}

#[test]
fn pushes_help_to_collect_while_the_inbox_is_filling_up() {
    let queue = queue(640);
    (0..11).for_each(|n| _ = offer(&queue, &span(1 + n)));
    assert_eq!((queue.inbox.len(), queue.ready()), (11, 0));
    offer(&queue, &span(12));
    assert_eq!((queue.inbox.len(), queue.ready()), (0, 12));
    // Unless the lock is taken: then the inbox has room for more.
    (0..11).for_each(|n| _ = offer(&queue, &span(13 + n)));
    let locked = queue.lock();
    (0..50).for_each(|n| _ = offer(&queue, &span(24 + n)));
    assert_eq!(queue.inbox.len(), 61);
    drop(locked);
    assert_eq!((leave(&queue, 640).len(), queue.len()), (73, 0));
}
