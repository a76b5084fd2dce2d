//! Log lines have the trace ID, the span ID and the tags.

mod json;
mod records;
mod span_events;
mod text;

use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry_sdk::trace::Sampler;
use throughline::in_span;
use throughline::testing::{Capture, FinishedSpan};
use throughline::text::needs_escape;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::output::Output;

/// A clock that always returns the same time.
#[derive(Debug, Clone, Copy)]
struct Noon;

impl FormatTime for Noon {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        w.write_str("12:00:00")
    }
}

/// Runs `f` in an unsampled span. Returns its IDs.
fn in_unsampled_span(f: impl FnOnce()) -> SpanContext {
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    capture.run(|| {
        in_span("order", || {
            f();
            Context::current().span().span_context().clone()
        })
    })
}

/// The IDs of a span, as they are written on a line.
fn ids(span: &FinishedSpan) -> String {
    format!("trace_id={} span_id={}", span.trace_id(), span.span_id())
}

/// Line feeds, escape sequences, other controls, separators, overrides, and characters at which a parser splits.
const HOSTILE: &str = "x\r\n12:00:00 ERROR forged\u{1b}[2K\u{1b}]0;t\u{7}\u{9b}1A\u{85}\u{2028}\u{202e}\u{200f}\u{200b}\t\0\u{7f}\" trace_id=0 }";

/// The positions of harmful characters in a text, other than the line feeds that end its lines.
fn harm(text: &str) -> Vec<char> {
    text.strip_suffix('\n').unwrap_or(text).chars().filter(|c| needs_escape(*c)).collect()
}
