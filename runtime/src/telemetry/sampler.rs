//! The sampler: one decision for all spans of a trace, and load shedding.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use opentelemetry::trace::{Link, SpanKind, SpanRef, TraceContextExt as _, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use super::export::Queue;

/// Consults the configured sampler for root spans; every other span follows its parent.
#[derive(Debug, Clone)]
pub(super) struct WholeTraceSampler {
    root: Box<dyn ShouldSample>,
    /// `None` if nothing is exported.
    load: Option<Arc<LoadShedder>>,
}

/// Refuses new traces while the queue is filling up.
#[derive(Debug)]
pub(super) struct LoadShedder {
    queue: Arc<Queue>,
    is_shedding: AtomicBool,
    /// Counts the refused traces that a remote caller samples, for the audit.
    refused: Arc<AtomicU64>,
}

impl LoadShedder {
    pub(super) fn new(queue: Arc<Queue>, refused: Arc<AtomicU64>) -> Self {
        Self { queue, is_shedding: AtomicBool::new(false), refused }
    }

    /// Decides whether a trace is recorded. When three quarters of a limit of the queue are reached, no trace is
    /// started here until the queue is half empty again. A trace that a caller has started is admitted up to seven
    /// eighths, because refusing it leaves a gap in the caller's trace.
    fn admits(&self, is_started_by_caller: bool) -> bool {
        let (len, bytes, limits) = (self.queue.len(), self.queue.bytes(), self.queue.limits());
        let is_below = |part: fn(usize) -> usize| len < part(limits.spans) && bytes < part(limits.bytes);
        let admits = if is_started_by_caller {
            is_below(|limit| limit - limit / 8)
        } else if self.is_shedding.load(Ordering::Relaxed) {
            let admits = len <= limits.spans / 2 && bytes <= limits.bytes / 2;
            if admits {
                self.is_shedding.store(false, Ordering::Relaxed);
            }
            admits
        } else {
            let admits = is_below(|limit| limit - limit / 4);
            if !admits {
                self.is_shedding.store(true, Ordering::Relaxed);
            }
            admits
        };
        if !admits {
            self.queue.count_trace_not_started();
            self.refused.fetch_add(u64::from(is_started_by_caller), Ordering::Relaxed);
        }
        admits
    }
}

impl WholeTraceSampler {
    pub(super) fn new(root: Box<dyn ShouldSample>, load: Option<Arc<LoadShedder>>) -> Self {
        Self { root, load }
    }

    fn admits(&self, is_started_by_caller: bool) -> bool {
        self.load.as_ref().is_none_or(|load| load.admits(is_started_by_caller))
    }
}

impl ShouldSample for WholeTraceSampler {
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
        let Some(parent_span) = span.as_ref().map(SpanRef::span_context).filter(|parent| parent.is_valid()) else {
            let mut result = self.root.should_sample(parent, trace_id, name, kind, attributes, links);
            if result.decision != SamplingDecision::Drop && !self.admits(false) {
                result.decision = SamplingDecision::Drop;
            }
            return result;
        };
        let is_sampled = parent_span.is_sampled() && (!parent_span.is_remote() || self.admits(true));
        follow(is_sampled, parent_span.trace_state().clone())
    }
}

fn follow(is_sampled: bool, trace_state: TraceState) -> SamplingResult {
    let decision = if is_sampled { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
    SamplingResult { decision, attributes: Vec::new(), trace_state }
}

#[cfg(test)]
mod tests {
    use super::super::export::QueueLimits;
    use super::*;

    /// A shedder for a queue that has this content, and is limited to 80 spans and 800 bytes.
    fn shedder(spans: u32, bytes: usize, is_shedding: bool) -> LoadShedder {
        let queue = Queue::filled(QueueLimits { spans: 80, bytes: 800 }, spans, bytes);
        assert_eq!((queue.len(), queue.bytes()), (spans as usize, bytes));
        LoadShedder { is_shedding: AtomicBool::new(is_shedding), ..LoadShedder::new(Arc::new(queue), Arc::default()) }
    }

    /// Whether a trace of a caller is admitted, and whether a trace that would start here is.
    fn admitted(spans: u32, bytes: usize, is_shedding: bool) -> (bool, bool) {
        let shedder = shedder(spans, bytes, is_shedding);
        let admitted = (shedder.admits(true), shedder.admits(false));
        let not_started = u64::from(!admitted.0) + u64::from(!admitted.1);
        assert_eq!(shedder.queue.stats().traces_not_started, not_started);
        assert_eq!(shedder.refused.load(Ordering::Relaxed), u64::from(!admitted.0));
        assert_eq!(shedder.is_shedding.load(Ordering::Relaxed), !admitted.1);
        admitted
    }

    #[test]
    fn traces_are_admitted_up_to_a_share_of_either_limit() {
        for (spans, expected) in [(59, (true, true)), (60, (true, false)), (69, (true, false)), (70, (false, false))] {
            assert_eq!(admitted(spans, 80, false), expected, "{spans} spans");
            assert_eq!(admitted(1, spans as usize * 10, false), expected, "{spans}0 bytes");
        }
        assert_eq!((admitted(1, 599, false), admitted(1, 699, false)), ((true, true), (true, false)));
    }

    #[test]
    fn while_shedding_no_trace_is_started_until_the_queue_is_half_empty() {
        for (spans, expected) in [(41, false), (40, true)] {
            assert_eq!(admitted(spans, 80, true), (true, expected), "{spans} spans");
            assert_eq!(admitted(1, spans as usize * 10, true), (true, expected), "{spans}0 bytes");
        }
        assert_eq!(admitted(1, 401, true), (true, false));
    }
}
