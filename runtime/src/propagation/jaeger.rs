//! Jaeger's `uber-trace-id`: `trace:span:parent:flags`.

use std::borrow::Cow;

use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use percent_encoding::percent_decode_str;

use super::trim;
use crate::text::hex;

const HEADER: &str = "uber-trace-id";
pub(super) const FIELDS: [&str; 1] = [HEADER];

/// 32 + 16 + 16 + 2 digits and three colons, each possibly encoded as `%3A`.
const MAX_LENGTH: usize = 32 + 16 + 16 + 2 + 3 * 3;

pub(super) fn inject(span: &SpanContext, into: &mut dyn Injector) {
    if span.is_valid() {
        let sampled = u8::from(span.is_sampled());
        into.set(HEADER, format!("{:032x}:{:016x}:0:{sampled}", span.trace_id(), span.span_id()));
    }
}

/// Leading zeros may be omitted, and the colons may be percent-encoded.
pub(super) fn extract(from: &dyn Extractor) -> Option<SpanContext> {
    let header = trim(from.get(HEADER)?);
    if header.len() > MAX_LENGTH {
        return None;
    }
    let header: Cow<'_, str> =
        if header.contains('%') { percent_decode_str(header).decode_utf8().ok()? } else { header.into() };
    let mut parts = header.splitn(5, ':');
    let (trace_id, span_id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || flags.len() > 2 {
        return None;
    }
    let trace_id = hex::parse_lower::<u128>(trace_id.as_bytes()).filter(|&id| id != 0)?;
    let span_id = hex::parse_lower::<u64>(span_id.as_bytes()).filter(|&id| id != 0)?;
    hex::parse_lower::<u64>(parent.as_bytes())?;
    let flags = hex::parse_lower::<u8>(flags.as_bytes())?;
    let flags = TraceFlags::default().with_sampled(flags & 1 == 1);
    Some(SpanContext::new(TraceId::from(trace_id), SpanId::from(span_id), flags, true, TraceState::NONE))
}
