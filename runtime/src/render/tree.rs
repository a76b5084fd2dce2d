//! Finished spans as trees of text: what `testing` and `console` have in common.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::SystemTime;

use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use opentelemetry::{Key, Value};
use opentelemetry_sdk::trace::SpanData;
use termtree::Tree;

use crate::text::{Word, escape};

/// Nobody reads deeper. Spans below stand as siblings, so that a runaway recursion gives neither
/// lines without end nor a tree that overflows the stack when it is dropped.
const MAX_DEPTH: usize = 64;

/// Where a span stands in its trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    pub(crate) parent: SpanId,
    pub(crate) start: SystemTime,
    /// What decides between spans that have started at the same time.
    pub(crate) order: usize,
}

/// One span in the order in which it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// Which of the places.
    pub(crate) at: usize,
    /// The place of the parent, if it is among them.
    pub(crate) parent: Option<usize>,
    pub(crate) depth: usize,
}

/// Every span once, parents before children, siblings by their start.
pub(crate) fn rows(places: &[Place]) -> Vec<Row> {
    let index: HashMap<_, _> = places.iter().enumerate().map(|(at, place)| ((place.trace, place.span), at)).collect();
    let mut children = vec![Vec::new(); places.len()];
    let mut roots = Vec::new();
    let mut sorted: Vec<usize> = (0..places.len()).collect();
    // Last first: what is pushed on the stack last is drawn first.
    sorted.sort_by_key(|&at| std::cmp::Reverse((places[at].start, places[at].order, at)));
    for &at in &sorted {
        let place = &places[at];
        match index.get(&(place.trace, place.parent)).filter(|&&parent| parent != at) {
            Some(&parent) => children[parent].push(at),
            None => roots.push(at),
        }
    }

    let mut rows = Vec::with_capacity(places.len());
    let mut drawn = vec![false; places.len()];
    // After the roots, whatever cannot be reached from one: ids that were made up can form a ring.
    for root in roots.into_iter().rev().chain(sorted.into_iter().rev()) {
        let mut stack = vec![Row { at: root, parent: None, depth: 0 }];
        while let Some(row) = stack.pop() {
            if std::mem::replace(&mut drawn[row.at], true) {
                continue;
            }
            rows.push(row);
            let depth = (row.depth + 1).min(MAX_DEPTH);
            stack.extend(children[row.at].iter().map(|&at| Row { at, parent: Some(row.at), depth }));
        }
    }
    rows
}

/// Draws lines, each with its depth, as trees below one another.
pub(crate) fn draw(lines: impl IntoIterator<Item = (usize, String)>) -> String {
    let mut out = String::new();
    let mut path: Vec<Tree<String>> = Vec::new();
    for (depth, line) in lines {
        close(&mut path, depth, &mut out);
        path.push(Tree::new(line));
    }
    close(&mut path, 0, &mut out);
    out
}

fn close(path: &mut Vec<Tree<String>>, depth: usize, out: &mut String) {
    while path.len() > depth {
        let Some(done) = path.pop() else { return };
        match path.last_mut() {
            Some(parent) => {
                parent.push(done);
            }
            None => {
                // Writing to a `String` does not fail.
                let _ = write!(out, "{done}");
            }
        }
    }
}

/// How a span has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End<'a> {
    Fine,
    Failed(&'a str),
    Panicked(&'a str),
    Cancelled,
}

/// Reads the outcome that the runtime writes; see `outcome`.
pub(crate) fn end(span: &SpanData) -> End<'_> {
    if let Status::Error { description } = &span.status {
        return match attribute(span, "error.type") {
            Some(Value::String(of)) if of.as_str() == "panic" => End::Panicked(description),
            Some(Value::String(of)) if description.is_empty() => End::Failed(of.as_str()),
            _ => End::Failed(description),
        };
    }
    match attribute(span, "throughline.cancelled") {
        Some(Value::Bool(true)) => End::Cancelled,
        _ => End::Fine,
    }
}

/// The value of an attribute. The SDK keeps every value that was set under a key; the last counts.
pub(crate) fn attribute<'a>(span: &'a SpanData, key: &str) -> Option<&'a Value> {
    span.attributes.iter().rev().find(|attribute| attribute.key.as_str() == key).map(|attribute| &attribute.value)
}

/// The kind in words, unless it is the usual one.
pub(crate) fn kind(kind: &SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::Server => Some("server"),
        SpanKind::Client => Some("client"),
        SpanKind::Producer => Some("producer"),
        SpanKind::Consumer => Some("consumer"),
        SpanKind::Internal => None,
    }
}

/// `key=value`, quoted where it could be taken for something else.
pub(crate) fn tag(key: &Key, value: &Value) -> String {
    let (key, text) = (escape(key.as_str()), value.as_str());
    match value {
        Value::Array(_) => format!("{key}={}", escape(&text)),
        _ => format!("{key}={}", Word(&text)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn place(span: u32, parent: u32, start: u64) -> Place {
        Place {
            trace: TraceId::from(1),
            span: SpanId::from(u64::from(span)),
            parent: SpanId::from(u64::from(parent)),
            start: SystemTime::UNIX_EPOCH + Duration::from_secs(start),
            order: span as usize,
        }
    }

    fn picture(places: &[Place]) -> Vec<(usize, usize)> {
        rows(places).iter().map(|row| (row.at, row.depth)).collect()
    }

    #[test]
    fn children_stand_below_their_parent_by_start() {
        let places = [place(4, 2, 9), place(3, 1, 5), place(2, 1, 3), place(1, 0, 0)];
        assert_eq!(picture(&places), [(3, 0), (2, 1), (0, 2), (1, 1)]);
    }

    #[test]
    fn equal_starts_are_told_apart_by_order() {
        assert_eq!(picture(&[place(3, 1, 0), place(1, 0, 0), place(2, 1, 0)]), [(1, 0), (2, 1), (0, 1)]);
    }

    #[test]
    fn no_span_is_lost_in_a_ring_or_twice_under_one_id() {
        assert_eq!(picture(&[place(1, 1, 0)]), [(0, 0)]);
        assert_eq!(picture(&[place(1, 2, 0), place(2, 1, 1)]), [(0, 0), (1, 1)]);
        assert_eq!(picture(&[place(1, 0, 0), place(1, 0, 1), place(2, 1, 2)]).len(), 3);
    }

    #[test]
    fn a_deep_chain_is_drawn_flat_at_its_end() {
        let places: Vec<_> = (1..=20_000).map(|span| place(span, span - 1, span.into())).collect();
        let rows = rows(&places);
        assert_eq!(rows.len(), 20_000);
        assert_eq!(rows.iter().map(|row| row.depth).max(), Some(MAX_DEPTH));
        assert_eq!(draw(rows.iter().map(|row| (row.depth, row.at.to_string()))).lines().count(), 20_000);
    }

    #[test]
    fn text_cannot_leave_its_line() {
        let tag = |value: &'static str| tag(&Key::new("k"), &value.into());
        assert_eq!(tag("acme"), "k=acme");
        assert_eq!(tag(""), "k=\"\"");
        assert_eq!(tag("Jane \"J\" Doe\n"), "k=\"Jane \\\"J\\\" Doe\\n\"");
        assert_eq!(tag("1 role=admin"), "k=\"1 role=admin\"");
    }
}
