//! The buffer of traces that have not been judged, and the limits of what is kept afterwards.

use super::*;

fn trace(number: u128, spans: std::ops::RangeInclusive<u64>) -> impl Iterator<Item = Span> {
    let parent = |id| u64::from(id > 1);
    spans.map(move |id| span(id, parent(id), "work").in_trace(number))
}

#[test]
fn the_oldest_traces_are_judged_when_the_buffer_is_full() {
    let mut audit = Audit::new(Rules::new().max_spans(40));
    for number in 1..=100 {
        trace(number, 1..=4).for_each(|span| audit.push(span));
    }
    let report = audit.report();
    assert_unbroken(&report);
    assert_eq!(report.total.traces + report.skipped.traces_pending, 100);
    assert!(report.skipped.traces_pending <= 10, "{report}");
    assert_eq!(audit.finish().total.traces, 100);
}

#[test]
fn an_evicted_trace_with_a_missing_parent_is_given_up_and_not_reported_as_broken() {
    let mut audit = Audit::new(Rules::new().max_spans(40));
    trace(1, 2..=3).for_each(|span| audit.push(span));
    for number in 2..=100 {
        trace(number, 1..=4).for_each(|span| audit.push(span));
    }
    // The parent arrives too late.
    trace(1, 1..=1).for_each(|span| audit.push(span));
    let report = audit.finish();
    assert_unbroken(&report);
    assert_eq!((report.total.traces, report.skipped.traces_given_up, report.skipped.spans_late), (99, 1, 1));
}

/// Late spans may be broken, as here.
#[test]
fn a_complete_trace_that_receives_late_spans_is_counted() {
    let mut audit = Audit::new(Rules::new().max_spans(4));
    (1..=9).flat_map(|number| trace(number, 1..=1)).for_each(|span| audit.push(span));
    [7, 8].map(|id| span(id, 99, "orphan").in_trace(1)).into_iter().for_each(|span| audit.push(span));
    trace(2, 2..=2).for_each(|span| audit.push(span));
    let report = audit.finish();
    assert_eq!((report.total.traces, report.total.complete), (9, 9));
    assert_eq!((report.skipped.spans_late, report.skipped.traces_late), (3, 2));
    assert_eq!(report.to_json()["skipped"]["traces_late"], 2);
}

#[test]
fn a_trace_that_keeps_receiving_spans_is_not_evicted() {
    let mut audit = Audit::new(Rules::new().max_spans(40));
    trace(1, 2..=2).for_each(|span| audit.push(span));
    for number in 2..=20 {
        trace(number, 1..=4).for_each(|span| audit.push(span));
        let id = u64::try_from(number).expect("it fits") + 1;
        audit.push(span(id, 1, "work").in_trace(1));
    }
    trace(1, 1..=1).for_each(|span| audit.push(span));
    let report = audit.finish();
    assert_unbroken(&report);
    assert_eq!((report.total.traces, report.skipped), (20, crate::audit::Skipped::default()));
}

#[test]
fn quiet_traces_are_judged_unless_they_have_open_spans() {
    let mut audit = Audit::new(Rules::new());
    for (number, time) in [(1, 0), (2, 10), (3, 20)] {
        trace(number, 1..=2).for_each(|span| audit.push_at(span, time));
    }
    audit.judge_quiet(15, 15, None, |id| id == TraceId::from(2));
    assert_eq!((audit.report().total.traces, audit.report().skipped.traces_pending), (1, 2));
    audit.judge_quiet(25, 25, None, |_| false);
    assert_eq!((audit.report().total.traces, audit.report().skipped.traces_pending), (3, 0));
}

#[test]
fn a_trace_with_a_missing_parent_waits() {
    let mut audit = Audit::new(Rules::new());
    trace(1, 2..=3).chain(trace(2, 2..=3)).for_each(|span| audit.push_at(span, 0));
    audit.judge_quiet(100, 100, None, |_| false);
    audit.judge_quiet(110, 110, None, |_| false);
    assert_eq!((audit.report().total.traces, audit.report().skipped.traces_pending), (0, 2));
    // The parent of the first trace ends.
    trace(1, 1..=1).for_each(|span| audit.push_at(span, 120));
    audit.judge_quiet(130, 119, None, |_| false);
    assert_eq!(audit.report().skipped.traces_pending, 2);
    audit.judge_quiet(130, 130, None, |_| false);
    assert_eq!((audit.report().total.complete, audit.report().skipped.traces_pending), (1, 1));
    audit.judge_quiet(130, 130, Some(30), |_| false);
    let report = audit.report();
    assert_eq!((report.total.traces, report.total.complete, report.count(BreakKind::MissingParent)), (2, 1, 1));
}

/// Traces that are not due cost nothing, however many there are and however often the audit is asked to judge.
#[test]
fn only_traces_whose_turn_has_come_are_checked() {
    const TRACES: u64 = 5_000;
    const QUIET: u64 = 1_000;
    let mut audit = Audit::new(Rules::new());
    let mut checked = 0;
    // One trace per tick. Each gets its second span after half of the quiet time, which then starts again.
    for now in 0..TRACES {
        trace(u128::from(now) + 1, 1..=1).for_each(|span| audit.push_at(span, now));
        if let Some(again) = now.checked_sub(QUIET / 2) {
            trace(u128::from(again) + 1, 2..=2).for_each(|span| audit.push_at(span, now));
        }
        if let Some(since) = now.checked_sub(QUIET) {
            checked += audit.judge_quiet(now, since, None, |_| false);
        }
    }
    let report = audit.report();
    assert_unbroken(&report);
    let judged = report.total.traces;
    assert_eq!(judged, TRACES - QUIET - QUIET / 2);
    // Each is checked once too early, because of the second span, and once when it is judged.
    let expected = usize::try_from(judged + (TRACES - QUIET)).unwrap();
    assert_eq!(checked, expected);
    // No trace is due, so none is checked.
    assert_eq!(audit.judge_quiet(TRACES, 0, None, |_| false), 0);
}

#[test]
fn waiting_and_open_traces_are_not_checked_each_time() {
    const TRACES: u128 = 1_000;
    let mut audit = Audit::new(Rules::new());
    // One half has a missing parent, the other half an open span.
    for number in 1..=TRACES {
        trace(number, 2..=2).chain(trace(TRACES + number, 1..=1)).for_each(|span| audit.push_at(span, 0));
    }
    let is_open = |id: TraceId| u128::from_be_bytes(id.to_bytes()) > TRACES;
    let checked = [10, 11, 12, 19, 20, 100].map(|now| audit.judge_quiet(now, now - 10, now.checked_sub(100), is_open));
    assert_eq!(checked, [2_000, 0, 0, 0, 1_000, 2_000], "all; the open ones; the open ones and the overdue ones");
    let report = audit.report();
    assert_eq!((report.total.traces, report.count(BreakKind::MissingParent)), (1_000, 1_000));
    assert_eq!(report.skipped.traces_pending, 1_000);
    // A flush does not wait for another turn.
    assert_eq!(audit.judge_quiet(101, 101, None, |_| false), 1_000);
    assert_eq!(audit.report().total.complete, 1_000);
}

/// The trace that was pushed first is not the least recently updated one.
#[test]
fn the_quietest_traces_are_given_up_first() {
    let mut audit = Audit::new(Rules::new().max_spans(8));
    for number in 1..=8 {
        trace(number, 2..=2).for_each(|span| audit.push(span));
    }
    trace(1, 3..=3).for_each(|span| audit.push(span));
    assert_eq!(audit.report().skipped.traces_given_up, 2);
    // The first trace is still buffered, and complete once its parent has arrived.
    trace(1, 1..=1).for_each(|span| audit.push(span));
    trace(2, 1..=1).chain(trace(3, 1..=1)).for_each(|span| audit.push(span));
    let report = audit.report();
    assert_eq!((report.skipped.spans_late, report.skipped.traces_given_up), (2, 2));
    let report = audit.finish();
    assert_eq!((report.total.traces, report.total.complete), (6, 1));
}

/// Traces that wait for a parent have a queue of their own.
#[test]
fn a_waiting_trace_is_given_up_if_it_is_the_least_recently_updated() {
    let mut audit = Audit::new(Rules::new().max_spans(8));
    trace(1, 2..=2).for_each(|span| audit.push_at(span, 0));
    audit.judge_quiet(10, 10, None, |_| false);
    for number in 2..=9 {
        trace(number, 1..=1).for_each(|span| audit.push_at(span, 20));
    }
    let report = audit.report();
    assert_eq!((report.skipped.traces_given_up, report.total.complete), (1, 1));
}

/// With a predictable hash, callers could choose IDs that all fall into one bucket.
#[test]
fn hashes_are_randomly_seeded() {
    use std::hash::BuildHasher as _;

    use crate::audit::tally::{Ids, Map, Set, Traces};

    let id = TraceId::from(7);
    assert_ne!(Ids::new().hasher().hash_one(id), Ids::new().hasher().hash_one(id));
    assert_ne!(Traces::<u8>::new().hasher().hash_one(id), Traces::<u8>::new().hasher().hash_one(id));
    let (one, other) = (Map::<&str, u8>::default(), Map::<&str, u8>::default());
    assert_ne!(one.hasher().hash_one("name"), other.hasher().hash_one("name"));
    let (one, other) = (Set::<&str>::default(), Set::<&str>::default());
    assert_ne!(one.hasher().hash_one("name"), other.hasher().hash_one("name"));
}

#[test]
fn an_invalid_share_is_clamped_and_nan_selects_all() {
    let audited =
        |share| audit(Rules::new().sample(share), (1..=1_000).flat_map(|number| trace(number, 1..=1))).total.traces;
    for all in [1.0, 1.5, f64::INFINITY, f64::NAN, -f64::NAN] {
        assert_eq!(audited(all), 1_000, "{all}");
    }
    for none in [0.0, -0.0, -0.5, f64::NEG_INFINITY] {
        assert_eq!(audited(none), 0, "{none}");
    }
    let half = audited(0.5);
    assert!((400..600).contains(&half), "{half}");
}

#[test]
fn spans_that_were_exported_twice_do_not_fill_the_buffer() {
    let mut audit = Audit::new(Rules::new().max_spans(8));
    for number in 1..=10 {
        trace(number, 1..=2).chain(trace(number, 1..=2)).for_each(|span| audit.push_at(span, 0));
        audit.judge_quiet(0, 0, None, |_| false);
    }
    // The buffer is empty again, and has room for a trace with a missing parent.
    trace(11, 2..=8).for_each(|span| audit.push_at(span, 0));
    let report = audit.report();
    assert_unbroken(&report);
    let skipped = report.skipped;
    assert_eq!((report.total.spans, skipped.traces_pending, skipped.traces_given_up), (20, 1, 0));
}

#[test]
fn a_share_of_the_traces_is_audited() {
    let mut audit = Audit::new(Rules::new().sample(0.25));
    // Consecutive IDs, as from a bad generator.
    for number in 1..=10_000 {
        trace(number, 1..=1).for_each(|span| audit.push(span));
    }
    let traces = audit.finish().total.traces;
    assert!((2_300..2_700).contains(&traces), "{traces}");
}

#[test]
fn examples_are_limited_and_counts_are_not() {
    let rules = Rules::new().max_examples(2).max_broken_traces(3).max_spans_shown(5);
    let broken = |number| trace(number, 2..=20);
    let report = audit(rules, (1..=100).flat_map(broken));
    assert_eq!(report.count(BreakKind::MissingParent), 100);
    assert_eq!((report.breaks.len(), report.breaks[0].examples.len()), (1, 2));
    assert_eq!((report.traces.len(), report.traces[0].spans.len()), (2, 5));
    assert_eq!(report.traces[0].marks[0].span, 0);
    let rules = Rules::new().max_examples(9).max_broken_traces(3);
    let report = audit(rules, (1..=100).flat_map(broken));
    assert_eq!((report.breaks[0].examples.len(), report.traces.len()), (9, 3));
}

/// Beyond the first spans, which are shown of a truncated trace.
#[test]
fn a_late_break_in_a_large_trace_is_shown_and_marked() {
    let spans = trace(1, 1..=14).chain([span(15, 99, "orphan")]).chain(trace(1, 16..=30));
    let report = audit(Rules::new().max_spans_shown(5), spans);
    let shown = &report.traces[0];
    assert_eq!(shown.spans.iter().map(|span| span.span_id).collect::<Vec<_>>(), [1, 2, 3, 4, 15].map(SpanId::from));
    assert_eq!(shown.marks.iter().map(|mark| mark.span).collect::<Vec<_>>(), [4]);
    assert!(shown.tree().contains("orphan (orders) 70.0 ms  <-- missing-parent"), "{}", shown.tree());
}

#[test]
fn distinct_breaks_are_bounded() {
    let broken = |number: u128| span(2, 1, &format!("{number}")).in_trace(number);
    let report = audit(Rules::new().max_names(usize::MAX), (1..=5_000).map(broken));
    assert_eq!(report.count(BreakKind::MissingParent), 5_000);
    assert_eq!(report.breaks.len(), 1_001);
    assert_eq!(&*report.breaks[0].span, "(other)");
}

#[test]
fn breaks_of_many_services_are_bounded() {
    let broken = |number: u128| span(2, 1, "work").of(&format!("{number:04}")).in_trace(number);
    let report = audit(Rules::new(), (1..=3_000).map(broken));
    assert_eq!(report.count(BreakKind::MissingParent), 3_000);
    assert_eq!((report.services.len(), report.breaks.len()), (1_001, 1_001));
    let others = report.service("(other)").expect("further services");
    assert_eq!((others.counts.traces, others.breaks), (2_000, 2_000));
    assert_eq!((&*report.breaks[0].service, report.breaks[0].count), ("(other)", 2_000));
}

/// With quadratic algorithms, such a trace would take hours.
#[test]
fn a_large_trace_in_which_every_span_is_broken() {
    const SPANS: u64 = 10_000;
    let rules = Rules::new().require_tag("tenant_id").business_tag("order_no");
    let chain = |id: u64| {
        let mut span = span(1, 0, "work").tag("order_no", id.to_string());
        (span.span_id, span.parent_id) = (SpanId::from(id), (id > 1).then(|| SpanId::from(id - 1)));
        span
    };
    // Each span is an entry of its service.
    let entries = (1..=SPANS).map(|id| Span { parent_is_remote: Some(true), ..chain(id) });
    let report = audit(rules.clone(), entries);
    assert_eq!(report.count(BreakKind::MissingTag), SPANS);
    assert_eq!(report.count(BreakKind::ConflictingTag), SPANS - 1);
    // All are in one service, each starts a second before its parent, and none has a source location.
    let early = (1..=SPANS).map(|id| chain(id).times((2 * SPANS - id) * 1_000, 3 * SPANS * 1_000));
    assert_eq!(audit(rules, early).count(BreakKind::ClockSkew), SPANS - 1);
}

#[test]
fn the_oldest_judged_trace_is_forgotten() {
    const REMEMBERED: u128 = 1 << 16;
    let mut audit = Audit::new(Rules::new().max_spans(1));
    (1..=REMEMBERED + 2).flat_map(|number| trace(number, 1..=1)).for_each(|span| audit.push(span));
    // The last trace has not been judged yet, so all others but the first are remembered.
    [2, 1].into_iter().flat_map(|number| trace(number, 2..=2)).for_each(|span| audit.push(span));
    let skipped = audit.report().skipped;
    assert_eq!((skipped.spans_late, skipped.traces_late, skipped.traces_pending), (1, 1, 1));
}

#[test]
fn spans_without_ids_are_ignored() {
    let report = audit(Rules::new(), [span(0, 0, "no id"), span(1, 0, "no trace").in_trace(0)]);
    assert_eq!((report.total.spans, report.total.percent()), (0, "n/a".to_owned()));
    assert!(report.is_unbroken(), "{report}");
}
