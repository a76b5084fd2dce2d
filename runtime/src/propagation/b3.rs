//! Zipkin's B3 headers, in both encodings. Both are extracted, whichever is injected, as OpenTelemetry's
//! specification requires (section "B3 Requirements").
//!
//! The crate `opentelemetry-propagator-b3` is not used, because it stores the debug flag in the bit that W3C level 2
//! uses for random trace IDs, treats `d` as not sampled, and accepts a sign in hexadecimal numbers.

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};

use super::trim;
use crate::context::extensions::ContextExt as _;
use crate::text::hex;

const SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";
/// Never injected, but removed from the carrier, so that it does not contradict the injected headers.
const PARENT: &str = "x-b3-parentspanid";
pub(super) const FIELDS: [&str; 6] = [SINGLE, TRACE_ID, SPAN_ID, SAMPLED, FLAGS, PARENT];

/// Whether writing the header `new` invalidates the header `old`. A receiver would prefer the single header of a
/// previous context, or combine its sampling state with the new trace. The single header is always written first, and
/// the sampling state after the span ID.
pub(super) fn is_superseded((old, old_value): (&str, &str), (new, new_value): (&str, &str)) -> bool {
    let is_any = |names: &[&str]| names.iter().any(|name| old.eq_ignore_ascii_case(name));
    match new {
        SINGLE => is_any(&FIELDS),
        TRACE_ID | SPAN_ID if is_any(&[SINGLE]) => !old_value.contains(new_value),
        SPAN_ID => is_any(&[SAMPLED, FLAGS, PARENT]),
        _ => false,
    }
}

pub(super) fn inject_single(context: &Context, into: &mut dyn Injector) {
    let span = context.span();
    let span = span.span_context();
    if span.is_valid() {
        let sampling = match (span.is_sampled(), is_debugged(context)) {
            (true, true) => 'd',
            (true, false) => '1',
            (false, _) => '0',
        };
        into.set(SINGLE, format!("{:032x}-{:016x}-{sampling}", span.trace_id(), span.span_id()));
    }
}

pub(super) fn inject_multi(context: &Context, into: &mut dyn Injector) {
    let span = context.span();
    let span = span.span_context();
    if span.is_valid() {
        into.set(TRACE_ID, format!("{:032x}", span.trace_id()));
        into.set(SPAN_ID, format!("{:016x}", span.span_id()));
        if span.is_sampled() && is_debugged(context) {
            into.set(FLAGS, "1".to_owned());
        } else {
            into.set(SAMPLED, u8::from(span.is_sampled()).to_string());
        }
    }
}

/// The trace that was received with the debug flag, which OpenTelemetry cannot represent.
pub(super) struct Debugged(pub(super) TraceId);

/// Whether the trace of `context` was received with the debug flag.
fn is_debugged(context: &Context) -> bool {
    let debugged = context.extension::<Debugged>();
    debugged.is_some_and(|debugged| debugged.0 == context.span().span_context().trace_id())
}

/// A span context, and whether it has the debug flag, which OpenTelemetry cannot represent.
pub(super) type Found = (SpanContext, bool);

/// Extracts from either encoding; the single header takes precedence.
pub(super) fn extract(from: &dyn Extractor) -> Option<Found> {
    extract_single(from).or_else(|| extract_multi(from))
}

/// Whether the headers set the debug flag for the trace of `span`, whichever format `span` was extracted from.
pub(super) fn asks_to_debug(from: &dyn Extractor, span: &SpanContext) -> bool {
    let same = |found: SpanContext| span.is_sampled() && found.trace_id() == span.trace_id();
    extract(from).is_some_and(|(found, debug)| debug && same(found))
}

/// `trace-span`, `trace-span-sampling` or `trace-span-sampling-parent`. The sampling state alone does not identify a
/// span.
fn extract_single(from: &dyn Extractor) -> Option<Found> {
    let mut parts = trim(from.get(SINGLE)?).splitn(5, '-');
    let (trace_id, span_id) = (parts.next()?, parts.next()?);
    let (sampled, debug) = match parts.next() {
        None => (DEFERRED, false),
        Some("d") => (true, true),
        Some("1") => (true, false),
        Some("0") => (false, false),
        Some(_) => return None,
    };
    if let Some(parent) = parts.next() {
        span(parent)?;
    }
    if parts.next().is_some() {
        return None;
    }
    Some((identity(trace_id, span_id, sampled)?, debug))
}

fn extract_multi(from: &dyn Extractor) -> Option<Found> {
    let debug = from.get(FLAGS).is_some_and(|flags| trim(flags) == "1");
    let sampled = match from.get(SAMPLED).map(trim) {
        _ if debug => true,
        None => DEFERRED,
        // Sent by early tracers.
        Some("1" | "true") => true,
        Some("0" | "false") => false,
        Some(_) => return None,
    };
    Some((identity(trim(from.get(TRACE_ID)?), trim(from.get(SPAN_ID)?), sampled)?, debug))
}

/// Without a sampling state, the decision is left to the receiver. Sampling keeps a trace that was started by the
/// caller complete.
const DEFERRED: bool = true;

fn identity(trace_id: &str, span_id: &str, sampled: bool) -> Option<SpanContext> {
    if trace_id.len() != 32 && trace_id.len() != 16 {
        return None;
    }
    let trace_id = hex::parse_lower::<u128>(trace_id.as_bytes()).filter(|&id| id != 0)?;
    let span_id = span(span_id).filter(|&id| id != 0)?;
    let flags = TraceFlags::default().with_sampled(sampled);
    Some(SpanContext::new(TraceId::from(trace_id), SpanId::from(span_id), flags, true, TraceState::NONE))
}

fn span(id: &str) -> Option<u64> {
    if id.len() != 16 {
        return None;
    }
    hex::parse_lower::<u64>(id.as_bytes())
}
