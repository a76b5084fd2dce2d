//! The memory of queued spans.

use super::super::places::Place;
use super::*;

/// Leaves complete traces in the inbox, and collects them. The bytes of each are different.
fn collect(queue: &Queue, traces: std::ops::Range<u8>) {
    for n in traces {
        let mut spans = part(u128::from(n) + 1, 1, 40 + usize::from(n % 7), true);
        spans.bytes = spans.bytes.iter().map(|byte| byte ^ n).collect();
        assert!(queue.inbox.leave(&spans).is_some());
    }
    queue.collect();
}

fn shared_bytes(queue: &Queue) -> (usize, usize) {
    queue.lock().store.parts.shared_bytes()
}

#[test]
fn shared_memory_is_at_most_twice_what_is_needed() {
    let queue = queue(240);
    collect(&queue, 0..60);
    let (all, needed) = shared_bytes(&queue);
    assert_eq!((all, needed), (queue.bytes(), queue.bytes()), "nothing is wasted");
    (0..180).for_each(|n| add(&queue, span(1_000 + n)));
    let mut expected: Vec<u8> = (0..60).collect();
    // A trace that does not fit is evicted as a whole, wherever it is in the shared memory.
    for n in [0, 59, 30, 31, 32, 7, 8, 58, 1].into_iter().chain((10..57).filter(|n| n % 4 > 0 && !(30..33).contains(n)))
    {
        queue.push(child(u128::from(n) + 1));
        expected.retain(|other| *other != n);
        queue.free_evicted();
        let (all, needed) = shared_bytes(&queue);
        assert!(all <= 2 * needed, "{all} for {needed}");
        // Fills the queue again.
        add(&queue, span(2_000 + u128::from(n)));
    }
    assert!(shared_bytes(&queue).0 < all / 2, "the memory was compacted");
    let taken = leave(&queue, expected.len());
    assert_eq!(traces(&taken), expected.iter().map(|n| u128::from(*n) + 1).collect::<Vec<_>>());
    for (spans, n) in taken.iter().zip(expected) {
        let original = part(1, 1, 40 + usize::from(n % 7), true).bytes;
        assert!(spans.bytes.iter().map(|byte| byte ^ n).eq(original), "{n}");
    }
    assert_eq!(shared_bytes(&queue), (0, 0));
}

/// As above, but everything in shared memory is evicted before anything is freed.
#[test]
fn memory_that_is_no_longer_needed_is_freed() {
    let queue = queue(240);
    collect(&queue, 0..60);
    (0..180).for_each(|n| add(&queue, span(1_000 + n)));
    for n in 0..60 {
        queue.push(child(1 + n));
        add(&queue, span(2_000 + n));
    }
    queue.free_evicted();
    assert_eq!((shared_bytes(&queue), losses(&queue).0), ((0, 0), 60));
}

/// Spans may be refused when they are collected. They are freed later.
#[test]
fn refused_spans_do_not_leak() {
    let queue = queue(40);
    (1..=40).for_each(|n| add(&queue, span(n)));
    for n in 0..5 {
        assert!(queue.inbox.leave(&child(100 + n)).is_some());
    }
    queue.collect();
    queue.free_evicted();
    assert_eq!((losses(&queue), queue.lock().store.parts.len()), ((5, 5, 0), 40));
}

/// An incomplete trace may wait for its local root span for a long time.
#[test]
fn only_complete_traces_share_memory() {
    let queue = queue(240);
    for n in 0..20 {
        assert!(queue.inbox.leave(&part(1 + n, 1, 100, n % 2 == 0)).is_some());
    }
    queue.collect();
    assert_eq!((shared_bytes(&queue), queue.bytes()), ((1_000, 1_000), 2_000));
}

/// Of a chunk that could be given away because many wait, but of which little is needed.
#[test]
fn a_chunk_is_not_kept_alive_for_a_few_bytes() {
    let queue = queue(1 << 20);
    let mut complete = 0;
    for n in 0..1_000 {
        let spans = part(1 + n, 1, 2_000, n % 10 < 2);
        complete += if spans.has_local_root { spans.bytes.len() } else { 0 };
        assert!(queue.inbox.leave(&spans).is_some());
    }
    queue.collect();
    assert_eq!(shared_bytes(&queue), (complete, complete));
}

/// However many chunks are compacted, the lock is released in between.
#[test]
fn few_bytes_are_moved_at_a_time() {
    const TRACES: u128 = 960;
    let queue = queue(4_000);
    (0..TRACES).for_each(|n| assert!(queue.inbox.leave(&part(1 + n, 1, 2_000, true)).is_some()));
    queue.collect();
    let mut inner = queue.lock();
    // Half of each chunk, which has 32 traces, and then one more trace of each.
    let half = (0..TRACES).filter(|n| n % 32 < 16);
    for n in half.chain((0..TRACES).filter(|n| n % 32 == 16)) {
        let Some(Place::Queued(at)) = inner.store.places.get(TraceId::from(1 + n).into()) else {
            panic!("trace {n} is not queued")
        };
        inner.evict(at);
    }
    let mut freed = Vec::new();
    while inner.store.graveyard.spans > 0 {
        freed.push(inner.exhume(STEPS).filter_map(|(bytes, _)| bytes).map(|bytes| bytes.len()).sum::<usize>());
    }
    assert_eq!(freed.iter().filter(|bytes| **bytes > 0).count(), 10, "three chunks at a time: {freed:?}");
    assert!(freed.iter().all(|bytes| *bytes < MAX_FREED_BYTES + (1 << 16)), "{freed:?}");
}
