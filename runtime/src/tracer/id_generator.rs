//! IDs that differ in every process, and trace IDs that are determined before the trace starts.

use std::hash::{BuildHasher, RandomState};
use std::process;
use std::time::SystemTime;

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

/// The SDK's random generator, whose IDs are those of one process.
///
/// A fork copies the state of the SDK's generator, so without the mask, spans that start on the same thread in the
/// parent and in its children would have the same IDs.
#[derive(Debug, Clone)]
pub(crate) struct ProcessIdGenerator<G = RandomIdGenerator> {
    random: G,
    /// Applied to every ID. Its lower half is that of span IDs.
    mask: u128,
}

impl ProcessIdGenerator {
    /// Creates the generator of the current process.
    pub(crate) fn new() -> Self {
        let mask = mask(process::id(), SystemTime::now(), &RandomState::new());
        Self { random: RandomIdGenerator::default(), mask }
    }
}

/// The mask of a process. A fork has a copy of `random`, too; the time distinguishes processes that have the same ID one
/// after the other.
fn mask(process: u32, begun: SystemTime, random: &RandomState) -> u128 {
    let half = |half: u8| u128::from(random.hash_one((process, begun, half)));
    half(0) << 64 | half(1)
}

impl<G: IdGenerator> IdGenerator for ProcessIdGenerator<G> {
    fn new_trace_id(&self) -> TraceId {
        let random = u128::from_be_bytes(self.random.new_trace_id().to_bytes());
        TraceId::from(random ^ self.mask)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half of the mask")]
    fn new_span_id(&self) -> SpanId {
        let random = u64::from_be_bytes(self.random.new_span_id().to_bytes());
        SpanId::from(random ^ self.mask as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;

    /// A fork has the same random state as its parent and its siblings.
    #[test]
    fn the_ids_of_forks_differ() {
        let (random, now) = (RandomState::new(), SystemTime::now());
        let later = now + Duration::from_nanos(100);
        let masks = [(1, now), (2, now), (3, now), (2, later)].map(|(process, begun)| mask(process, begun, &random));
        let halves = masks.iter().flat_map(|mask| [mask >> 64, mask & u128::from(u64::MAX)]);
        assert_eq!(halves.collect::<HashSet<_>>().len(), 8, "{masks:x?}");
        assert_eq!(mask(1, now, &random), masks[0]);
    }

    #[derive(Debug)]
    struct Same;

    impl IdGenerator for Same {
        fn new_trace_id(&self) -> TraceId {
            TraceId::from(0xf << 64 | 0x7)
        }

        fn new_span_id(&self) -> SpanId {
            SpanId::from(0x7)
        }
    }

    #[test]
    fn every_id_is_masked() {
        let ids = ProcessIdGenerator { random: Same, mask: 0x1 << 64 | 0x2 };
        assert_eq!((ids.new_trace_id(), ids.new_span_id()), (TraceId::from(0xe << 64 | 0x5), SpanId::from(0x5)));
    }
}
