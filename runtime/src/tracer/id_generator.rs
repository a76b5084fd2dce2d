//! Trace IDs that are determined before the trace starts.

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use crate::span::requested_id;

/// An ID generator that uses an incoming `X-Request-ID` as the ID of the trace that the request starts, so that the
/// same ID identifies both.
///
/// All other IDs come from the wrapped generator.
///
/// In OpenTelemetry, only the ID generator of the provider can choose trace IDs. With any other generator, the request
/// keeps its ID, the trace has a different one, and the server span records the request ID as
/// `http.request.header.x-request-id`.
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
    /// Creates a generator that wraps the SDK's random generator.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<G> RequestIdGenerator<G> {
    /// Creates a generator that wraps `generator`.
    pub fn wrap(generator: G) -> Self {
        Self(generator)
    }
}

impl<G: IdGenerator> IdGenerator for RequestIdGenerator<G> {
    fn new_trace_id(&self) -> TraceId {
        requested_id::requested_trace_id().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}
