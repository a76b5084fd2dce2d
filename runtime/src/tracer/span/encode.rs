//! Encodes a span that has ended.

use opentelemetry::trace::{SpanContext, SpanId, Status, TraceState};

use crate::encoding::fields::{flags, state_of};
use crate::encoding::recycled::{recycle, recycled};
use crate::encoding::wire::{self, count_len, delimited_len, put_bytes, put_count, put_varint, span, status};
use crate::tags::draft::Draft;
use crate::tags::scoped::EncodedTags;
use crate::tracer::decode::kind_number;
#[cfg(feature = "otlp")]
use crate::tracer::over_limit;

/// Writes a span as the field `spans` of `ScopeSpans`.
#[inline(always)]
pub(super) fn encode(draft: &Draft, out: &mut Vec<u8>, context: &SpanContext, tags: Option<&EncodedTags>, end: u64) {
    let fields = &draft.fields;
    let tags = tags.filter(|_| draft.has_tags);
    let (own, code) = (fields.keys(), draft.code.keys());
    let overrides = match tags {
        Some(tags) => {
            own.and(tags.keys()).overlaps(code) || own.overlaps(tags.keys()) && fields.has_any(|key| tags.has(key))
        }
        None => own.overlaps(code),
    };
    if overrides {
        encode_overriding(draft, out, context, tags, end);
    } else {
        let head = match draft.code.with_name(&draft.name) {
            Some(named) => Head { name: None, attributes: named },
            None => Head { name: Some(&draft.name), attributes: draft.code.bytes() },
        };
        put(draft, out, context, head, tags.map_or(&[], EncodedTags::bytes), end);
    }
}

/// The slow path, for a span that overrides `code.*` attributes or inherited tags.
#[cold]
fn encode_overriding(draft: &Draft, out: &mut Vec<u8>, context: &SpanContext, tags: Option<&EncodedTags>, end: u64) {
    let mut inherited = recycled();
    draft.code.put_without(&mut inherited, |key| draft.fields.has(key));
    // An inherited `code.*` tag does not describe this function.
    tags.map(|tags| tags.put_without(&mut inherited, |key| draft.fields.has(key) || draft.code.has(key)));
    put(draft, out, context, Head { name: Some(&draft.name), attributes: &inherited }, &[], end);
    recycle(inherited);
}

/// What precedes the span's own attributes: the name, unless `attributes` contains it, and encoded attributes.
#[derive(Clone, Copy)]
struct Head<'a> {
    name: Option<&'a str>,
    attributes: &'a [u8],
}

/// Writes a span with the attributes of `head` and these tags in addition to its own attributes.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the length is split into bytes")]
fn put(draft: &Draft, out: &mut Vec<u8>, context: &SpanContext, head: Head<'_>, tags: &[u8], end: u64) {
    let bytes = draft.fields.bytes();
    let has_rest = has_rest(draft, context);
    let has_parent = draft.parent != SpanId::INVALID;
    let len = IDS
        + if has_parent { PARENT } else { 0 }
        + head.name.map_or(0, |name| delimited_len(name.len()))
        + KIND_TIMES_FLAGS
        + head.attributes.len()
        + bytes.len()
        + tags.len()
        + if has_rest { rest_len(draft, context) } else { EMPTY_STATUS.len() };

    out.reserve(LENGTH_MAX + PARENT + len);
    if (0x80..0x4000).contains(&len) {
        // Fast path for the length of most spans, a varint of two bytes.
        out.extend_from_slice(&(u16::from(wire::SPANS) | (len as u16 & 0x7f | 0x80) << 8).to_le_bytes());
        out.push((len >> 7) as u8);
    } else {
        out.push(wire::SPANS);
        put_varint(out, len as u64);
    }
    put_fixed(draft, out, context, end);
    if !has_parent {
        out.truncate(out.len() - PARENT);
    }
    if let Some(name) = head.name {
        put_bytes(out, span::NAME, name.as_bytes());
    }
    out.extend_from_slice(head.attributes);
    out.extend_from_slice(bytes);
    if !tags.is_empty() {
        out.extend_from_slice(tags);
    }
    if has_rest {
        put_rest(draft, out, context);
    } else {
        out.extend_from_slice(&EMPTY_STATUS);
    }
}

/// An empty status is written nevertheless, as by the SDK's exporter: some collectors show only fields that are
/// present.
const EMPTY_STATUS: [u8; 2] = [span::STATUS, 0];

/// Whether there are fields that most spans do not have: a trace state, dropped counts or a status.
#[inline]
fn has_rest(draft: &Draft, context: &SpanContext) -> bool {
    let fields = &draft.fields;
    fields.attributes.dropped | fields.events.dropped | fields.links.dropped != 0
        || !matches!(draft.status, Status::Unset)
        || *context.trace_state() != TraceState::NONE
}

/// Writes the fields of fixed length, with the parent last. Written in place, because copying an array right after its
/// parts were written stalls (store forwarding fails).
#[inline]
fn put_fixed(draft: &Draft, out: &mut Vec<u8>, context: &SpanContext, end: u64) {
    const LEN: usize = KIND_TIMES_FLAGS + IDS + PARENT;

    out.extend_from_slice(&[0; LEN]);
    let Some(fixed) = out.last_chunk_mut::<LEN>() else { return };
    fixed[0] = span::KIND;
    fixed[1] = kind_number(&draft.kind);
    fixed[2] = span::START_TIME;
    fixed[3..11].copy_from_slice(&draft.start.to_le_bytes());
    fixed[11] = span::END_TIME;
    fixed[12..20].copy_from_slice(&end.to_le_bytes());
    fixed[20..22].copy_from_slice(&span::FLAGS);
    fixed[22..26].copy_from_slice(&flags(context.trace_flags().to_u8(), draft.is_parent_remote).to_le_bytes());
    fixed[26] = span::TRACE_ID;
    fixed[27] = 16;
    fixed[28..44].copy_from_slice(&context.trace_id().to_bytes());
    fixed[44] = span::SPAN_ID;
    fixed[45] = 8;
    fixed[46..54].copy_from_slice(&context.span_id().to_bytes());
    fixed[54] = span::PARENT_SPAN_ID;
    fixed[55] = 8;
    fixed[56..].copy_from_slice(&draft.parent.to_bytes());
}

/// The length of the trace state, the dropped counts and the status.
#[cold]
fn rest_len(draft: &Draft, context: &SpanContext) -> usize {
    let state = state_of(context);
    let state_len = if state.is_empty() { 0 } else { delimited_len(state.len()) };
    let fields = &draft.fields;
    let losses = [fields.attributes, fields.events, fields.links].map(|count| count_len(count.dropped));
    state_len + losses[0] + losses[1] + losses[2] + delimited_len(status_len(&draft.status))
}

fn status_len(status: &Status) -> usize {
    match status {
        Status::Unset => 0,
        Status::Error { description } if !description.is_empty() => delimited_len(description.len()) + 2,
        _ => 2,
    }
}

#[cold]
fn put_rest(draft: &Draft, out: &mut Vec<u8>, context: &SpanContext) {
    let fields = &draft.fields;
    let state = state_of(context);
    if !state.is_empty() {
        put_bytes(out, span::TRACE_STATE, state.as_bytes());
    }
    put_count(out, span::DROPPED_ATTRIBUTES, fields.attributes.dropped);
    put_count(out, span::DROPPED_EVENTS, fields.events.dropped);
    put_count(out, span::DROPPED_LINKS, fields.links.dropped);
    #[cfg(feature = "otlp")]
    over_limit::note(draft);
    if matches!(draft.status, Status::Unset) {
        return out.extend_from_slice(&EMPTY_STATUS);
    }
    out.push(span::STATUS);
    put_varint(out, status_len(&draft.status) as u64);
    let code = match &draft.status {
        Status::Error { description } => {
            if !description.is_empty() {
                put_bytes(out, status::MESSAGE, description.as_bytes());
            }
            status::ERROR
        }
        _ => status::OK,
    };
    out.extend_from_slice(&[status::CODE, code]);
}

/// Encoded lengths of the fixed fields: trace ID and span ID; parent span ID; kind, times and flags.
const IDS: usize = 18 + 10;
const PARENT: usize = 10;
const KIND_TIMES_FLAGS: usize = 2 + 9 + 9 + 6;

/// The maximum length of the tag and the length of the message.
const LENGTH_MAX: usize = 11;
