//! `traceparent` and `tracestate`, by W3C Trace Context, levels 1 and 2.

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};

use super::trim;
use crate::context::extensions::ContextExt as _;
use crate::propagation::trace_state::{ForeignTraceState, MAX_MEMBERS};
use crate::text::hex;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
pub(super) const FIELDS: [&str; 2] = [TRACEPARENT, TRACESTATE];

/// Whether writing the header `new` invalidates the header `old`: `tracestate` belongs to one `traceparent`, which is
/// always written first.
pub(super) fn is_superseded(old: &str, new: &str) -> bool {
    new == TRACEPARENT && old.eq_ignore_ascii_case(TRACESTATE)
}

/// The length of `00-` trace ID `-` parent ID `-` flags.
const LENGTH: usize = 55;

/// The defined flags: sampled (level 1) and random trace ID (level 2). Others are not propagated (section "Other
/// Flags").
const KNOWN_FLAGS: u8 = 0b11;

const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 256;

pub(super) fn inject(context: &Context, into: &mut dyn Injector) {
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() {
        return;
    }
    into.set(TRACEPARENT, traceparent(span));
    let foreign = context.extension::<ForeignTraceState>();
    let state = match foreign {
        Some(foreign) => foreign.header(span),
        None if *span.trace_state() == TraceState::NONE => return,
        None => span.trace_state().header(),
    };
    if !state.is_empty() {
        into.set(TRACESTATE, state);
    }
}

fn traceparent(span: &SpanContext) -> String {
    let flags = span.trace_flags().to_u8() & KNOWN_FLAGS;
    format!("00-{:032x}-{:016x}-{flags:02x}", span.trace_id(), span.span_id())
}

/// The caller's span context; `None` if it is missing or invalid.
pub(super) fn extract(from: &dyn Extractor) -> Option<(SpanContext, Option<ForeignTraceState>)> {
    // Multiple `traceparent` headers are invalid.
    let all = from.get_all(TRACEPARENT)?;
    let [traceparent] = all.as_slice() else { return None };
    let (trace_id, span_id, flags) = parse_traceparent(trim(traceparent).as_bytes())?;
    let states = from.get_all(TRACESTATE);
    let (state, foreign) = states.and_then(|headers| parse_tracestate(trace_id, &headers)).unwrap_or_default();
    Some((SpanContext::new(trace_id, span_id, flags, true, state), foreign))
}

fn parse_traceparent(header: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (known, more) = header.split_at_checked(LENGTH)?;
    let version = hex::parse_lower::<u8>(&known[..2])?;
    let complete = match version {
        0 => more.is_empty(),
        0xff => false,
        // Later versions may append fields after another dash.
        _ => more.is_empty() || more[0] == b'-',
    };
    if !complete || known[2] != b'-' || known[35] != b'-' || known[52] != b'-' {
        return None;
    }
    let trace_id = hex::parse_lower::<u128>(&known[3..35]).filter(|&id| id != 0)?;
    let span_id = hex::parse_lower::<u64>(&known[36..52]).filter(|&id| id != 0)?;
    let flags = hex::parse_lower::<u8>(&known[53..])?;
    Some((TraceId::from(trace_id), SpanId::from(span_id), TraceFlags::new(flags & KNOWN_FLAGS)))
}

/// The members of all headers, in order; `None` if any of them is invalid, because the whole trace state is then
/// discarded. If a key repeats, the first member, which is the newest, is kept, so that one vendor's mistake does not
/// affect the others.
fn parse_tracestate(trace: TraceId, headers: &[&str]) -> Option<(TraceState, Option<ForeignTraceState>)> {
    let mut members: Vec<(&str, &str)> = Vec::new();
    for member in headers.iter().flat_map(|header| header.split(',')) {
        let member = trim(member);
        if member.is_empty() {
            continue;
        }
        let (key, value) = member.split_once('=')?;
        if !is_key(key.as_bytes()) || !is_value(value.as_bytes()) {
            return None;
        }
        if members.iter().any(|(other, _)| *other == key) {
            continue;
        }
        if members.len() == MAX_MEMBERS {
            return None;
        }
        members.push((key, value));
    }
    if let Ok(state) = TraceState::from_key_value(members.iter().copied()) {
        return Some((state, None));
    }
    let holds = |member: &(&str, &str)| TraceState::from_key_value([*member]).is_ok();
    let (held, missing): (Vec<_>, Vec<_>) = members.iter().copied().partition(holds);
    let held = TraceState::from_key_value(held).ok()?;
    let foreign = ForeignTraceState { trace, header: joined(&members), held: held.clone(), missing: joined(&missing) };
    Some((held, Some(foreign)))
}

fn joined(members: &[(&str, &str)]) -> String {
    let members: Vec<_> = members.iter().map(|(key, value)| format!("{key}={value}")).collect();
    members.join(",")
}

/// The grammar of level 2 (section "Key"), which is a superset of that of level 1.
fn is_key(key: &[u8]) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    key.len() <= MAX_KEY
        && key.first().is_some_and(alphanumeric)
        && key.iter().all(|byte| alphanumeric(byte) || b"_-*/@".contains(byte))
}

/// `value` has no trailing spaces, because the member has been trimmed.
fn is_value(value: &[u8]) -> bool {
    (1..=MAX_VALUE).contains(&value.len())
        && value.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'='))
}
