//! A report as text.

use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanId, SpanKind};

use super::judge::{kind_name, shown};
use super::report::{Break, BrokenTrace, Counts, Report};
use crate::render::tree::{self, Node};
use crate::text::escape;

/// The maximum number of traces that are drawn as trees.
const MAX_TREES: usize = 10;

/// `1 span`, `2 spans`.
pub(super) fn plural(number: u64, what: &str) -> String {
    format!("{number} {what}{}", plural_ending(number))
}

/// The ending of a regular noun: none for one thing, and `s` for any other number.
pub(crate) fn plural_ending(number: u64) -> &'static str {
    if number == 1 { "" } else { "s" }
}

/// A name as it is shown: truncated and escaped. A table is as wide as its longest name, and a width is limited to what
/// fits into 16 bits.
pub(crate) fn displayed(name: &str) -> String {
    escape(&shown(name)).into_owned()
}

/// `950 ns`, `1.2 ms`, `3.0 s`.
pub(super) fn duration(nanos: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal place is shown")]
    let of = |unit: u64| nanos as f64 / unit as f64;
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        // A value that would be rounded to 1000.0 is in the next unit.
        1_000..999_950 => format!("{:.1} µs", of(1_000)),
        999_950..999_950_000 => format!("{:.1} ms", of(1_000_000)),
        _ => format!("{:.1} s", of(1_000_000_000)),
    }
}

impl Counts {
    /// Returns the completeness in percent with three decimal places, such as `99.200 %`. It is rounded down, so
    /// `100.000 %` means that every trace is complete. `n/a` if there are no traces.
    pub fn percent(&self) -> String {
        let thousandths = u128::from(self.complete) * 100_000;
        match thousandths.checked_div(self.traces.into()) {
            Some(thousandths) => format!("{}.{:03} %", thousandths / 1_000, thousandths % 1_000),
            None => "n/a".to_owned(),
        }
    }
}

impl fmt::Display for Report {
    /// Formats the report for a terminal: the completeness of all traces, of each service and of each entry point; the
    /// breaks, each with its source location, cause and remedy; and some of the broken traces as trees in which the
    /// breaks are marked. Names are truncated to 256 bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { traces, spans, complete } = self.total;
        write!(f, "completeness {}: ", self.total.percent())?;
        match traces {
            0 => writeln!(f, "no trace has been judged")?,
            _ => writeln!(f, "{complete} of {}, {}", plural(traces, "trace"), plural(spans, "span"))?,
        }
        self.fmt_skipped(f)?;
        if !self.services.is_empty() {
            writeln!(f)?;
            self.fmt_services(f)?;
        }
        let mut last = None;
        for found in &self.breaks {
            if last.replace(found.kind) != Some(found.kind) {
                let kind = found.kind;
                writeln!(f, "\n{kind} \u{d7}{}: {}", self.count(kind), kind.title())?;
                writeln!(f, "  usual cause: {}", kind.cause())?;
                writeln!(f, "  remedy: {}", kind.remedy())?;
            }
            found.fmt_in(f)?;
        }
        for trace in self.traces.iter().take(MAX_TREES) {
            write!(f, "\ntrace {}", trace.trace_id)?;
            if trace.spans_left_out > 0 {
                let shown = trace.spans.len() as u64;
                write!(f, ", {shown} of {}", plural(shown + trace.spans_left_out, "span"))?;
            }
            write!(f, "\n{}", trace.tree())?;
        }
        match self.traces.len().saturating_sub(MAX_TREES) {
            0 => Ok(()),
            more => writeln!(f, "\n{more} more broken trace{}", plural_ending(more as u64)),
        }
    }
}

impl Report {
    fn fmt_skipped(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, what, why) in self.skipped.reasons() {
            writeln!(f, "not judged: {} {why}", plural(number, what))?;
        }
        Ok(())
    }

    fn fmt_services(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![["service, entry", "traces", "spans", "complete", "breaks"].map(str::to_owned)];
        let row = |name: String, counts: &Counts, breaks: u64| {
            let numbers = [counts.traces, counts.spans].map(|number| number.to_string());
            let [traces, spans] = numbers;
            [name, traces, spans, counts.percent(), breaks.to_string()]
        };
        for service in &self.services {
            let name = if service.name.is_empty() { "(no name)".to_owned() } else { displayed(&service.name) };
            rows.push(row(name, &service.counts, service.breaks));
            for entry in &service.entries {
                let name = format!("  {}{}", displayed(&entry.name), in_brackets(&entry.kind));
                rows.push(row(name, &entry.counts, entry.breaks));
            }
        }
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths = [0, 1, 2, 3, 4].map(width);
        for [name, numbers @ ..] in &rows {
            write!(f, "{name:<width$}", width = widths[0])?;
            for (number, width) in numbers.iter().zip(&widths[1..]) {
                write!(f, "  {number:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The kind, unless it is internal.
fn in_brackets(kind: &SpanKind) -> String {
    if *kind == SpanKind::Internal { String::new() } else { format!(" [{}]", kind_name(kind)) }
}

impl Break {
    /// `×3 charge card at src/pay.rs:31 (pay::charge), in payments below POST /pay`, and an example.
    fn fmt_in(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  \u{d7}{}", self.count)?;
        let mut separator = " ";
        if !self.span.is_empty() {
            write!(f, " `{}`", displayed(&self.span))?;
            separator = ", ";
        }
        if let Some(place) = &self.place {
            write!(f, " at {place}")?;
        }
        if !self.service.is_empty() {
            write!(f, "{separator}in service `{}`", displayed(&self.service))?;
            separator = ", ";
        }
        if !self.entry.is_empty() && self.entry != self.span {
            write!(f, "{separator}entered by `{}`", displayed(&self.entry))?;
        }
        writeln!(f)?;
        if let Some(example) = self.examples.first() {
            write!(f, "    {}", escape(&example.detail))?;
            if let Some(trace) = example.trace_id {
                write!(f, " (trace {trace})")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl BrokenTrace {
    /// Returns the spans as text trees in which the breaks are marked, with one line per span and one tree per
    /// connected part.
    pub fn tree(&self) -> String {
        let start = self.spans.first().map_or(0, |span| span.start);
        let nodes = self.spans.iter().enumerate().map(|(order, span)| Node {
            trace: span.trace_id,
            span: span.span_id,
            parent: span.parent_id.unwrap_or(SpanId::INVALID),
            start: SystemTime::UNIX_EPOCH + Duration::from_nanos(span.start.saturating_sub(start)),
            order,
        });
        let nodes: Vec<_> = nodes.collect();
        tree::draw(tree::layout(&nodes).into_iter().map(|row| (row.depth, self.line(row.index))))
    }

    fn line(&self, at: usize) -> String {
        let span = &self.spans[at];
        let mut line = format!("{}{}", displayed(&span.name), in_brackets(&span.kind));
        if !span.service.is_empty() {
            // Writing to a `String` does not fail.
            let _ = write!(line, " ({})", displayed(&span.service));
        }
        let took = span.duration().map_or_else(|| "open".to_owned(), duration);
        let _ = write!(line, " {took}");
        for mark in self.marks.iter().filter(|mark| mark.span == at) {
            let _ = write!(line, "  <-- {}: {}", mark.kind, escape(&mark.detail));
        }
        line
    }
}
