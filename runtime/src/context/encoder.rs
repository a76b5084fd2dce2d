//! The interface of our own tracer to the code that starts spans.

use std::sync::Arc;

use opentelemetry::Context;

use crate::context::data::Data;
use crate::tags::draft::Draft;

/// Starts spans that are encoded as they are recorded.
pub(crate) trait Encoder {
    /// Returns an empty draft for a child of `parent`, whose data is `data`. Returns `None` if the sampler needs the
    /// attributes in OpenTelemetry's types.
    fn draft(&self, parent: &Context, data: Option<&Arc<Data>>) -> Option<Box<Draft>>;

    /// Whether [`start`](Self::start) never calls application code, which could change the current context.
    fn is_plain(&self) -> bool;

    /// Starts a child of the span of `parent`. The span context is invalid if telemetry is shut down or suppressed.
    fn start(&self, draft: Box<Draft>, parent: &Context) -> Context;
}
