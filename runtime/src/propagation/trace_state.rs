//! W3C trace state that OpenTelemetry's type cannot represent in full.

use opentelemetry::trace::{SpanContext, TraceId, TraceState};

/// The maximum number of members to propagate (W3C Trace Context, section "tracestate Header Field Values").
pub(crate) const MAX_MEMBERS: usize = 32;

/// A valid trace state of which OpenTelemetry rejects some members: keys with an `@` are valid in Trace Context level
/// 2, but not in the narrower grammar of level 1 that OpenTelemetry implements.
#[derive(Debug)]
pub(crate) struct ForeignTraceState {
    /// The trace it belongs to.
    pub(crate) trace: TraceId,
    /// The complete header, as received.
    pub(crate) header: String,
    /// The members that OpenTelemetry can represent.
    pub(crate) held: TraceState,
    /// The other members.
    pub(crate) missing: String,
}

impl ForeignTraceState {
    /// The header for `span`. If a sampler has modified the trace state, the new members come first (section
    /// "Mutating the tracestate Field"). Does not apply to spans of other traces.
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
        // Members are dropped from the end, where the oldest are, as OpenTelemetry's type does.
        if let Some((end, _)) = header.match_indices(',').nth(MAX_MEMBERS - 1) {
            header.truncate(end);
        }
        header
    }
}
