//! A span of our own tracer.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{KeyValue, Value, time};

use super::buffer::{Role, TraceBuffer, recycle, recycled};
use super::decode::{self, Reader, kind_number};
use super::encode::{
    self, ValueRef, count_len, delimited_len, event, link, put_attribute, put_bytes, put_count, put_fixed64,
    put_varint, span, status, varint_len,
};
use super::encoded::ScopeId;
use super::local::{self, Locked};
use super::provider::{Limits, Shared};
use crate::text::truncate_chars;

/// A span that encodes itself.
///
/// What is set is encoded at once into a buffer of the span's own, and the whole span into the buffer of its trace when
/// it ends. Nothing else is allocated.
pub struct Span {
    context: SpanContext,
    /// `None` for a span that does not record.
    buffer: Option<Arc<TraceBuffer>>,
    /// `None` once the span has ended.
    record: Option<Record>,
}

pub(super) struct Record {
    pub(super) scope: ScopeId,
    pub(super) role: Role,
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    pub(super) parent: SpanId,
    pub(super) is_parent_remote: bool,
    pub(super) start: u64,
    pub(super) status: Status,
    pub(super) fields: Fields,
}

/// Attributes, events and links, as fields of the message `Span`.
#[derive(Debug, Default)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    attributes: Count,
    events: Count,
    links: Count,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    kept: u32,
    dropped: u32,
}

impl Count {
    /// Whether there is room for one more, which is counted.
    #[inline]
    fn admits(&mut self, limit: u32) -> bool {
        if self.kept < limit {
            self.kept += 1;
            true
        } else {
            self.dropped = self.dropped.saturating_add(1);
            false
        }
    }
}

/// Nanoseconds since the epoch. A time before it counts as the epoch, since OTLP's times have no sign.
#[inline]
pub(super) fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos()))
}

impl Fields {
    pub(super) fn new() -> Self {
        Self { bytes: recycled(), ..Self::default() }
    }

    /// Sets an attribute. It replaces one with the same key.
    pub(super) fn set(&mut self, limits: &Limits, key: &str, value: &Value) {
        // An attribute without a key is not valid ("Attribute", section "Common concepts").
        if key.is_empty() {
            return;
        }
        self.remove(key);
        if self.attributes.admits(limits.span.max_attributes_per_span) {
            limits.with_value(value, |value| put_attribute(&mut self.bytes, span::ATTRIBUTES, key, value));
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Where the attribute with this key is.
    fn find(&self, key: &str) -> Option<(usize, usize)> {
        if self.attributes.kept == 0 {
            return None;
        }
        let mut reader = Reader::new(&self.bytes);
        let mut start = 0;
        while let Some(field) = reader.field() {
            let end = self.bytes.len() - reader.left();
            if field.number_and_type == u64::from(span::ATTRIBUTES) && decode::key(field.bytes) == key.as_bytes() {
                return Some((start, end));
            }
            start = end;
        }
        None
    }

    fn remove(&mut self, key: &str) {
        if let Some((start, end)) = self.find(key) {
            self.bytes.drain(start..end);
            self.attributes.kept -= 1;
        }
    }

    pub(super) fn add_event(
        &mut self,
        limits: &Limits,
        name: &str,
        timestamp: u64,
        mut attributes: Vec<KeyValue>,
        dropped: u32,
    ) {
        if !self.events.admits(limits.span.max_events_per_span) {
            return;
        }
        let dropped = dropped + limits.apply(&mut attributes, limits.span.max_attributes_per_event);
        let len = 9 + delimited_len(name.len()) + attributes_len(&attributes) + count_len(dropped);
        self.bytes.push(span::EVENTS);
        put_varint(&mut self.bytes, len as u64);
        put_fixed64(&mut self.bytes, event::TIME, timestamp);
        put_bytes(&mut self.bytes, event::NAME, name.as_bytes());
        self.put_attributes(event::ATTRIBUTES, &attributes);
        put_count(&mut self.bytes, event::DROPPED_ATTRIBUTES, dropped);
    }

    pub(super) fn add_link(&mut self, limits: &Limits, to: &SpanContext, mut attributes: Vec<KeyValue>, dropped: u32) {
        // A link has to lead somewhere; one with attributes or trace state alone is to be recorded, says the
        // specification ("Link"), but no backend can show it, and the API drops it, too.
        if !to.is_valid() || !self.links.admits(limits.span.max_links_per_span) {
            return;
        }
        let dropped = dropped + limits.apply(&mut attributes, limits.span.max_attributes_per_link);
        let state = to.trace_state().header();
        let state_len = if state.is_empty() { 0 } else { delimited_len(state.len()) };
        let len = 18 + 10 + state_len + attributes_len(&attributes) + count_len(dropped) + 5;
        self.bytes.push(span::LINKS);
        put_varint(&mut self.bytes, len as u64);
        put_bytes(&mut self.bytes, link::TRACE_ID, &to.trace_id().to_bytes());
        put_bytes(&mut self.bytes, link::SPAN_ID, &to.span_id().to_bytes());
        if !state.is_empty() {
            put_bytes(&mut self.bytes, link::TRACE_STATE, state.as_bytes());
        }
        self.put_attributes(link::ATTRIBUTES, &attributes);
        put_count(&mut self.bytes, link::DROPPED_ATTRIBUTES, dropped);
        self.bytes.push(link::FLAGS);
        let flags = flags(to.trace_flags().to_u8(), to.is_remote());
        self.bytes.extend_from_slice(&flags.to_le_bytes());
    }

    fn put_attributes(&mut self, field: u8, attributes: &[KeyValue]) {
        for attribute in attributes {
            put_attribute(&mut self.bytes, field, attribute.key.as_str(), ValueRef::from(&attribute.value));
        }
    }
}

fn attributes_len(attributes: &[KeyValue]) -> usize {
    attributes.iter().map(encode::attribute_len).sum()
}

/// `SpanFlags`: the trace flags, and whether the parent or the linked span is remote, which is always known.
const fn flags(trace_flags: u8, is_remote: bool) -> u32 {
    trace_flags as u32 | 0x100 | if is_remote { 0x200 } else { 0 }
}

impl Limits {
    /// Calls `f` with the value, truncated to the limit.
    #[inline]
    fn with_value(&self, value: &Value, f: impl FnOnce(ValueRef<'_>)) {
        match (self.value_length, value) {
            (None, _) | (_, Value::Bool(_) | Value::I64(_) | Value::F64(_)) => f(value.into()),
            (Some(limit), Value::String(text)) => f(ValueRef::Text(truncate_chars(text.as_str(), limit))),
            (Some(limit), _) => {
                let mut value = value.clone();
                truncate(&mut value, limit);
                f((&value).into());
            }
        }
    }

    /// Makes keys unique (of two values the last counts), drops what exceeds `max`, and truncates text. Gives how many
    /// were dropped.
    fn apply(&self, attributes: &mut Vec<KeyValue>, max: u32) -> u32 {
        let mut at = 0;
        while at < attributes.len() {
            let (key, rest) = (&attributes[at].key, &attributes[at + 1..]);
            if key.as_str().is_empty() || rest.iter().any(|later| later.key == *key) {
                attributes.remove(at);
            } else {
                at += 1;
            }
        }
        let dropped = attributes.len().saturating_sub(max as usize);
        attributes.truncate(max as usize);
        if let Some(limit) = self.value_length {
            attributes.iter_mut().for_each(|attribute| truncate(&mut attribute.value, limit));
        }
        u32::try_from(dropped).unwrap_or(u32::MAX)
    }
}

/// `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT` counts characters, not bytes.
fn truncate(value: &mut Value, limit: usize) {
    use opentelemetry::{Array, StringValue};
    let texts = match value {
        Value::String(text) => std::slice::from_mut(text),
        Value::Array(Array::String(texts)) => texts.as_mut_slice(),
        _ => return,
    };
    for text in texts {
        let kept = truncate_chars(text.as_str(), limit);
        if kept.len() < text.as_str().len() {
            *text = StringValue::from(kept.to_owned());
        }
    }
}

impl Record {
    /// Writes the span as the field `spans` of `ScopeSpans`.
    fn encode(&self, out: &mut Vec<u8>, context: &SpanContext, end: u64) {
        let Fields { bytes, attributes, events, links } = &self.fields;
        let state = context.trace_state();
        let state = if *state == opentelemetry::trace::TraceState::NONE { String::new() } else { state.header() };
        let state_len = if state.is_empty() { 0 } else { delimited_len(state.len()) };
        let has_parent = self.parent != SpanId::INVALID;
        let status_len = match &self.status {
            Status::Unset => 0,
            Status::Ok => 2,
            Status::Error { description } if description.is_empty() => 2,
            Status::Error { description } => delimited_len(description.len()) + 2,
        };
        let len = 18
            + 10
            + state_len
            + if has_parent { 10 } else { 0 }
            + delimited_len(self.name.len())
            + 2
            + 9
            + 9
            + bytes.len()
            + count_len(attributes.dropped)
            + count_len(events.dropped)
            + count_len(links.dropped)
            + if status_len > 0 { delimited_len(status_len) } else { 0 }
            + 6;
        out.reserve(1 + varint_len(len as u64) + len);
        out.push(encode::SPANS);
        put_varint(out, len as u64);
        put_bytes(out, span::TRACE_ID, &context.trace_id().to_bytes());
        put_bytes(out, span::SPAN_ID, &context.span_id().to_bytes());
        if !state.is_empty() {
            put_bytes(out, span::TRACE_STATE, state.as_bytes());
        }
        if has_parent {
            put_bytes(out, span::PARENT_SPAN_ID, &self.parent.to_bytes());
        }
        put_bytes(out, span::NAME, self.name.as_bytes());
        out.extend_from_slice(&[span::KIND, kind_number(&self.kind)]);
        put_fixed64(out, span::START_TIME, self.start);
        put_fixed64(out, span::END_TIME, end);
        out.extend_from_slice(bytes);
        put_count(out, span::DROPPED_ATTRIBUTES, attributes.dropped);
        put_count(out, span::DROPPED_EVENTS, events.dropped);
        put_count(out, span::DROPPED_LINKS, links.dropped);
        if status_len > 0 {
            out.push(span::STATUS);
            put_varint(out, status_len as u64);
            let code = match &self.status {
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
        out.extend_from_slice(&span::FLAGS);
        out.extend_from_slice(&flags(context.trace_flags().to_u8(), self.is_parent_remote).to_le_bytes());
    }
}

impl Span {
    /// A span that records nothing.
    pub(super) fn unrecorded(context: SpanContext) -> Self {
        Self { context, buffer: None, record: None }
    }

    pub(super) fn recording(context: SpanContext, buffer: Arc<TraceBuffer>, record: Record) -> Self {
        Self { context, buffer: Some(buffer), record: Some(record) }
    }

    fn provider(&self) -> Option<&Shared> {
        self.buffer.as_ref().map(|buffer| &**buffer.provider())
    }

    /// The record and the limits, unless the span has ended.
    #[inline]
    fn open(&mut self) -> Option<(&mut Record, &Limits)> {
        Some((self.record.as_mut()?, &self.buffer.as_ref()?.provider().limits))
    }

    /// What has been recorded so far, in the SDK's type.
    pub(super) fn data(&self, end: u64) -> Option<opentelemetry_sdk::trace::SpanData> {
        let record = self.record.as_ref()?;
        let mut bytes = recycled();
        record.encode(&mut bytes, &self.context, end);
        let scope = self.provider()?.scopes.get(record.scope)?;
        let data = decode::span(super::encoded::message(&bytes), &scope);
        recycle(bytes);
        Some(data)
    }

    /// What the span has started with.
    pub(super) fn data_so_far(&self) -> Option<opentelemetry_sdk::trace::SpanData> {
        self.data(self.record.as_ref()?.start)
    }

    fn finish(&mut self, end: u64) {
        let Some(buffer) = &self.buffer else { return };
        let provider = buffer.provider();
        if self.record.is_none() {
            return;
        }
        if !provider.observers.is_empty() && !provider.is_shut_down() {
            let data = self.data(end);
            let _locked = Locked::new();
            if let Some(data) = data {
                for observer in &provider.observers {
                    observer.ended(&data);
                }
            }
        }
        let Some(record) = self.record.take() else { return };
        if self.context.is_sampled() {
            buffer.add(record.scope, record.role, |out| record.encode(out, &self.context, end));
        }
        recycle(record.fields.bytes);
    }
}

impl opentelemetry::trace::Span for Span {
    fn add_event_with_timestamp<T>(&mut self, name: T, timestamp: SystemTime, attributes: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        if let Some((record, limits)) = self.open() {
            record.fields.add_event(limits, &name.into(), nanos(timestamp), attributes, 0);
        }
    }

    fn span_context(&self) -> &SpanContext {
        &self.context
    }

    fn is_recording(&self) -> bool {
        self.record.is_some()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        if let Some((record, limits)) = self.open() {
            record.fields.set(limits, attribute.key.as_str(), &attribute.value);
        }
    }

    /// `Ok` is final, and a later error replaces an earlier one.
    fn set_status(&mut self, status: Status) {
        if status == Status::Unset {
            local::answer(self.buffer.as_ref());
        } else if let Some(record) = &mut self.record {
            if record.status != Status::Ok {
                record.status = status;
            }
        }
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        if let Some(record) = &mut self.record {
            record.name = new_name.into();
        }
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        if let Some((record, limits)) = self.open() {
            record.fields.add_link(limits, &span_context, attributes, 0);
        }
    }

    fn end(&mut self) {
        if self.record.is_some() {
            self.finish(nanos(time::now()));
        }
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.finish(nanos(timestamp));
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if self.record.is_some() {
            self.finish(nanos(time::now()));
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Span")
            .field("name", &self.record.as_ref().map(|record| &record.name))
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
