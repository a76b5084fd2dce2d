//! Random traces from which random spans are lost.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A tree of spans with the IDs 1, 2, …, as the parent and the service of each span. A parent has a lower ID, and there
/// are three services.
fn trees() -> impl Strategy<Value = Vec<(usize, u8)>> {
    vec((any::<prop::sample::Index>(), 0..3_u8), 1..40).prop_map(|spans| {
        let parent = |(at, (index, service)): (usize, (prop::sample::Index, u8))| {
            (if at == 0 { 0 } else { index.index(at) + 1 }, service)
        };
        spans.into_iter().enumerate().map(parent).collect()
    })
}

fn spans(tree: &[(usize, u8)]) -> Vec<Span> {
    let spans = tree.iter().zip(1..);
    spans.map(|((parent, service), id)| span(id, *parent as u64, "work").of(&service.to_string())).collect()
}

fn rules() -> Rules {
    Rules::new().max_examples(usize::MAX).max_broken_traces(usize::MAX)
}

proptest! {
    #[test]
    fn a_whole_trace_is_unbroken(tree in trees(), seed in any::<u64>()) {
        let mut spans = spans(&tree);
        shuffle(&mut spans, seed);
        let report = audit(rules(), spans);
        prop_assert!(report.is_unbroken(), "{}", report);
        prop_assert_eq!((report.total.traces, report.total.complete), (1, 1));
    }

    /// Exactly the lost spans with a remaining child are found.
    #[test]
    fn lost_parents_are_found(tree in trees(), lost in vec(any::<bool>(), 40), seed in any::<u64>()) {
        let is_lost = |id: usize| id > 0 && lost[id - 1];
        let mut left: Vec<_> = spans(&tree).into_iter().enumerate().filter(|(at, _)| !lost[*at]).map(|(_, span)| span).collect();
        shuffle(&mut left, seed);
        let mut expected = BTreeMap::<usize, BTreeSet<usize>>::new();
        for (at, (parent, _)) in tree.iter().enumerate() {
            if is_lost(*parent) && !lost[at] {
                expected.entry(*parent).or_default().insert(at + 1);
            }
        }
        let count = left.len() as u64;
        let report = audit(rules(), left);
        let mut found = BTreeMap::new();
        for found_break in &report.breaks {
            prop_assert_eq!(found_break.kind, BreakKind::MissingParent);
            prop_assert_eq!(found_break.count, found_break.examples.len() as u64);
            for example in &found_break.examples {
                let children: BTreeSet<_> = example.spans.iter().map(|id| number(*id)).collect();
                let parents: BTreeSet<_> = children.iter().map(|child| tree[child - 1].0).collect();
                prop_assert_eq!(parents.len(), 1);
                found.extend(parents.into_iter().map(|parent| (parent, children.clone())));
            }
        }
        prop_assert_eq!(&found, &expected, "{}", report);
        prop_assert_eq!(report.total.spans, count);
        prop_assert_eq!(report.total.complete, u64::from(expected.is_empty() && count > 0));
        let of_services: u64 = report.services.iter().map(|service| service.counts.spans).sum();
        let of_entries: u64 =
            report.services.iter().flat_map(|service| &service.entries).map(|entry| entry.counts.spans).sum();
        prop_assert_eq!((of_services, of_entries), (count, count));
    }

    /// Whatever the IDs are, the audit terminates, counts every span once, and its report can be formatted.
    #[test]
    fn any_ids_will_do(ids in vec((1..12_u64, 0..12_u64, any::<Option<bool>>()), 0..40), is_partial in any::<bool>()) {
        let spans: Vec<_> = ids.iter().enumerate().map(|(at, (id, parent, is_remote))| {
            let mut span = span(*id, *parent, &format!("{at}"));
            span.parent_is_remote = *is_remote;
            span
        }).collect();
        let rules = if is_partial { rules().partial() } else { rules() };
        let report = audit(rules, spans);
        prop_assert_eq!(report.total.spans, ids.len() as u64);
        for trace in &report.traces {
            prop_assert_eq!(trace.tree().lines().count(), trace.spans.len());
        }
        let json = report.to_json();
        prop_assert_eq!(json["total"]["spans"].as_u64(), Some(ids.len() as u64));
        prop_assert!(report.to_string().starts_with("completeness "));
    }
}

fn number(id: SpanId) -> usize {
    usize::try_from(u64::from_be_bytes(id.to_bytes())).expect("it fits")
}

/// Reorders the spans, depending on `seed`.
fn shuffle(spans: &mut [Span], seed: u64) {
    spans.sort_by_key(|span| u64::from_be_bytes(span.span_id.to_bytes()).wrapping_mul(seed | 1));
}
