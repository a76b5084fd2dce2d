//! The rows of a waterfall: the spans of a trace, and the missing ones.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::SpanId;

use crate::audit::{BreakKind, BrokenTrace, Place, Span};
use crate::render::tree::{self, Node};

/// The rows of a trace, from the top.
pub(super) struct Rows<'a> {
    pub(super) rows: Vec<Row<'a>>,
    /// From the first start to the last end, in nanoseconds.
    pub(super) duration: u64,
}

/// A row: a span, or a placeholder for a missing one.
pub(super) struct Row<'a> {
    /// `None` for a missing span.
    pub(super) span: Option<&'a Span>,
    pub(super) label: Cow<'a, str>,
    pub(super) depth: usize,
    /// The source location of the span, or of the child of a missing one.
    pub(super) place: Option<Arc<Place>>,
    /// The breaks marked in this row, each with its description.
    pub(super) marks: Vec<(BreakKind, &'a str)>,
    pub(super) bar: Bar,
}

/// The position of a bar, as shares of the duration of the trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bar {
    pub(super) left: f64,
    pub(super) width: f64,
    /// Whether the span never ended.
    pub(super) is_open: bool,
}

/// A missing span.
struct Ghost<'a> {
    id: SpanId,
    kind: BreakKind,
    label: String,
    detail: &'a str,
    place: Option<Arc<Place>>,
    start: u64,
    end: u64,
}

impl<'a> Rows<'a> {
    pub(super) fn of(trace: &'a BrokenTrace) -> Self {
        let clock = Clock::of(&trace.spans);
        let (parents, ghosts) = ghosts(trace, &clock);
        let nodes: Vec<_> = (trace.spans.iter().zip(&parents))
            .map(|(span, &parent)| (span.span_id, parent, span.start))
            .chain(ghosts.iter().map(|ghost| (ghost.id, SpanId::INVALID, ghost.start)))
            .enumerate()
            .map(|(order, (span, parent, start))| Node {
                trace: trace.trace_id,
                span,
                parent,
                start: time(start),
                order,
            })
            .collect();
        let rows = tree::layout(&nodes).into_iter().map(|row| {
            let (span, place, label, marks, bar) = if let Some(span) = trace.spans.get(row.index) {
                (
                    Some(span),
                    span.code_place(),
                    Cow::Borrowed(&*span.name),
                    marks_at(trace, row.index),
                    clock.bar(span.start, span.end),
                )
            } else {
                let ghost = &ghosts[row.index - trace.spans.len()];
                let marks = vec![(ghost.kind, ghost.detail)];
                (
                    None,
                    ghost.place.clone(),
                    Cow::Owned(ghost.label.clone()),
                    marks,
                    clock.bar(ghost.start, Some(ghost.end)),
                )
            };
            Row { span, label, depth: row.depth, place, marks, bar }
        });
        Self { rows: rows.collect(), duration: clock.duration() }
    }
}

impl Row<'_> {
    /// The names of the breaks, separated by spaces.
    pub(super) fn breaks(&self) -> Option<String> {
        let names: Vec<_> = self.marks.iter().map(|(kind, _)| kind.name()).collect();
        (!names.is_empty()).then(|| names.join(" "))
    }

    /// Describes the bar for screen readers.
    pub(super) fn spoken(&self) -> String {
        let Bar { left, width, is_open } = self.bar;
        let what = if self.span.is_none() { "missing, " } else { "" };
        let end = if is_open { ", never ended".to_owned() } else { format!(" to {:.0} %", (left + width) * 100.0) };
        format!("{what}{:.0} %{end}", left * 100.0)
    }
}

/// Returns the breaks of a span, except for a missing parent, which is marked in the row of that parent.
fn marks_at(trace: &BrokenTrace, index: usize) -> Vec<(BreakKind, &str)> {
    let marks = trace.marks.iter().filter(|mark| mark.span == index && !concerns_parent(mark.kind));
    marks.map(|mark| (mark.kind, mark.detail.as_str())).collect()
}

/// Whether a break is marked in the row of the missing parent.
fn concerns_parent(kind: BreakKind) -> bool {
    matches!(kind, BreakKind::MissingParent | BreakKind::UnparentedEntry)
}

/// Returns the parent of each span, and the missing spans. Children of the same missing parent share one.
fn ghosts<'a>(trace: &'a BrokenTrace, clock: &Clock) -> (Vec<SpanId>, Vec<Ghost<'a>>) {
    let mut parents: Vec<_> = trace.spans.iter().map(|span| span.parent_id.unwrap_or(SpanId::INVALID)).collect();
    let mut ghosts: Vec<Ghost<'a>> = Vec::new();
    for mark in trace.marks.iter().filter(|mark| concerns_parent(mark.kind)) {
        let Some(span) = trace.spans.get(mark.span) else { continue };
        let (id, label) = match span.parent_id {
            Some(parent) if ghosts.iter().any(|ghost| ghost.id == parent) => continue,
            Some(parent) => (parent, format!("missing parent {parent}")),
            // An ID that no span is likely to have: real ones are random.
            None => (SpanId::from(u64::MAX - ghosts.len() as u64), "missing caller".to_owned()),
        };
        parents[mark.span] = id;
        let below = || trace.spans.iter().zip(&parents).filter(|(_, parent)| **parent == id).map(|(span, _)| span);
        let start = below().map(|span| span.start).min().unwrap_or(span.start);
        let end = below().map(|span| span.end.unwrap_or(clock.end)).max().unwrap_or(clock.end).max(start);
        ghosts.push(Ghost { id, kind: mark.kind, label, detail: &mark.detail, place: span.code_place(), start, end });
    }
    (parents, ghosts)
}

fn time(nanos: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
}

/// The time frame of a trace.
struct Clock {
    start: u64,
    end: u64,
}

impl Clock {
    fn of(spans: &[Span]) -> Self {
        let start = spans.iter().map(|span| span.start).min().unwrap_or_default();
        let end = spans.iter().map(|span| span.end.unwrap_or(span.start)).max().unwrap_or_default();
        Self { start, end: end.max(start) }
    }

    fn duration(&self) -> u64 {
        self.end - self.start
    }

    /// Returns a bar that is wide enough to be visible and lies within the time frame.
    fn bar(&self, start: u64, end: Option<u64>) -> Bar {
        const MIN: f64 = 0.004;
        #[expect(clippy::cast_precision_loss, reason = "a position on a screen")]
        let share = |time: u64| (time.saturating_sub(self.start)) as f64 / self.duration().max(1) as f64;
        let left = share(start).min(1.0 - MIN);
        let right = share(end.unwrap_or(self.end).max(start)).min(1.0);
        Bar { left, width: (right - left).max(MIN), is_open: end.is_none() }
    }
}
