//! Attributes, events and links of a span, as fields of the message `Span`.

use std::collections::HashSet;

use opentelemetry::trace::{SpanContext, TraceState};
use opentelemetry::{Array, KeyValue, StringValue, Value};

use super::keys::KeySet;
use super::reader::{self, Reader};
use super::wire::{
    ValueRef, attribute_len, count_len, delimited_len, event, link, put_attribute, put_bytes, put_count, put_fixed64,
    put_i64_attribute, put_text_attribute, put_varint, span,
};
use crate::text::truncate_chars;

/// The limits of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) attributes: u32,
    pub(crate) events: u32,
    pub(crate) links: u32,
    pub(crate) attributes_per_event: u32,
    pub(crate) attributes_per_link: u32,
    /// The maximum number of characters of a string value.
    pub(crate) value_length: Option<usize>,
}

/// The encoded attributes, events and links of a span.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    bytes: Vec<u8>,
    pub(crate) limits: Limits,
    pub(crate) attributes: Count,
    pub(crate) events: Count,
    pub(crate) links: Count,
    /// A Bloom filter of the attribute keys that have been set.
    keys: KeySet,
}

/// The maximum capacity of a buffer that is kept for another span.
const MAX_KEPT_BYTES: usize = 1 << 12;

/// The number of attributes, events or links, and of those that were dropped because of a limit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) kept: u32,
    pub(crate) dropped: u32,
}

impl Count {
    /// Counts one more. Returns whether there is room for it.
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

impl Fields {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Removes everything, and keeps the buffer unless it is large.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        if self.bytes.capacity() > MAX_KEPT_BYTES {
            self.bytes = Vec::new();
        }
        (self.attributes, self.events, self.links) = (Count::default(), Count::default(), Count::default());
        self.keys = KeySet::default();
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[inline]
    pub(crate) fn keys(&self) -> KeySet {
        self.keys
    }

    /// Sets an attribute, replacing an earlier one with the same key.
    pub(crate) fn set(&mut self, key: &str, value: &Value) {
        match (value, self.limits.value_length) {
            (Value::String(text), _) => self.set_text(key, text.as_str()),
            (Value::I64(value), _) => self.set_i64(key, *value),
            (Value::Array(_), Some(limit)) => {
                let mut value = value.clone();
                truncate(&mut value, limit);
                self.put(key, (&value).into());
            }
            _ => self.put(key, value.into()),
        }
    }

    /// Sets an attribute whose value is borrowed. Arrays are not truncated.
    #[inline]
    pub(crate) fn set_ref(&mut self, key: &str, value: ValueRef<'_>) {
        match value {
            ValueRef::Text(text) => self.set_text(key, text),
            _ => self.put(key, value),
        }
    }

    /// Sets a string attribute.
    #[inline]
    pub(crate) fn set_text(&mut self, key: &str, text: &str) {
        let text = match self.limits.value_length {
            None => text,
            Some(limit) => truncate_chars(text, limit),
        };
        if self.admits(key) {
            put_text_attribute(&mut self.bytes, span::ATTRIBUTES, key, text);
        }
    }

    /// Sets an integer attribute.
    #[inline]
    pub(crate) fn set_i64(&mut self, key: &str, value: i64) {
        if self.admits(key) {
            put_i64_attribute(&mut self.bytes, span::ATTRIBUTES, key, value);
        }
    }

    #[inline]
    fn put(&mut self, key: &str, value: ValueRef<'_>) {
        if self.admits(key) {
            put_attribute(&mut self.bytes, span::ATTRIBUTES, key, value);
        }
    }

    /// Counts an attribute with this key, and removes an earlier one. Returns whether the attribute may be written.
    #[inline]
    fn admits(&mut self, key: &str) -> bool {
        // Attributes with an empty key are invalid (specification, "Attribute").
        if key.is_empty() {
            return false;
        }
        if !self.keys.insert(key) {
            self.remove(key);
        }
        self.attributes.admits(self.limits.attributes)
    }

    /// Adds the attributes of `other`, none of whose keys are set here, unless there is not enough room for all of
    /// them. Returns whether they were added.
    #[inline]
    pub(crate) fn append(&mut self, other: &Self) -> bool {
        let fits = self.reserve(other.attributes.kept);
        if fits {
            self.bytes.extend_from_slice(&other.bytes);
            self.keys.add(other.keys);
        }
        fits
    }

    /// Whether there is an attribute with a key for which `is_key` is true.
    #[cold]
    pub(crate) fn has_any(&self, is_key: impl Fn(&str) -> bool) -> bool {
        self.matching(is_key).next().is_some()
    }

    /// The number of attributes with a key for which `is_key` is true.
    #[cold]
    pub(crate) fn count_keys(&self, is_key: impl Fn(&str) -> bool) -> usize {
        self.matching(is_key).count()
    }

    fn matching(&self, is_key: impl Fn(&str) -> bool) -> impl Iterator<Item = ()> {
        let attributes = Reader::new(&self.bytes).filter(|(field, _)| *field == span::ATTRIBUTES);
        attributes
            .filter(move |(_, field)| std::str::from_utf8(reader::key(field.bytes)).is_ok_and(&is_key))
            .map(|_| ())
    }

    /// Whether there is an attribute with this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys.overlaps(KeySet::of(key)) && self.find(key).is_some()
    }

    /// The range of the attribute with this key.
    #[cold]
    fn find(&self, key: &str) -> Option<(usize, usize)> {
        let mut reader = Reader::new(&self.bytes);
        let mut start = 0;
        while let Some(field) = reader.field() {
            let end = self.bytes.len() - reader.left();
            if field.number_and_type == u64::from(span::ATTRIBUTES) && reader::key(field.bytes) == key.as_bytes() {
                return Some((start, end));
            }
            start = end;
        }
        None
    }

    #[cold]
    fn remove(&mut self, key: &str) {
        if let Some((start, end)) = self.find(key) {
            self.bytes.drain(start..end);
            self.attributes.kept -= 1;
        }
    }

    /// Reserves room for `count` attributes that are encoded elsewhere. Returns whether there is enough.
    #[inline]
    pub(crate) fn reserve(&mut self, count: u32) -> bool {
        let fits = self.attributes.kept + count <= self.limits.attributes;
        if fits {
            self.attributes.kept += count;
        }
        fits
    }

    /// Counts attributes that were dropped elsewhere.
    #[cold]
    pub(crate) fn count_dropped(&mut self, attributes: usize) {
        let attributes = u32::try_from(attributes).unwrap_or(u32::MAX);
        self.attributes.dropped = self.attributes.dropped.saturating_add(attributes);
    }

    pub(crate) fn add_event(&mut self, name: &str, timestamp: u64, mut attributes: Vec<KeyValue>, dropped: u32) {
        if !self.events.admits(self.limits.events) {
            return;
        }
        let dropped = dropped.saturating_add(self.limits.apply(&mut attributes, self.limits.attributes_per_event));
        let len = 9 + delimited_len(name.len()) + attributes_len(&attributes) + count_len(dropped);
        self.bytes.push(span::EVENTS);
        put_varint(&mut self.bytes, len as u64);
        put_fixed64(&mut self.bytes, event::TIME, timestamp);
        put_bytes(&mut self.bytes, event::NAME, name.as_bytes());
        self.put_attributes(event::ATTRIBUTES, &attributes);
        put_count(&mut self.bytes, event::DROPPED_ATTRIBUTES, dropped);
    }

    /// Adds a link. An invalid one is recorded only if it has attributes or a trace state (specification of the tracing
    /// API, "Link").
    pub(crate) fn add_link(&mut self, to: &SpanContext, mut attributes: Vec<KeyValue>, dropped: u32) {
        let is_recorded = to.is_valid() || !attributes.is_empty() || *to.trace_state() != TraceState::NONE;
        if !is_recorded || !self.links.admits(self.limits.links) {
            return;
        }
        let dropped = dropped.saturating_add(self.limits.apply(&mut attributes, self.limits.attributes_per_link));
        let state = state_of(to);
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
        self.bytes.extend_from_slice(&flags(to.trace_flags().to_u8(), to.is_remote()).to_le_bytes());
    }

    fn put_attributes(&mut self, field: u8, attributes: &[KeyValue]) {
        for attribute in attributes {
            put_attribute(&mut self.bytes, field, attribute.key.as_str(), ValueRef::from(&attribute.value));
        }
    }
}

/// The trace state as a header, or an empty string, which does not allocate.
#[inline]
pub(crate) fn state_of(context: &SpanContext) -> String {
    let state = context.trace_state();
    if *state == TraceState::NONE { String::new() } else { state.header() }
}

fn attributes_len(attributes: &[KeyValue]) -> usize {
    attributes.iter().map(attribute_len).sum()
}

/// `SpanFlags`: the trace flags, and whether the parent or the linked span is remote. The bit that says that this is
/// known is always set.
#[inline]
pub(crate) const fn flags(trace_flags: u8, is_remote: bool) -> u32 {
    trace_flags as u32 | 0x100 | if is_remote { 0x200 } else { 0 }
}

impl Default for Limits {
    /// The defaults of the specification ("Attribute Limits", "Span Limits").
    fn default() -> Self {
        Self {
            attributes: 128,
            events: 128,
            links: 128,
            attributes_per_event: 128,
            attributes_per_link: 128,
            value_length: None,
        }
    }
}

impl Limits {
    pub(crate) const fn unlimited() -> Self {
        Self {
            attributes: u32::MAX,
            events: u32::MAX,
            links: u32::MAX,
            attributes_per_event: u32::MAX,
            attributes_per_link: u32::MAX,
            value_length: None,
        }
    }

    /// Deduplicates the keys, drops attributes beyond `max`, and truncates strings. Returns the number dropped because
    /// of `max`.
    fn apply(&self, attributes: &mut Vec<KeyValue>, max: u32) -> u32 {
        make_unique(attributes);
        let dropped = attributes.len().saturating_sub(max as usize);
        attributes.truncate(max as usize);
        if let Some(limit) = self.value_length {
            for attribute in attributes {
                truncate(&mut attribute.value, limit);
            }
        }
        u32::try_from(dropped).unwrap_or(u32::MAX)
    }
}

/// Keeps only the last attribute of each key, and none with an empty key.
pub(crate) fn make_unique(attributes: &mut Vec<KeyValue>) {
    /// Up to this number, a quadratic search beats a hash set.
    const FEW: usize = 32;

    if attributes.len() > FEW {
        let mut kept: Vec<_> = {
            let mut seen = HashSet::with_capacity(attributes.len());
            let latest_first = attributes.iter().rev().map(|attribute| attribute.key.as_str());
            latest_first.map(|key| !key.is_empty() && seen.insert(key)).collect()
        };
        attributes.retain(|_| kept.pop().unwrap_or(true));
        return;
    }
    let mut at = 0;
    while at < attributes.len() {
        let (key, rest) = (&attributes[at].key, &attributes[at + 1..]);
        if key.as_str().is_empty() || rest.iter().any(|later| later.key == *key) {
            attributes.remove(at);
        } else {
            at += 1;
        }
    }
}

/// Truncates strings to `limit` characters: `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT` does not count bytes.
fn truncate(value: &mut Value, limit: usize) {
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
