//! A W3C trace state that OpenTelemetry's type cannot hold as a whole.

use opentelemetry::trace::{SpanContext, TraceId, TraceState};

/// As many members may be passed on (W3C Trace Context, section "tracestate Header Field Values").
pub(crate) const MAX_MEMBERS: usize = 32;

/// A valid trace state of which OpenTelemetry refuses a part: keys with an `@` that Trace Context level 2
/// allows and the narrower grammar of level 1, by which OpenTelemetry goes, does not.
#[derive(Debug)]
pub(crate) struct ForeignTraceState {
    /// The trace it belongs to.
    pub(crate) trace: TraceId,
    /// Everything, as it came.
    pub(crate) header: String,
    /// What OpenTelemetry holds of it.
    pub(crate) held: TraceState,
    /// The members it does not hold.
    pub(crate) missing: String,
}

impl ForeignTraceState {
    /// The header for `span`: if a sampler has added to its trace state, the new members come first
    /// (section "Mutating the tracestate Field"). A span of another trace has nothing to do with it.
    pub(crate) fn header(&self, span: &SpanContext) -> String {
        let of = span.trace_state();
        if span.trace_id() != self.trace {
            return of.header();
        }
        if *of == self.held {
            return self.header.clone();
        }
        let mut header = of.header();
        if !header.is_empty() {
            header.push(',');
        }
        header.push_str(&self.missing);
        // What falls off the end is the oldest, as in OpenTelemetry's type.
        if let Some((end, _)) = header.match_indices(',').nth(MAX_MEMBERS - 1) {
            header.truncate(end);
        }
        header
    }
}
