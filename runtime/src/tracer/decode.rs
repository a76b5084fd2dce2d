//! From the encoding of a span back to the SDK's type, for exporters and processors that want that.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;

use super::encode::{self, any_value, event, key_value, link, span, status};

/// Reads the fields of a message.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a>(&'a [u8]);

/// A field: its contents, or the value of a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) number_and_type: u64,
    pub(crate) bytes: &'a [u8],
    pub(crate) value: u64,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// How many bytes have not been read.
    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }

    /// The next field; `None` at the end, and where the message is not valid.
    pub(crate) fn field(&mut self) -> Option<Field<'a>> {
        let number_and_type = self.varint()?;
        let (mut bytes, mut value) = (&[][..], 0);
        match number_and_type & 7 {
            0 => value = self.varint()?,
            1 => value = u64::from_le_bytes(self.take(8)?.try_into().ok()?),
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                bytes = self.take(len)?;
            }
            5 => value = u32::from_le_bytes(self.take(4)?.try_into().ok()?).into(),
            _ => return None,
        }
        Some(Field { number_and_type, bytes, value })
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Reader<'a> {
    /// The field's number and wire type, and the field.
    type Item = (u8, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.field()?;
        // No field has a number above 15, but for the flags.
        Some((u8::try_from(field.number_and_type).unwrap_or(0), field))
    }
}

/// The key of an encoded attribute.
pub(crate) fn key(attribute: &[u8]) -> &[u8] {
    Reader::new(attribute).find(|(field, _)| *field == key_value::KEY).map_or(&[], |(_, field)| field.bytes)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn attribute(message: &[u8]) -> KeyValue {
    let (mut key, mut value) = (Key::from_static_str(""), Value::from(""));
    for (field, contents) in Reader::new(message) {
        match field {
            key_value::KEY => key = Key::from(text(contents.bytes)),
            key_value::VALUE => value = any(contents.bytes).unwrap_or(value),
            _ => {}
        }
    }
    KeyValue::new(key, value)
}

#[expect(clippy::cast_possible_wrap, reason = "protobuf's encoding of negative numbers")]
fn any(message: &[u8]) -> Option<Value> {
    let (field, contents) = Reader::new(message).next()?;
    Some(match field {
        any_value::STRING => Value::from(text(contents.bytes)),
        any_value::BOOL => Value::Bool(contents.value != 0),
        any_value::INT => Value::I64(contents.value as i64),
        any_value::DOUBLE => Value::F64(f64::from_bits(contents.value)),
        any_value::ARRAY => Value::Array(array(contents.bytes)),
        _ => return None,
    })
}

/// An empty array has no type; it becomes one of texts.
fn array(message: &[u8]) -> Array {
    let values = || Reader::new(message).filter_map(|(_, element)| any(element.bytes));
    match values().next() {
        Some(Value::Bool(_)) => Array::Bool(
            values().filter_map(|value| if let Value::Bool(value) = value { Some(value) } else { None }).collect(),
        ),
        Some(Value::I64(_)) => Array::I64(
            values().filter_map(|value| if let Value::I64(value) = value { Some(value) } else { None }).collect(),
        ),
        Some(Value::F64(_)) => Array::F64(
            values().filter_map(|value| if let Value::F64(value) = value { Some(value) } else { None }).collect(),
        ),
        _ => Array::String(values().map(|value| StringValue::from(value.as_str().into_owned())).collect()),
    }
}

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

/// What is known of a span context.
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
const IS_REMOTE: u64 = 0x200;

impl Identity<'_> {
    fn is_remote(&self) -> bool {
        self.flags & IS_REMOTE != 0
    }

    fn context(&self, is_remote: bool) -> SpanContext {
        let state = std::str::from_utf8(self.trace_state).ok().and_then(|state| state.parse().ok());
        #[expect(clippy::cast_possible_truncation, reason = "the lowest byte has the trace flags")]
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

/// The flags' number and wire type, which take two bytes.
const FLAGS: u64 = (encode::span::FLAGS[0] as u64 & 0x7f) | (encode::span::FLAGS[1] as u64) << 7;

fn kind(value: u64) -> SpanKind {
    match value {
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

/// The number of a kind in OTLP.
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
