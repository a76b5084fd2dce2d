//! Detects a process without a tracer provider, such as one that uses an annotated library but does not trace.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, global};
use tracing::level_filters::LevelFilter;

#[cfg(feature = "tracing")]
use crate::context::current;
use crate::context::data::Data;
use crate::span::tracer;

/// Whether a span that starts now would be discarded, so that its attributes need not be computed. Logs a warning if
/// telemetry is not set up, which may be a mistake.
#[cfg(feature = "tracing")]
pub(crate) fn is_lost() -> bool {
    !tracer::is_installed() && current::with(is_plain) && is_lost_first()
}

/// The same, for a context that [is plain](is_plain).
#[inline]
pub(super) fn is_lost_first() -> bool {
    if tracer::is_installed() || !is_global_a_noop() {
        return false;
    }
    // Without a subscriber, nobody could read the warning.
    if LevelFilter::current() >= LevelFilter::WARN {
        tracer::warn_if_not_set_up(&Context::new());
    }
    true
}

/// Whether the context has neither a span, which the no-op tracer would return, nor a provider of its own.
#[inline]
pub(super) fn is_plain(context: &Context) -> bool {
    !context.has_active_span() && has_no_source(context)
}

/// Not inlined: the registers of the lookup would be saved in every call of the caller, although few get here.
#[inline(never)]
fn has_no_source(context: &Context) -> bool {
    Data::of(context).is_none_or(|data| data.source.is_none())
}

/// Whether OpenTelemetry's global provider is still the initial no-op.
///
/// OpenTelemetry does not expose this, and a provider can be set at any time, so the global tracer is probed for each
/// span: in a suppressed context with a remote span, the no-op tracer returns that span, and a tracer of the SDK
/// returns an invalid one. Once another provider has been seen, there are no more probes.
fn is_global_a_noop() -> bool {
    static IS_SET: AtomicBool = AtomicBool::new(false);
    static REMOTE: OnceLock<Context> = OnceLock::new();

    if IS_SET.load(Ordering::Relaxed) {
        return false;
    }
    let context = REMOTE.get_or_init(|| {
        let (trace, span) = (TraceId::from(1_u128), SpanId::from(1_u64));
        let remote = SpanContext::new(trace, span, TraceFlags::default(), true, TraceState::NONE);
        Context::new().with_remote_span_context(remote).with_telemetry_suppressed()
    });
    let tracer = global::tracer_provider().tracer_with_scope(tracer::scope());
    let span = tracer.build_with_context(SpanBuilder::default(), context);
    if span.span_context().span_id() == SpanId::from(1_u64) {
        return true;
    }
    IS_SET.store(true, Ordering::Relaxed);
    false
}
