//! Zipkin's B3 headers, in both encodings.
//!
//! Not by the crate `opentelemetry-propagator-b3`: it keeps the debug flag in the bit that W3C level
//! 2 has given to random trace ids, takes `d` for not sampled, and lets a sign pass as a digit.

use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use super::{hex, trim};

const SINGLE: &str = "b3";
const TRACE_ID: &str = "x-b3-traceid";
const SPAN_ID: &str = "x-b3-spanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";
pub(super) const SINGLE_FIELDS: [&str; 1] = [SINGLE];
pub(super) const MULTI_FIELDS: [&str; 4] = [TRACE_ID, SPAN_ID, SAMPLED, FLAGS];

pub(super) fn inject_single(span: &SpanContext, into: &mut dyn Injector) {
    if span.is_valid() {
        let sampled = u8::from(span.is_sampled());
        into.set(SINGLE, format!("{:032x}-{:016x}-{sampled}", span.trace_id(), span.span_id()));
    }
}

pub(super) fn inject_multi(span: &SpanContext, into: &mut dyn Injector) {
    if span.is_valid() {
        into.set(TRACE_ID, format!("{:032x}", span.trace_id()));
        into.set(SPAN_ID, format!("{:016x}", span.span_id()));
        into.set(SAMPLED, u8::from(span.is_sampled()).to_string());
    }
}

/// `trace-span`, `trace-span-sampling` or `trace-span-sampling-parent`. The sampling state alone has
/// no identity.
pub(super) fn extract_single(from: &dyn Extractor) -> Option<SpanContext> {
    let mut parts = trim(from.get(SINGLE)?).splitn(5, '-');
    let (trace_id, span_id) = (parts.next()?, parts.next()?);
    let sampled = match parts.next() {
        None => DEFERRED,
        Some("1" | "d") => true,
        Some("0") => false,
        Some(_) => return None,
    };
    if let Some(parent) = parts.next() {
        span(parent)?;
    }
    if parts.next().is_some() {
        return None;
    }
    identity(trace_id, span_id, sampled)
}

pub(super) fn extract_multi(from: &dyn Extractor) -> Option<SpanContext> {
    let debug = from.get(FLAGS).is_some_and(|flags| trim(flags) == "1");
    let sampled = match from.get(SAMPLED).map(trim) {
        _ if debug => true,
        None => DEFERRED,
        // Early tracers wrote words.
        Some("1" | "true") => true,
        Some("0" | "false") => false,
        Some(_) => return None,
    };
    identity(trim(from.get(TRACE_ID)?), trim(from.get(SPAN_ID)?), sampled)
}

/// Without a sampling state the decision is the receiver's. A trace that somebody has begun is not
/// broken off for want of a word.
const DEFERRED: bool = true;

fn identity(trace_id: &str, span_id: &str, sampled: bool) -> Option<SpanContext> {
    if trace_id.len() != 32 && trace_id.len() != 16 {
        return None;
    }
    let trace_id = hex::parse(trace_id.as_bytes()).filter(|&id| id != 0)?;
    let span_id = span(span_id).filter(|&id| id != 0)?;
    let flags = TraceFlags::default().with_sampled(sampled);
    Some(SpanContext::new(TraceId::from(trace_id), SpanId::from(span_id), flags, true, TraceState::NONE))
}

fn span(id: &str) -> Option<u64> {
    if id.len() != 16 {
        return None;
    }
    hex::parse_u64(id.as_bytes())
}
