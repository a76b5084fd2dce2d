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
    /// The header for `span`. If a sampler has modified the trace state, members that it has added or modified come
    /// first, and the others keep their order (section "Mutating the tracestate Field"). Does not apply to spans of other
    /// traces.
    pub(crate) fn header(&self, span: &SpanContext) -> String {
        let of = span.trace_state();
        if span.trace_id() != self.trace {
            return of.header();
        }
        if *of == self.held {
            return self.header.clone();
        }
        let of = of.header();
        let (received, current) = (members(&self.header), members(&of));
        // The unmodified members are the longest suffix in the order in which they were received: a sampler puts those
        // that it adds or modifies before them.
        let mut before = received.len();
        let is_unmodified = |member: &&&str| {
            let at = received[..before].iter().rposition(|received| received == *member);
            before = at.unwrap_or(before);
            at.is_some()
        };
        let unmodified = current.iter().rev().take_while(is_unmodified).count();
        let (new, unmodified) = current.split_at(current.len() - unmodified);
        let missing = members(&self.missing);
        let kept = received.iter().filter(|member| unmodified.contains(member) || missing.contains(member));
        // The right-most members are dropped (section "tracestate Header Field Values").
        new.iter().chain(kept).take(MAX_MEMBERS).copied().collect::<Vec<_>>().join(",")
    }
}

fn members(header: &str) -> Vec<&str> {
    header.split(',').filter(|member| !member.is_empty()).collect()
}
