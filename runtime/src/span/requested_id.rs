//! Trace IDs that are requested for a trace that is about to start.

use std::cell::Cell;

use opentelemetry::trace::TraceId;

thread_local! {
    /// The trace ID requested for the trace that is starting on this thread. Not in the context, because it is set
    /// only while `Tracer::build_with_context` runs.
    static REQUESTED: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Requests `id` as the trace ID of a trace that starts on this thread before the guard is dropped.
///
/// OpenTelemetry's API cannot express this, because the provider's ID generator decides. Only
/// [`RequestIdGenerator`](crate::telemetry::RequestIdGenerator) honours the request.
pub(crate) fn request_trace_id(id: TraceId) -> RequestedTraceId {
    let _ = REQUESTED.try_with(|wanted| wanted.set(Some(id)));
    RequestedTraceId(())
}

/// Takes the requested ID, so that it is used for one trace only.
#[cfg(feature = "sdk")]
pub(crate) fn requested_trace_id() -> Option<TraceId> {
    REQUESTED.try_with(Cell::take).unwrap_or_default()
}

/// Withdraws the request when dropped, even if a sampler panics.
pub(crate) struct RequestedTraceId(());

impl Drop for RequestedTraceId {
    fn drop(&mut self) {
        let _ = REQUESTED.try_with(|wanted| wanted.set(None));
    }
}
