//! Whether a trace is recorded: once for all its spans, and not when there is no room for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use opentelemetry::trace::{Link, SpanKind, SpanRef, TraceContextExt as _, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use super::queue::Queue;

/// Asks the configured sampler for the first span of a trace, and holds all others to the answer.
#[derive(Debug, Clone)]
pub(super) struct WholeTraces {
    /// For the first span of a trace.
    first: Box<dyn ShouldSample>,
    room: Option<Arc<Room>>,
}

/// Whether there is room for new traces.
#[derive(Debug)]
pub(super) struct Room {
    queue: Arc<Queue>,
    shedding: AtomicBool,
    /// Traces that were not begun for want of room.
    shed: AtomicU64,
}

impl Room {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self { queue, shedding: AtomicBool::new(false), shed: AtomicU64::new(0) }
    }

    /// From three quarters of the queue on no trace is begun here, until it is half empty again.
    /// One that a caller has begun is let in up to seven eighths, because without it the caller's
    /// has a hole.
    fn has_place(&self, begun_by_caller: bool) -> bool {
        let (waiting, limit) = (self.queue.len(), self.queue.limit());
        let place = if begun_by_caller {
            waiting < limit - limit / 8
        } else if self.shedding.load(Ordering::Relaxed) {
            let place = waiting <= limit / 2;
            if place {
                self.shedding.store(false, Ordering::Relaxed);
            }
            place
        } else {
            let place = waiting < limit - limit / 4;
            if !place {
                self.shedding.store(true, Ordering::Relaxed);
            }
            place
        };
        if !place {
            self.shed.fetch_add(1, Ordering::Relaxed);
        }
        place
    }

    /// How many traces were not begun.
    pub(super) fn shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }
}

impl WholeTraces {
    pub(super) fn new(first: Box<dyn ShouldSample>, room: Option<Arc<Room>>) -> Self {
        Self { first, room }
    }

    fn has_place(&self, begun_by_caller: bool) -> bool {
        self.room.as_ref().is_none_or(|room| room.has_place(begun_by_caller))
    }
}

impl ShouldSample for WholeTraces {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let span = parent.map(|parent| parent.span());
        let Some(above) = span.as_ref().map(SpanRef::span_context).filter(|above| above.is_valid()) else {
            let mut result = self.first.should_sample(parent, trace_id, name, kind, attributes, links);
            if result.decision != SamplingDecision::Drop && !self.has_place(false) {
                result.decision = SamplingDecision::Drop;
            }
            return result;
        };
        let goes_on = above.is_sampled() && (!above.is_remote() || self.has_place(true));
        decided(goes_on, above.trace_state().clone())
    }
}

fn decided(sampled: bool, trace_state: TraceState) -> SamplingResult {
    let decision = if sampled { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
    SamplingResult { decision, attributes: Vec::new(), trace_state }
}
