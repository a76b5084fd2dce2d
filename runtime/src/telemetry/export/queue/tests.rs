use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

use super::*;

fn span(trace: u128) -> SpanData {
    let context = SpanContext::new(TraceId::from(trace), SpanId::from(1), TraceFlags::SAMPLED, false, TraceState::NONE);
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

/// A span that is not the local root.
fn child(trace: u128) -> SpanData {
    SpanData { parent_span_id: SpanId::from(2), ..span(trace) }
}

fn traces(spans: &[SpanData]) -> Vec<u128> {
    spans.iter().map(|span| u128::from_be_bytes(span.span_context.trace_id().to_bytes())).collect()
}

/// Takes spans, and settles them as exported.
fn leave(queue: &Queue, count: usize) -> Vec<SpanData> {
    let batch = queue.take(count);
    queue.settle(batch.len() as u64, 0);
    batch
}

/// Traces evicted, their spans, and spans dropped from others.
fn losses(queue: &Queue) -> (u64, u64, u64) {
    let stats = queue.stats();
    (stats.traces_evicted, stats.spans_evicted, stats.spans_dropped)
}

#[test]
fn first_in_first_out() {
    let queue = Queue::new(8);
    for trace in [1, 2, 1] {
        queue.push(span(trace));
    }
    assert_eq!(queue.len(), 3);
    assert_eq!(traces(&leave(&queue, 2)), [1, 2]);
    assert_eq!(traces(&leave(&queue, 2)), [1]);
    assert_eq!((queue.len(), losses(&queue)), (0, (0, 0, 0)));
}

#[test]
fn the_trace_that_does_not_fit_goes_as_a_whole() {
    let queue = Queue::new(4);
    for trace in [1, 1, 2, 3] {
        queue.push(span(trace));
    }
    // No room for a fourth: nothing of it is queued, now or later.
    queue.push(span(4));
    queue.push(span(4));
    assert_eq!(traces(&leave(&queue, 8)), [1, 1, 2], "the goal is a span, and the youngest that has one is 3");
    assert_eq!(losses(&queue), (2, 3, 0));
    queue.push(span(3));
    assert_eq!(queue.len(), 0);
    assert_eq!(losses(&queue), (2, 4, 0));
}

#[test]
fn what_has_begun_to_leave_follows() {
    let queue = Queue::new(4);
    queue.push(span(1));
    leave(&queue, 1);
    for trace in [1, 1, 2, 3] {
        queue.push(span(trace));
    }
    queue.push(span(1));
    assert_eq!(traces(&leave(&queue, 8)), [1, 1, 2, 1]);
    assert_eq!(losses(&queue), (1, 1, 0));
}

#[test]
fn a_trace_larger_than_the_queue_is_torn_and_says_so() {
    let queue = Queue::new(2);
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
    let queue = Queue::new(64);
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
    // A trace that a caller in another process has started.
    queue.push(SpanData { parent_span_is_remote: true, ..child(2) });
    assert_eq!(traces(&leave(&queue, 8)), [2, 2]);
}

#[test]
fn one_that_takes_its_time_leaves_all_the_same() {
    let queue = Queue::new(64);
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
    let queue = Queue::new(4);
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
    let queue = Queue::new(64);
    let (mut sent, mut whole) = (0, 0);
    for round in 0..200u128 {
        // Fifty traces of eleven spans, in turn.
        for _ in 0..10 {
            for trace in 0..50 {
                queue.push(child(1 + round * 50 + trace));
            }
            for span in leave(&queue, 5) {
                sent += 1;
                whole += u64::from(span.parent_span_id == SpanId::INVALID);
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
        whole += u64::from(span.parent_span_id == SpanId::INVALID);
    }
    let (evicted, _, dropped) = losses(&queue);
    assert_eq!((sent, dropped, evicted), (whole * 11, 0, 10_000 - whole));
    assert!(whole > 200, "{whole}");
}

#[test]
fn a_full_queue_of_traces_that_have_begun_is_searched_once() {
    let queue = Queue::new(4);
    queue.push(span(1));
    leave(&queue, 1);
    for _ in 0..6 {
        queue.push(span(1));
    }
    assert!(queue.lock().nothing_to_evict);
    queue.push(span(2));
    queue.push(span(2));
    assert_eq!(losses(&queue), (1, 2, 2));
    leave(&queue, 2);
    assert!(!queue.lock().nothing_to_evict);
    // There is room again, and then something to evict.
    queue.push(span(3));
    queue.push(span(4));
    queue.push(span(1));
    assert_eq!(traces(&leave(&queue, 8)), [1, 1, 3, 1]);
    assert_eq!(losses(&queue), (2, 3, 2));
}

/// In whatever order spans arrive: a trace is exported as a whole or not at all, unless spans are counted as dropped.
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
    let queue = Queue::new(4);
    for trace in 1..=4 {
        queue.push(span(trace));
    }
    assert_eq!(queue.take(4).len(), 4);
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
    let queue = Queue::new(32);
    let mut pushed = 0;
    for round in 0..5_000u128 {
        match random(4) {
            0 | 1 => {
                pushed += 1;
                let trace = 1 + round / 100 * 4 + u128::from(random(4));
                queue.push(if random(6) == 0 { span(trace) } else { child(trace) });
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
    }
    assert!(queue.stats().spans_evicted > 0 && queue.stats().spans_dropped > 0, "{:?}", queue.stats());
    assert!(queue.close() && !queue.close());
    queue.push(span(1));
    queue.settle(5, 5);
    let stats = queue.stats();
    assert_eq!((queue.len(), stats.queued, stats.in_flight, settled(&stats)), (0, 0, 0, pushed + 1), "{stats:?}");
}
