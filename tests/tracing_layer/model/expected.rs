//! The model: the expected spans, and the current context of each thread.

use std::collections::HashSet;

use proptest::sample::Index;

/// A span, as far as it is determined by the program.
#[derive(Debug, Clone, Default)]
pub(super) struct Expected {
    pub(super) parent: Option<usize>,
    pub(super) links: Vec<usize>,
    pub(super) events: Vec<String>,
    pub(super) tag: Option<i64>,
    /// The field `value`.
    pub(super) value: Option<i64>,
    /// The description of the status, if that is an error.
    pub(super) failed: Option<String>,
    /// Whether a span of ours has ended. Those of `tracing` last as long as they are referenced.
    pub(super) has_ended: bool,
}

/// The current context.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Current {
    pub(super) span: Option<usize>,
    /// Whether the context holds the span itself, and not only its span context.
    pub(super) is_span: bool,
    pub(super) tag: Option<i64>,
}

/// What made a span current.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Entry {
    /// `tracing` identifies an entry by its span, so an exit ends the latest entry.
    Entered(usize),
    /// A guard, by its number.
    Attached(usize, Current),
}

/// The current contexts of each thread, and the expected spans.
#[derive(Default)]
pub(super) struct Model {
    /// In the order in which they became current.
    current: [Vec<Entry>; 2],
    /// The guards, which may be dropped in any order.
    guards: [Vec<Entry>; 2],
    pub(super) spans: Vec<Expected>,
    /// The `tracing` spans whose parent is final.
    started: HashSet<usize>,
    attached: usize,
}

impl Model {
    pub(super) fn current(&self, thread: usize) -> Current {
        match self.current[thread].last() {
            None => Current::default(),
            Some(Entry::Entered(span)) => self.within(*span),
            Some(Entry::Attached(_, current)) => *current,
        }
    }

    /// What is current within a span.
    pub(super) fn within(&self, span: usize) -> Current {
        Current { span: Some(span), is_span: true, tag: self.spans[span].tag }
    }

    /// The current span, if it can be changed.
    pub(super) fn recording(&mut self, thread: usize) -> Option<&mut Expected> {
        let Current { span, is_span, .. } = self.current(thread);
        span.filter(|_| is_span).map(|span| &mut self.spans[span]).filter(|span| !span.has_ended)
    }

    pub(super) fn add(&mut self, below: Current) {
        self.spans.push(Expected { parent: below.span, tag: below.tag, ..Expected::default() });
    }

    pub(super) fn start(&mut self, span: usize) {
        self.started.insert(span);
    }

    /// Returns `false` if the span has already started.
    pub(super) fn set_parent(&mut self, span: usize, parent: usize) -> bool {
        self.start(parent);
        let in_time = !self.started.contains(&span);
        if in_time {
            (self.spans[span].parent, self.spans[span].tag) = (Some(parent), self.spans[parent].tag);
        }
        in_time
    }

    pub(super) fn enter(&mut self, thread: usize, span: usize) {
        self.start(span);
        self.push(thread, Entry::Entered(span));
    }

    pub(super) fn attach(&mut self, thread: usize, current: Current) {
        self.attached += 1;
        self.push(thread, Entry::Attached(self.attached, current));
    }

    fn push(&mut self, thread: usize, entry: Entry) {
        self.current[thread].push(entry);
        self.guards[thread].push(entry);
    }

    /// Drops a guard, and returns its index.
    pub(super) fn exit(&mut self, thread: usize, at: Index) -> Option<usize> {
        let guards = &mut self.guards[thread];
        let at = (!guards.is_empty()).then(|| at.index(guards.len()))?;
        let entry = guards.remove(at);
        let current = &mut self.current[thread];
        current.remove(current.iter().rposition(|known| *known == entry)?);
        Some(at)
    }

    /// Whether a context with the span is attached on some thread, other than by entering the span.
    pub(super) fn is_attached(&self, span: usize) -> bool {
        let is_it = |entry: &Entry| matches!(entry, Entry::Attached(_, current) if current.is_span && current.span == Some(span));
        self.current.iter().flatten().any(is_it)
    }
}
