//! Every span is counted once.

use super::*;

#[test]
fn spans_in_flight_count_towards_the_limit_until_they_are_settled() {
    let queue = queue(4);
    for trace in 1..=4 {
        queue.push(span(trace));
    }
    assert_eq!(traces(&queue.take(4)).len(), 4);
    assert_eq!((queue.len(), queue.in_flight()), (4, 4));
    queue.push(span(5));
    assert_eq!((queue.len(), losses(&queue)), (4, (1, 1, 0)), "no room");
    queue.settle(1, 1);
    queue.push(span(6));
    assert_eq!((queue.len(), queue.in_flight()), (3, 2));
    let stats = queue.stats();
    assert_eq!((stats.exported, stats.refused, stats.queued, stats.in_flight), (1, 1, 1, 2));
}

/// Even if they exceed the size of a batch.
#[test]
fn spans_that_were_handed_over_together_are_taken_together() {
    let queue = queue(100);
    for (trace, count) in [(1, 10), (2, 2), (3, 1), (4, 2), (5, 2)] {
        add(&queue, part(trace, count, 4, true));
    }
    let taken = [3, 3, 3, 3].map(|count| traces(&queue.take(count)));
    assert_eq!(taken, [vec![1; 10], vec![2, 2, 3], vec![4, 4], vec![5, 5]]);
}

#[test]
fn every_span_is_counted_once() {
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

#[test]
fn evicted_spans_are_no_longer_ready() {
    let queue = queue(2);
    add(&queue, span(1));
    leave(&queue, 1);
    add(&queue, span(2));
    add(&queue, span(3));
    // It has to follow the exported span of its trace, so the youngest other trace is evicted.
    add(&queue, child(1));
    assert_eq!((losses(&queue).0, queue.ready()), (1, 2));
    assert_eq!(traces(&leave(&queue, 3)), [2, 1]);
    assert_eq!(queue.ready(), 0);
}

#[test]
fn ready_traces_are_ordered_by_the_time_at_which_they_became_ready() {
    let queue = queue(10);
    add(&queue, span(1));
    leave(&queue, 1);
    // Held until it is released below.
    add(&queue, child(2));
    add(&queue, child(1));
    queue.release_all();
    assert_eq!(traces(&leave(&queue, 2)), [1, 2]);
}

#[test]
fn a_prefix_of_a_part_does_not_have_its_root() {
    let all = part(1, 3, 10, true);
    for (max, expected) in [(2, (2, false)), (3, (3, true))] {
        let first = all.with(&*all.bytes).first(max, usize::MAX);
        assert_eq!((first.count, first.has_local_root), expected);
    }
}

#[test]
fn sums_of_losses() {
    let stats = ExportStats {
        queued: 1,
        in_flight: 10,
        left_behind: 100,
        traces_not_started: 1_000,
        traces_evicted: 10_000,
        ..ExportStats::default()
    };
    assert_eq!((stats.spans_unsent(), stats.traces_shed()), (111, 11_000));
}
