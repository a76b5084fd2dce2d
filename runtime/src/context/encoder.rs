//! The interface of our own tracer to the code that starts spans.

use opentelemetry::Context;
use opentelemetry::trace::Link;

use crate::encoding::fields::Limits;
use crate::tags::draft::Draft;
use crate::tags::scoped::EncodedTags;

/// Starts spans that are encoded while they are recorded.
pub(crate) trait Encoder {
    /// How much a span below `parent` may hold; `None` if its sampler wants to see its attributes in OpenTelemetry's
    /// types first.
    fn limits(&self, parent: &Context) -> Option<Limits>;

    /// Whether [`start`](Self::start) calls no code of the application's, which might make another context current.
    fn is_plain(&self) -> bool;

    /// Starts a span whose parent is the span of `parent`, with these tags in scope. Returns `None` if telemetry is
    /// shut down or suppressed.
    fn start(
        &self,
        draft: Box<Draft>,
        links: Option<Vec<Link>>,
        tags: Option<EncodedTags>,
        parent: &Context,
    ) -> Option<Context>;
}
