//! The spans of a trace as a tree: the parent of each span, and the entry point through which it was reached.

use std::cell::OnceCell;
use std::iter;

use opentelemetry::trace::{SpanId, SpanKind};

use super::model::Span;

/// Where the parent of a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parent {
    /// The span is a root.
    None,
    /// The index of the parent.
    At(usize),
    /// In another process, whose spans are not audited.
    Elsewhere,
    /// Never received.
    Missing,
}

/// The spans of one trace, and how they are connected.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    /// Sorted by start time.
    pub(super) spans: &'a [Span],
    pub(super) parents: Vec<Parent>,
    /// For each span, the topmost span above it in the same service.
    pub(super) entries: Vec<usize>,
    /// Pairs of spans with the same ID, the earlier one first.
    pub(super) duplicates: Vec<(usize, usize)>,
    /// The first span of each cycle of parents.
    pub(super) cycles: Vec<usize>,
    /// The children of each span in its service, computed on first use.
    children: OnceCell<Vec<Siblings>>,
}

/// The indices of a span's first child and of its next sibling.
#[derive(Debug, Clone, Copy, Default)]
struct Siblings {
    first_child: Option<usize>,
    next: Option<usize>,
}

/// The maximum number of spans that are searched for a source location, upwards and downwards.
const MAX_NEAR: usize = 64;

/// Sorts the spans of a trace by start time, and removes copies of spans that were exported more than once.
pub(super) fn sort(spans: &mut Vec<Span>) {
    spans.sort_by_key(|span| (span.start, number(span.span_id)));
    let is_same = |a: &Span, b: &Span| {
        (a.span_id, a.start, a.parent_id, &a.name, a.end, &a.service)
            == (b.span_id, b.start, b.parent_id, &b.name, b.end, &b.service)
    };
    spans.dedup_by(|b, a| is_same(a, b));
}

fn number(id: SpanId) -> u64 {
    u64::from_be_bytes(id.to_bytes())
}

impl<'a> Tree<'a> {
    /// Builds the tree of [sorted](sort) spans.
    pub(super) fn new(spans: &'a [Span], is_partial: bool) -> Self {
        let mut ids: Vec<(u64, usize)> =
            spans.iter().enumerate().map(|(at, span)| (number(span.span_id), at)).collect();
        ids.sort_unstable();
        let duplicates =
            ids.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| (pair[0].1, pair[1].1)).collect();
        let find = |id: SpanId| {
            let at = ids.partition_point(|(other, _)| *other < number(id));
            ids.get(at).filter(|(found, _)| *found == number(id)).map(|(_, at)| *at)
        };
        let parents = spans.iter().map(|span| match span.parent_id {
            None => Parent::None,
            Some(id) => match find(id) {
                Some(at) => Parent::At(at),
                None if is_partial && is_from_elsewhere(span) => Parent::Elsewhere,
                None => Parent::Missing,
            },
        });
        let mut tree = Self {
            spans,
            parents: parents.collect(),
            entries: Vec::new(),
            duplicates,
            cycles: Vec::new(),
            children: OnceCell::new(),
        };
        tree.find_entries();
        tree
    }

    /// The parent of a span, if it is in the tree.
    pub(super) fn parent(&self, at: usize) -> Option<usize> {
        match self.parents[at] {
            Parent::At(parent) => Some(parent),
            _ => None,
        }
    }

    /// Whether the parent of a span is in another process or another service.
    pub(super) fn is_remote(&self, child: usize, parent: usize) -> bool {
        self.spans[child].parent_is_remote == Some(true) || self.spans[child].service != self.spans[parent].service
    }

    /// The parent of a span, if it is in the same service.
    fn local_parent(&self, at: usize) -> Option<usize> {
        self.parent(at).filter(|parent| !self.is_remote(at, *parent))
    }

    /// Walks up from each span to its entry, or to a span whose entry is known.
    fn find_entries(&mut self) {
        const UNKNOWN: usize = usize::MAX;
        const ON_PATH: usize = usize::MAX - 1;
        let mut entries = vec![UNKNOWN; self.spans.len()];
        let mut path = Vec::new();
        for start in 0..self.spans.len() {
            let mut at = start;
            let entry = loop {
                match entries[at] {
                    UNKNOWN => {}
                    // A cycle within one service.
                    ON_PATH => break at,
                    entry => break entry,
                }
                entries[at] = ON_PATH;
                path.push(at);
                match self.local_parent(at) {
                    Some(parent) => at = parent,
                    None => break at,
                }
            };
            for at in path.drain(..) {
                entries[at] = entry;
            }
        }
        self.entries = entries;
        self.find_cycles();
    }

    fn find_cycles(&mut self) {
        #[derive(Clone, Copy, PartialEq)]
        enum Seen {
            Not,
            OnPath,
            Done,
        }
        let mut seen = vec![Seen::Not; self.spans.len()];
        let mut path = Vec::new();
        for start in 0..self.spans.len() {
            let mut at = Some(start);
            while let Some(here) = at.filter(|at| seen[*at] == Seen::Not) {
                seen[here] = Seen::OnPath;
                path.push(here);
                at = self.parent(here);
            }
            if let Some(again) = at.filter(|at| seen[*at] == Seen::OnPath) {
                let cycle = path.iter().copied().skip_while(|at| *at != again);
                self.cycles.extend(cycle.min());
            }
            for at in path.drain(..) {
                seen[at] = Seen::Done;
            }
        }
    }

    /// The spans without a parent.
    pub(super) fn roots(&self) -> impl Iterator<Item = usize> {
        (0..self.spans.len()).filter(|at| self.parents[*at] == Parent::None)
    }

    /// Whether this span is an entry point.
    pub(super) fn is_entry(&self, at: usize) -> bool {
        self.entries[at] == at
    }

    /// Returns the spans to search for a source location: the span itself, its ancestors in the same service, nearest
    /// first, and then its children there. Bounded, because the ancestors may form a cycle, and because the search may
    /// start at every span of a large trace.
    pub(super) fn near(&self, at: usize) -> impl Iterator<Item = usize> {
        let upwards = iter::successors(Some(at), move |here| self.local_parent(*here)).take(MAX_NEAR);
        let first_child = iter::once_with(move || self.children()[at].first_child).flatten();
        let below =
            first_child.flat_map(move |first| iter::successors(Some(first), move |here| self.children()[*here].next));
        upwards.chain(below.take(MAX_NEAR))
    }

    fn children(&self) -> &[Siblings] {
        self.children.get_or_init(|| {
            let mut children = vec![Siblings::default(); self.spans.len()];
            // In reverse, so that siblings are in the order in which they started.
            for child in (0..self.spans.len()).rev() {
                if let Some(parent) = self.local_parent(child) {
                    children[child].next = children[parent].first_child.replace(child);
                }
            }
            children
        })
    }
}

/// Whether a span continues the trace of another process.
fn is_from_elsewhere(span: &Span) -> bool {
    match span.parent_is_remote {
        Some(is_remote) => is_remote,
        // Unknown. These kinds usually have a remote parent.
        None => matches!(span.kind, SpanKind::Server | SpanKind::Consumer),
    }
}
