//! The result of an audit.

use std::sync::Arc;

use opentelemetry::trace::{SpanId, SpanKind, TraceId};

use super::kind::BreakKind;
use super::model::{Place, Span};

/// The result of an audit: completeness by service and entry point, and the breaks.
///
/// The `Display` form is a report for a terminal. [`to_json`](Self::to_json) has the same content for programs.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The counts of all traces.
    pub total: Counts,
    /// The services, sorted by name.
    pub services: Vec<ServiceReport>,
    /// The breaks, grouped by kind, with the most frequent first. Similar breaks are merged and counted.
    pub breaks: Vec<Break>,
    /// Examples of broken traces, at most [`max_broken_traces`](super::Rules::max_broken_traces).
    pub traces: Vec<BrokenTrace>,
    /// Traces and spans that were not judged.
    pub skipped: Skipped,
}

/// The number of traces, and how many of them are complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// The number of traces.
    pub traces: u64,
    /// The number of spans. For a service or an entry point, only its own spans.
    pub spans: u64,
    /// The number of complete traces: their spans form one connected tree in which every parent is present and every
    /// span has ended.
    pub complete: u64,
}

impl Counts {
    /// Returns the share of traces that are complete, from 0 to 1; 1 if there are no traces, so check
    /// [`traces`](Self::traces) as well.
    pub fn completeness(&self) -> f64 {
        if self.traces == 0 {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share, and counts are far below 2^52")]
        let share = self.complete as f64 / self.traces as f64;
        share
    }
}

/// The traces that a service took part in, and its breaks.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ServiceReport {
    /// `service.name`. Empty if it is not known.
    pub name: Arc<str>,
    /// Traces with at least one span of the service. A trace counts as complete only if all of it is complete,
    /// including the spans of other services.
    pub counts: Counts,
    /// The number of breaks at spans of this service.
    pub breaks: u64,
    /// The entry points of the service, sorted by name.
    pub entries: Vec<EntryReport>,
}

/// The traces that entered a service at an entry point. An entry point is a span without a parent in the same service.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EntryReport {
    /// The name of the entry span.
    pub name: Arc<str>,
    /// The kind of the entry span.
    pub kind: SpanKind,
    /// Traces with such an entry span. A trace counts as complete only if all of it is complete. The spans counted are
    /// the entry span and those below it in the same service.
    pub counts: Counts,
    /// The number of breaks at the entry span or at spans below it in the same service.
    pub breaks: u64,
}

/// Similar breaks, merged: of the same kind, at spans with the same name and source location, below the same entry
/// point.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Break {
    /// The kind of the break.
    pub kind: BreakKind,
    /// The service in which it was found. Empty if it is not known.
    pub service: Arc<str>,
    /// The name of the entry span above it, in the same service. Empty for a break that belongs to no trace.
    pub entry: Arc<str>,
    /// The name of the span. Empty for a break that belongs to no span.
    pub span: Arc<str>,
    /// What the break is about, for kinds that need it: the key of a tag, or the name of the missing caller.
    pub subject: Option<Arc<str>>,
    /// The source location of the span, or of the nearest span above or below it that has one.
    pub place: Option<Arc<Place>>,
    /// The number of occurrences.
    pub count: u64,
    /// The first occurrences, at most [`max_examples`](super::Rules::max_examples).
    pub examples: Vec<Example>,
}

/// One occurrence of a [`Break`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Example {
    /// The trace; `None` for a break that belongs to no trace.
    pub trace_id: Option<TraceId>,
    /// The span at which it was found, followed by other spans involved, such as the parent or the span with the other
    /// value. At most [`max_spans_shown`](super::Rules::max_spans_shown).
    pub spans: Vec<SpanId>,
    /// A description with the actual values, in one sentence.
    pub detail: String,
}

/// An example of a broken trace.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BrokenTrace {
    /// The trace ID.
    pub trace_id: TraceId,
    /// The spans, in the order in which they started. At most [`max_spans_shown`](super::Rules::max_spans_shown); those
    /// at which a break was found are kept first.
    pub spans: Vec<Span>,
    /// The number of spans of the trace that were left out.
    pub spans_left_out: u64,
    /// The breaks, each with the index of its span in `spans`.
    pub marks: Vec<Mark>,
}

/// A break in a [`BrokenTrace`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mark {
    /// The kind of the break.
    pub kind: BreakKind,
    /// The index in [`BrokenTrace::spans`] of the span at which it was found.
    pub span: usize,
    /// A description with the actual values, in one sentence.
    pub detail: String,
}

/// The number of traces and spans that an audit did not judge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Traces that were evicted from the buffer with a parent still missing, because the limit
    /// [`max_spans`](super::Rules::max_spans) was reached. They are not counted in [`Report::total`].
    pub traces_given_up: u64,
    /// Traces that have not been judged yet.
    pub traces_pending: u64,
    /// Spans that arrived after their trace had been judged.
    pub spans_late: u64,
    /// Traces that were judged to be complete before these spans arrived. They are counted as complete in
    /// [`Report::total`], although the late spans may be broken.
    pub traces_late: u64,
}

impl Skipped {
    /// Returns the nonzero counts, each with its unit and the reason.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = (u64, &'static str, &'static str)> {
        let reasons = [
            (self.traces_pending, "trace", "that may still get spans"),
            (self.traces_given_up, "trace", "given up, because there were too many at once"),
            (self.spans_late, "span", "that came after the trace had been judged"),
        ];
        reasons.into_iter().filter(|(number, ..)| *number > 0)
    }
}

impl Report {
    /// Returns `true` if no break was found. Traces that were [skipped](Self::skipped) are not considered.
    pub fn is_unbroken(&self) -> bool {
        self.breaks.is_empty()
    }

    /// Returns the number of breaks of a kind.
    pub fn count(&self, kind: BreakKind) -> u64 {
        self.breaks.iter().filter(|found| found.kind == kind).map(|found| found.count).sum()
    }

    /// Returns the service with this name.
    pub fn service(&self, name: &str) -> Option<&ServiceReport> {
        self.services.iter().find(|service| &*service.name == name)
    }
}

impl ServiceReport {
    /// Returns the first entry point with this name.
    pub fn entry(&self, name: &str) -> Option<&EntryReport> {
        self.entries.iter().find(|entry| &*entry.name == name)
    }
}
