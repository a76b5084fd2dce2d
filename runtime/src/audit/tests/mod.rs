//! Each kind of break is found in spans that have it, and in no others.

#[cfg(feature = "otlp")]
mod decode;
mod kinds;
#[cfg(feature = "otlp")]
mod live;
mod outputs;
mod properties;
mod window;

use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry::{KeyValue, Value};

use super::{Audit, BreakKind, Link, Report, Rules, Span};
use crate::semconv;

const MS: u64 = 1_000_000;

/// A span of trace 1, which is a root if `parent` is 0. It starts at 1,000 ms plus its ID, and ends at 1,100 ms minus
/// its ID, so that a child with a greater ID lies within its parent.
fn span(id: u64, parent: u64, name: &str) -> Span {
    let mut span = Span::new(TraceId::from(1), SpanId::from(id), name);
    span.service = "orders".into();
    span.parent_id = (parent > 0).then(|| SpanId::from(parent));
    span.start = 1_000 * MS + id * MS;
    span.end = Some(1_100 * MS - id * MS);
    span
}

impl Span {
    fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    fn of(mut self, service: &str) -> Self {
        self.service = service.into();
        self
    }

    fn tag(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(key, value));
        self
    }

    fn at(self, file: &'static str, line: i64) -> Self {
        self.tag(semconv::CODE_FILE_PATH, file).tag(semconv::CODE_LINE_NUMBER, line)
    }

    fn linked(mut self) -> Self {
        self.links.push(Link::new(TraceId::from(7), SpanId::from(7)));
        self
    }

    /// Sets the start and end times, in milliseconds.
    fn times(mut self, start: u64, end: u64) -> Self {
        (self.start, self.end) = (start * MS, Some(end * MS));
        self
    }

    fn in_trace(mut self, trace: u128) -> Self {
        self.trace_id = TraceId::from(trace);
        self
    }
}

fn audit(rules: Rules, spans: impl IntoIterator<Item = Span>) -> Report {
    let mut audit = Audit::new(rules);
    spans.into_iter().for_each(|span| audit.push(span));
    audit.finish()
}

/// The breaks: kind, span, place and the detail of the first example.
fn found(report: &Report) -> Vec<(BreakKind, &str, String, &str)> {
    let breaks = report.breaks.iter();
    breaks
        .map(|found| {
            let place = found.place.as_ref().map(ToString::to_string).unwrap_or_default();
            (found.kind, &*found.span, place, &*found.examples[0].detail)
        })
        .collect()
}

#[track_caller]
fn assert_unbroken(report: &Report) {
    assert!(report.is_unbroken(), "{report}");
    assert_eq!(report.total.complete, report.total.traces);
    assert_eq!(report.total.percent(), "100.000 %");
}
