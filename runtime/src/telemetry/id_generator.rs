//! Ids of traces that were named before they began.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use crate::span::tracer;

/// Lets an incoming `X-Request-ID` become the id of the trace that the request begins, so that there
/// is one id for both. All other ids come from the generator it is put over.
///
/// OpenTelemetry leaves the choice of trace ids to the provider's id generator alone. With another
/// generator than this the request keeps its id, the trace has one of its own, and the request's
/// stands on the server span as `http.request.header.x-request-id`.
///
/// ```
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use throughline::telemetry::{RequestIdGenerator, TagProcessor};
///
/// let provider = SdkTracerProvider::builder()
///     .with_id_generator(RequestIdGenerator::new())
///     .with_span_processor(TagProcessor::new())
///     .build();
/// throughline::install(&provider);
/// ```
#[derive(Debug, Clone, Default)]
pub struct RequestIdGenerator<G = RandomIdGenerator>(G);

impl RequestIdGenerator {
    /// Takes all ids that nobody asked for from the SDK's random generator.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<G> RequestIdGenerator<G> {
    /// Takes all ids that nobody asked for from `generator`.
    pub fn over(generator: G) -> Self {
        Self(generator)
    }
}

impl<G: IdGenerator> IdGenerator for RequestIdGenerator<G> {
    fn new_trace_id(&self) -> TraceId {
        tracer::wanted().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}
