//! The sampler: one decision for all spans of a trace, and load shedding.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::{Link, SpanKind, SpanRef, TraceContextExt as _, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use super::export::Queue;
use crate::atomic::AtomicU64;

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
                result.trace_state = without_threshold(result.trace_state);
            }
            return result;
        };
        let state = parent_span.trace_state().clone();
        if !parent_span.is_sampled() {
            return follow(SamplingDecision::Drop, state);
        }
        if parent_span.is_remote() && !self.admits(true) {
            return follow(SamplingDecision::Drop, without_threshold(state));
        }
        follow(SamplingDecision::RecordAndSample, state)
    }
}

fn follow(decision: SamplingDecision, trace_state: TraceState) -> SamplingResult {
    SamplingResult { decision, attributes: Vec::new(), trace_state }
}

/// Removes the sampling threshold, `th` of the member `ot`, from the trace state of a trace that was to be sampled and is
/// refused ("`CompositeSampler`": a negative decision removes it). A service that is called would otherwise decide by the
/// threshold, record its spans, and leave a gap where ours are missing. The other values of `ot` are kept.
fn without_threshold(state: TraceState) -> TraceState {
    const KEY: &str = "ot";
    let Some(values) = state.get(KEY).filter(|values| values.contains("th:")) else { return state };
    let kept: Vec<_> = values.split(';').filter(|value| !value.starts_with("th:")).collect();
    let changed = if kept.is_empty() { state.delete(KEY) } else { state.insert(KEY, kept.join(";")) };
    changed.unwrap_or(state)
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::trace::Sampler;

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

    /// Asks for a span below `parent`, whose trace state is `state`. Returns the decision and the new trace state.
    fn decided(load: LoadShedder, is_remote: bool, is_sampled: bool, state: &str) -> (SamplingDecision, String) {
        use opentelemetry::trace::{SpanContext, SpanId, TraceFlags};

        let sampler = WholeTraceSampler::new(Box::new(Sampler::AlwaysOn), Some(Arc::new(load)));
        let (trace_id, flags) = (TraceId::from(1), TraceFlags::default().with_sampled(is_sampled));
        let state = state.parse().expect("a trace state");
        let parent = SpanContext::new(trace_id, SpanId::from(2), flags, is_remote, state);
        let parent = Context::new().with_remote_span_context(parent);
        let result = sampler.should_sample(Some(&parent), trace_id, "s", &SpanKind::Server, &[], &[]);
        (result.decision, result.trace_state.header())
    }

    /// "`CompositeSampler`", and "`TraceState` Handling" for the other values.
    #[test]
    fn a_refused_trace_has_no_sampling_threshold() {
        for (state, refused) in [
            ("", ""),
            ("a=1", "a=1"),
            ("ot=th:0", ""),
            ("a=1,ot=th:c;rv:6e6d1a75832a2f,b=2", "ot=rv:6e6d1a75832a2f,a=1,b=2"),
            ("ot=rv:6e6d1a75832a2f;th:8,a=1", "ot=rv:6e6d1a75832a2f,a=1"),
            ("a=th:1,ot=rv:6e6d1a75832a2f", "a=th:1,ot=rv:6e6d1a75832a2f"),
        ] {
            let refused = (SamplingDecision::Drop, refused.to_owned());
            assert_eq!(decided(shedder(70, 80, false), true, true, state), refused, "{state}");
            // Whoever follows a decision does not change the state.
            let followed = |decision| (decision, state.to_owned());
            let (sampled, dropped) = (followed(SamplingDecision::RecordAndSample), followed(SamplingDecision::Drop));
            assert_eq!(decided(shedder(69, 80, false), true, true, state), sampled);
            assert_eq!(decided(shedder(70, 80, false), false, true, state), sampled);
            assert_eq!(decided(shedder(70, 80, false), true, false, state), dropped);
        }
    }

    /// A sampler of the application may set one.
    #[test]
    fn a_trace_that_is_not_started_has_no_sampling_threshold() {
        #[derive(Debug, Clone)]
        struct Half;

        impl ShouldSample for Half {
            fn should_sample(
                &self,
                _: Option<&Context>,
                _: TraceId,
                _: &str,
                _: &SpanKind,
                _: &[KeyValue],
                _: &[Link],
            ) -> SamplingResult {
                follow(SamplingDecision::RecordAndSample, "ot=th:8".parse().expect("a trace state"))
            }
        }

        for (spans, expected) in [(59, "ot=th:8"), (60, "")] {
            let sampler = WholeTraceSampler::new(Box::new(Half), Some(Arc::new(shedder(spans, 80, false))));
            let result = sampler.should_sample(None, TraceId::from(1), "s", &SpanKind::Server, &[], &[]);
            assert_eq!(result.trace_state.header(), expected);
        }
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
