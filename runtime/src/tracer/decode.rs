//! Decodes spans to the SDK's type, for exporters and processors that require it.

use std::time::{Duration, SystemTime};

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::SpanData;

use crate::encoding::reader::{Reader, attribute, text};
use crate::encoding::wire::{self, event, link, span, status};

fn time(nanos: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
}

fn count(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn trace_id(bytes: &[u8]) -> TraceId {
    bytes.try_into().map_or(TraceId::INVALID, TraceId::from_bytes)
}

fn span_id(bytes: &[u8]) -> SpanId {
    bytes.try_into().map_or(SpanId::INVALID, SpanId::from_bytes)
}

/// The encoded fields of a span context.
struct Identity<'a> {
    trace_id: TraceId,
    span_id: SpanId,
    trace_state: &'a [u8],
    flags: u64,
}

impl Default for Identity<'_> {
    fn default() -> Self {
        Self { trace_id: TraceId::INVALID, span_id: SpanId::INVALID, trace_state: &[], flags: 0 }
    }
}

/// `SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`.
pub(crate) const IS_REMOTE: u64 = 0x200;

impl Identity<'_> {
    fn is_remote(&self) -> bool {
        self.flags & IS_REMOTE != 0
    }

    fn context(&self, is_remote: bool) -> SpanContext {
        let state = std::str::from_utf8(self.trace_state).ok().and_then(|state| state.parse().ok());
        #[expect(clippy::cast_possible_truncation, reason = "the lowest byte holds the trace flags")]
        let flags = TraceFlags::new(self.flags as u8);
        SpanContext::new(self.trace_id, self.span_id, flags, is_remote, state.unwrap_or(TraceState::NONE))
    }
}

/// Decodes a span.
pub(crate) fn span(message: &[u8], scope: &InstrumentationScope) -> SpanData {
    let mut data = SpanData {
        span_context: SpanContext::NONE,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: String::new().into(),
        start_time: SystemTime::UNIX_EPOCH,
        end_time: SystemTime::UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: opentelemetry_sdk::trace::SpanEvents::default(),
        links: opentelemetry_sdk::trace::SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: scope.clone(),
    };
    let mut identity = Identity::default();
    for (number, field) in Reader::new(message) {
        match number {
            span::TRACE_ID => identity.trace_id = trace_id(field.bytes),
            span::SPAN_ID => identity.span_id = span_id(field.bytes),
            span::TRACE_STATE => identity.trace_state = field.bytes,
            span::PARENT_SPAN_ID => data.parent_span_id = span_id(field.bytes),
            span::NAME => data.name = text(field.bytes).into(),
            span::KIND => data.span_kind = kind(field.value),
            span::START_TIME => data.start_time = time(field.value),
            span::END_TIME => data.end_time = time(field.value),
            span::ATTRIBUTES => data.attributes.push(attribute(field.bytes)),
            span::DROPPED_ATTRIBUTES => data.dropped_attributes_count = count(field.value),
            span::EVENTS => data.events.events.push(decode_event(field.bytes)),
            span::DROPPED_EVENTS => data.events.dropped_count = count(field.value),
            span::LINKS => data.links.links.push(decode_link(field.bytes)),
            span::DROPPED_LINKS => data.links.dropped_count = count(field.value),
            span::STATUS => data.status = decode_status(field.bytes),
            _ if field.number_and_type == FLAGS => identity.flags = field.value,
            _ => {}
        }
    }
    data.parent_span_is_remote = identity.is_remote();
    data.span_context = identity.context(false);
    data
}

/// Field number and wire type of the flags, decoded from a tag of two bytes.
pub(crate) const FLAGS: u64 = (wire::span::FLAGS[0] as u64 & 0x7f) | (wire::span::FLAGS[1] as u64) << 7;

pub(crate) fn kind(value: u64) -> SpanKind {
    match value {
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

/// The value of a span kind in OTLP.
pub(crate) const fn kind_number(kind: &SpanKind) -> u8 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

fn decode_event(message: &[u8]) -> Event {
    let (mut name, mut timestamp, mut attributes, mut dropped) = (String::new(), 0, Vec::new(), 0);
    for (number, field) in Reader::new(message) {
        match number {
            event::TIME => timestamp = field.value,
            event::NAME => name = text(field.bytes),
            event::ATTRIBUTES => attributes.push(attribute(field.bytes)),
            event::DROPPED_ATTRIBUTES => dropped = count(field.value),
            _ => {}
        }
    }
    Event::new(name, time(timestamp), attributes, dropped)
}

fn decode_link(message: &[u8]) -> Link {
    let (mut identity, mut attributes, mut dropped) = (Identity::default(), Vec::new(), 0);
    for (number, field) in Reader::new(message) {
        match number {
            link::TRACE_ID => identity.trace_id = trace_id(field.bytes),
            link::SPAN_ID => identity.span_id = span_id(field.bytes),
            link::TRACE_STATE => identity.trace_state = field.bytes,
            link::ATTRIBUTES => attributes.push(attribute(field.bytes)),
            link::DROPPED_ATTRIBUTES => dropped = count(field.value),
            link::FLAGS => identity.flags = field.value,
            _ => {}
        }
    }
    let is_remote = identity.is_remote();
    Link::new(identity.context(is_remote), attributes, dropped)
}

fn decode_status(message: &[u8]) -> Status {
    let (mut code, mut description) = (0, String::new());
    for (number, field) in Reader::new(message) {
        match number {
            status::MESSAGE => description = text(field.bytes),
            status::CODE => code = field.value,
            _ => {}
        }
    }
    if code == u64::from(status::ERROR) {
        Status::error(description)
    } else if code == u64::from(status::OK) {
        Status::Ok
    } else {
        Status::Unset
    }
}
