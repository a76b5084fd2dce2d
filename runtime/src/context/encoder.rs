//! The interface of our own tracer to the code that starts spans.

use std::sync::Arc;

use opentelemetry::Context;

use crate::context::data::Data;
use crate::tags::draft::Draft;

/// Starts spans that are encoded while they are recorded.
pub(crate) trait Encoder {
    /// An empty draft of a span below `parent`, which has `data`; `None` if its sampler wants to see its attributes in
    /// OpenTelemetry's types first.
    fn draft(&self, parent: &Context, data: Option<&Arc<Data>>) -> Option<Box<Draft>>;

    /// Whether [`start`](Self::start) calls no code of the application's, which might make another context current.
    fn is_plain(&self) -> bool;

    /// Starts a span whose parent is the span of `parent`. Its context is not valid if telemetry is shut down or
    /// suppressed.
    fn start(&self, draft: Box<Draft>, parent: &Context) -> Context;
}
