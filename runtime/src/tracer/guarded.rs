//! Catches the panics of an application's sampler, so that they do not reach traced functions.

use std::fmt;

use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use crate::guard::panics::caught;

/// A span for which the sampler panics is not recorded.
#[derive(Clone)]
pub(crate) struct Guarded(pub(crate) Box<dyn ShouldSample>);

impl ShouldSample for Guarded {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let decided = caught(|| self.0.should_sample(parent, trace_id, name, kind, attributes, links));
        decided.unwrap_or_else(|| SamplingResult {
            decision: SamplingDecision::Drop,
            attributes: Vec::new(),
            trace_state: parent.map(|parent| parent.span().span_context().trace_state().clone()).unwrap_or_default(),
        })
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
