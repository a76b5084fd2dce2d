//! What an audit has found.

use std::sync::Arc;

use opentelemetry::trace::{SpanId, SpanKind, TraceId};

use super::kind::BreakKind;
use super::model::{Place, Span};

/// What an audit has found.
///
/// Its `Display` form is text for a terminal, and [`to_json`](Self::to_json) the same for programs.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// All traces together.
    pub total: Counts,
    /// The services, by name.
    pub services: Vec<ServiceReport>,
    /// The breaks, by kind, the most frequent first. Similar breaks are counted together.
    pub breaks: Vec<Break>,
    /// Traces with something wrong, as examples: at most
    /// [`max_broken_traces`](super::Rules::max_broken_traces).
    pub traces: Vec<BrokenTrace>,
    /// What was not judged.
    pub skipped: Skipped,
}

/// How many traces there are, and how many of them are complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Traces.
    pub traces: u64,
    /// Spans: of a service or an entry point, its own.
    pub spans: u64,
    /// Traces whose spans form one connected tree, with every parent present and every span ended.
    pub complete: u64,
}

impl Counts {
    /// The share of traces that are complete, from 0 to 1; 1 if there are none.
    pub fn completeness(&self) -> f64 {
        if self.traces == 0 {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share, and counts are far below 2^52")]
        let share = self.complete as f64 / self.traces as f64;
        share
    }
}

/// The traces that a service took part in.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ServiceReport {
    /// `service.name`. Empty if it is not known.
    pub name: Arc<str>,
    /// Traces with a span of the service. They count as complete only as a whole.
    pub counts: Counts,
    /// Breaks at spans of this service.
    pub breaks: u64,
    /// Where traces enter the service, by name.
    pub entries: Vec<EntryReport>,
}

/// The traces that came in through an entry point: a span without a parent in the same service.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EntryReport {
    /// The name of the entry's span.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: SpanKind,
    /// Traces with such an entry. They count as complete only as a whole. The spans are those below the entry, in its
    /// service.
    pub counts: Counts,
    /// Breaks at the entry, or at spans below it.
    pub breaks: u64,
}

/// Similar breaks: of the same kind, at spans with the same name and place, below the same entry point.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Break {
    /// What is wrong.
    pub kind: BreakKind,
    /// The service in which it was found. Empty if it is not known.
    pub service: Arc<str>,
    /// The entry point of the service below which it was found; empty for what belongs to no trace.
    pub entry: Arc<str>,
    /// The name of the span; empty for what belongs to no span.
    pub span: Arc<str>,
    /// What it is about, where a kind has several: the key of a tag, the name of the missing caller.
    pub subject: Option<Arc<str>>,
    /// The place in the source: of the span, or of the nearest span above or below it that has one.
    pub place: Option<Arc<Place>>,
    /// How often it happened.
    pub count: u64,
    /// The first of them, at most [`max_examples`](super::Rules::max_examples).
    pub examples: Vec<Example>,
}

/// One break.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Example {
    /// The trace; `None` for what belongs to no trace.
    pub trace_id: Option<TraceId>,
    /// The span at which it was found, and then others that take part: the parent, the other value's span. At most
    /// [`max_spans_shown`](super::Rules::max_spans_shown).
    pub spans: Vec<SpanId>,
    /// What was found, in one sentence, with the figures.
    pub detail: String,
}

/// A trace with something wrong.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BrokenTrace {
    /// Its id.
    pub trace_id: TraceId,
    /// Its spans, by their start. At most [`max_spans_shown`](super::Rules::max_spans_shown), with those at which it is
    /// broken among them.
    pub spans: Vec<Span>,
    /// How many spans it has besides these.
    pub spans_left_out: u64,
    /// What is wrong with it, each at the index of a span in `spans`.
    pub marks: Vec<Mark>,
}

/// A break in a [`BrokenTrace`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mark {
    /// What is wrong.
    pub kind: BreakKind,
    /// The span at which it was found, as an index into [`BrokenTrace::spans`].
    pub span: usize,
    /// What was found, in one sentence, with the figures.
    pub detail: String,
}

/// What an audit did not judge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Traces that were evicted before they were complete, because there were more spans than
    /// [`max_spans`](super::Rules::max_spans).
    pub traces_given_up: u64,
    /// Traces that have not been judged yet.
    pub traces_pending: u64,
    /// Spans that came after their trace had been judged.
    pub spans_late: u64,
}

impl Skipped {
    /// How many there are of what, and the reason, without those of which there are none.
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
    /// Whether nothing is wrong.
    pub fn is_unbroken(&self) -> bool {
        self.breaks.is_empty()
    }

    /// How many breaks of a kind there are.
    pub fn count(&self, kind: BreakKind) -> u64 {
        self.breaks.iter().filter(|found| found.kind == kind).map(|found| found.count).sum()
    }

    /// The service with this name.
    pub fn service(&self, name: &str) -> Option<&ServiceReport> {
        self.services.iter().find(|service| &*service.name == name)
    }
}

impl ServiceReport {
    /// The first entry point with this name.
    pub fn entry(&self, name: &str) -> Option<&EntryReport> {
        self.entries.iter().find(|entry| &*entry.name == name)
    }
}
