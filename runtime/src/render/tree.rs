//! Arranges spans in a tree, and draws the tree as text.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::SystemTime;

use opentelemetry::trace::{SpanId, TraceId};
use termtree::Tree;

/// Spans below this depth are drawn as siblings, so that runaway recursion neither produces endless lines nor overflows
/// the stack when the tree is dropped.
const MAX_DEPTH: usize = 64;

/// The properties that determine the position of a span in the tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
    pub(crate) parent: SpanId,
    pub(crate) start: SystemTime,
    /// Breaks the tie between spans that started at the same time.
    pub(crate) order: usize,
}

/// One line of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// The index of the node.
    pub(crate) index: usize,
    /// The index of the parent, if it is among the nodes.
    pub(crate) parent: Option<usize>,
    pub(crate) depth: usize,
}

/// Returns each node once, in depth-first order, with siblings sorted by their start.
pub(crate) fn layout(nodes: &[Node]) -> Vec<Row> {
    let by_id: HashMap<_, _> = nodes.iter().enumerate().map(|(index, node)| ((node.trace, node.span), index)).collect();
    let mut children = vec![Vec::new(); nodes.len()];
    let mut roots = Vec::new();
    let mut sorted: Vec<usize> = (0..nodes.len()).collect();
    // In reverse, because the stack below pops from its top.
    sorted.sort_by_key(|&index| std::cmp::Reverse((nodes[index].start, nodes[index].order, index)));
    for &index in &sorted {
        let node = &nodes[index];
        match by_id.get(&(node.trace, node.parent)).filter(|&&parent| parent != index) {
            Some(&parent) => children[parent].push(index),
            None => roots.push(index),
        }
    }

    let mut rows = Vec::with_capacity(nodes.len());
    let mut visited = vec![false; nodes.len()];
    // After the roots, nodes that are not reachable from any root: forged IDs can form a cycle.
    for root in roots.into_iter().rev().chain(sorted.into_iter().rev()) {
        let mut stack = vec![Row { index: root, parent: None, depth: 0 }];
        while let Some(row) = stack.pop() {
            if std::mem::replace(&mut visited[row.index], true) {
                continue;
            }
            rows.push(row);
            let depth = (row.depth + 1).min(MAX_DEPTH);
            stack.extend(children[row.index].iter().map(|&index| Row { index, parent: Some(row.index), depth }));
        }
    }
    rows
}

/// Draws lines, each with its depth, as one tree per root.
pub(crate) fn draw(lines: impl IntoIterator<Item = (usize, String)>) -> String {
    let mut out = String::new();
    // The last line and its ancestors.
    let mut path: Vec<Tree<String>> = Vec::new();
    for (depth, line) in lines {
        close(&mut path, depth, &mut out);
        path.push(Tree::new(line));
    }
    close(&mut path, 0, &mut out);
    out
}

/// Attaches the lines in `path` from `depth` on to their parents, and writes a tree once it is complete.
fn close(path: &mut Vec<Tree<String>>, depth: usize, out: &mut String) {
    while path.len() > depth {
        let Some(complete) = path.pop() else { return };
        match path.last_mut() {
            Some(parent) => {
                parent.push(complete);
            }
            None => {
                // Writing to a `String` does not fail.
                let _ = write!(out, "{complete}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn node(span: u32, parent: u32, start: u64) -> Node {
        Node {
            trace: TraceId::from(1),
            span: SpanId::from(u64::from(span)),
            parent: SpanId::from(u64::from(parent)),
            start: SystemTime::UNIX_EPOCH + Duration::from_secs(start),
            order: span as usize,
        }
    }

    fn picture(nodes: &[Node]) -> Vec<(usize, usize)> {
        layout(nodes).iter().map(|row| (row.index, row.depth)).collect()
    }

    #[test]
    fn children_are_below_their_parent_in_order_of_start() {
        let nodes = [node(4, 2, 9), node(3, 1, 5), node(2, 1, 3), node(1, 0, 0)];
        assert_eq!(picture(&nodes), [(3, 0), (2, 1), (0, 2), (1, 1)]);
    }

    #[test]
    fn ties_are_broken_by_order() {
        assert_eq!(picture(&[node(3, 1, 0), node(1, 0, 0), node(2, 1, 0)]), [(1, 0), (2, 1), (0, 1)]);
    }

    #[test]
    fn spans_in_cycles_or_with_the_same_id_are_not_lost() {
        assert_eq!(picture(&[node(1, 1, 0)]), [(0, 0)]);
        assert_eq!(picture(&[node(1, 2, 0), node(2, 1, 1)]), [(0, 0), (1, 1)]);
        assert_eq!(picture(&[node(1, 0, 0), node(1, 0, 1), node(2, 1, 2)]).len(), 3);
    }

    #[test]
    fn a_chain_is_drawn_flat_beyond_the_maximum_depth() {
        let nodes: Vec<_> = (1..=20_000).map(|span| node(span, span - 1, span.into())).collect();
        let rows = layout(&nodes);
        assert_eq!(rows.len(), 20_000);
        assert_eq!(rows.iter().map(|row| row.depth).max(), Some(MAX_DEPTH));
        assert_eq!(draw(rows.iter().map(|row| (row.depth, row.index.to_string()))).lines().count(), 20_000);
    }
}
