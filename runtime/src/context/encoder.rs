//! The interface of our own tracer to the code that starts spans.

use std::sync::Arc;

use opentelemetry::Context;

use crate::context::data::Data;
use crate::tags::draft::Draft;

/// Starts spans that are encoded while they are recorded.
pub(crate) trait Encoder {
    /// Returns an empty draft of a child of `parent`, which has `data`; `None` if the sampler needs the attributes in
    /// OpenTelemetry's types.
    fn draft(&self, parent: &Context, data: Option<&Arc<Data>>) -> Option<Box<Draft>>;

    /// Whether [`start`](Self::start) calls no application code, which could change the current context.
    fn is_plain(&self) -> bool;

    /// Starts a span whose parent is the span of `parent`. Its context is not valid if telemetry is shut down or
    /// suppressed.
    fn start(&self, draft: Box<Draft>, parent: &Context) -> Context;
}
