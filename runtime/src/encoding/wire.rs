//! The subset of Protobuf that OTLP's `trace.proto` and `common.proto` use.
//!
//! Fields are written in the order in which they become known, which protobuf permits. Every length is computed before
//! it is written, so nothing is encoded twice or moved.

use opentelemetry::{Array, KeyValue, Value};

/// Wire types.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;

const fn field(number: u8, wire_type: u8) -> u8 {
    number << 3 | wire_type
}

/// Fields of `Span`.
pub(crate) mod span {
    use super::{BYTES, FIXED64, VARINT, field};

    pub(crate) const TRACE_ID: u8 = field(1, BYTES);
    pub(crate) const SPAN_ID: u8 = field(2, BYTES);
    pub(crate) const TRACE_STATE: u8 = field(3, BYTES);
    pub(crate) const PARENT_SPAN_ID: u8 = field(4, BYTES);
    pub(crate) const NAME: u8 = field(5, BYTES);
    pub(crate) const KIND: u8 = field(6, VARINT);
    pub(crate) const START_TIME: u8 = field(7, FIXED64);
    pub(crate) const END_TIME: u8 = field(8, FIXED64);
    pub(crate) const ATTRIBUTES: u8 = field(9, BYTES);
    pub(crate) const DROPPED_ATTRIBUTES: u8 = field(10, VARINT);
    pub(crate) const EVENTS: u8 = field(11, BYTES);
    pub(crate) const DROPPED_EVENTS: u8 = field(12, VARINT);
    pub(crate) const LINKS: u8 = field(13, BYTES);
    pub(crate) const DROPPED_LINKS: u8 = field(14, VARINT);
    pub(crate) const STATUS: u8 = field(15, BYTES);
    /// Field 16 needs two bytes.
    pub(crate) const FLAGS: [u8; 2] = [0x80 | super::FIXED32, 1];
}

/// Fields of `Span.Event`.
pub(crate) mod event {
    use super::{BYTES, FIXED64, VARINT, field};

    pub(crate) const TIME: u8 = field(1, FIXED64);
    pub(crate) const NAME: u8 = field(2, BYTES);
    pub(crate) const ATTRIBUTES: u8 = field(3, BYTES);
    pub(crate) const DROPPED_ATTRIBUTES: u8 = field(4, VARINT);
}

/// Fields of `Span.Link`.
pub(crate) mod link {
    use super::{BYTES, FIXED32, VARINT, field};

    pub(crate) const TRACE_ID: u8 = field(1, BYTES);
    pub(crate) const SPAN_ID: u8 = field(2, BYTES);
    pub(crate) const TRACE_STATE: u8 = field(3, BYTES);
    pub(crate) const ATTRIBUTES: u8 = field(4, BYTES);
    pub(crate) const DROPPED_ATTRIBUTES: u8 = field(5, VARINT);
    pub(crate) const FLAGS: u8 = field(6, FIXED32);
}

/// Fields of `Status`.
pub(crate) mod status {
    use super::{BYTES, VARINT, field};

    pub(crate) const MESSAGE: u8 = field(2, BYTES);
    pub(crate) const CODE: u8 = field(3, VARINT);
    pub(crate) const OK: u8 = 1;
    pub(crate) const ERROR: u8 = 2;
}

/// Fields of `KeyValue`.
pub(crate) mod key_value {
    use super::{BYTES, field};

    pub(crate) const KEY: u8 = field(1, BYTES);
    pub(crate) const VALUE: u8 = field(2, BYTES);
}

/// Fields of `AnyValue`.
pub(crate) mod any_value {
    use super::{BYTES, FIXED64, VARINT, field};

    pub(crate) const STRING: u8 = field(1, BYTES);
    pub(crate) const BOOL: u8 = field(2, VARINT);
    pub(crate) const INT: u8 = field(3, VARINT);
    pub(crate) const DOUBLE: u8 = field(4, FIXED64);
    pub(crate) const ARRAY: u8 = field(5, BYTES);
}

/// The field of `ArrayValue` that holds an element, an `AnyValue`.
pub(crate) const ARRAY_VALUES: u8 = field(1, BYTES);

/// The field of `ScopeSpans` that holds a span.
pub(crate) const SPANS: u8 = field(2, BYTES);

/// Returns the length of a varint in bytes.
#[inline]
pub(crate) const fn varint_len(value: u64) -> usize {
    // ceil(bits / 7), and 1 for zero.
    ((64 - (value | 1).leading_zeros() as usize) * 9 + 64) / 64
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lowest seven bits at a time")]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The length of a length-delimited field: tag, length and contents.
#[inline]
pub(crate) const fn delimited_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a count, which is omitted if it is zero, protobuf's default.
#[inline]
pub(crate) fn put_count(out: &mut Vec<u8>, field: u8, count: u32) {
    if count > 0 {
        out.push(field);
        put_varint(out, count.into());
    }
}

#[inline]
pub(crate) const fn count_len(count: u32) -> usize {
    if count > 0 { 1 + varint_len(count as u64) } else { 0 }
}

#[inline]
pub(crate) fn put_fixed64(out: &mut Vec<u8>, field: u8, value: u64) {
    let mut bytes = [field; 9];
    bytes[1..].copy_from_slice(&value.to_le_bytes());
    out.extend_from_slice(&bytes);
}

/// The value of an attribute, borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ValueRef<'a> {
    Bool(bool),
    I64(i64),
    F64(f64),
    Text(&'a str),
    Array(&'a Array),
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    #[inline]
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::I64(value) => Self::I64(*value),
            Value::F64(value) => Self::F64(*value),
            Value::String(text) => Self::Text(text.as_str()),
            Value::Array(array) => Self::Array(array),
            // The type is not exhaustive.
            _ => Self::Text(""),
        }
    }
}

impl ValueRef<'_> {
    /// The length of the `AnyValue`.
    #[inline]
    fn len(self) -> usize {
        match self {
            Self::Bool(_) => 2,
            #[expect(clippy::cast_sign_loss, reason = "protobuf's encoding of negative numbers")]
            Self::I64(value) => 1 + varint_len(value as u64),
            Self::F64(_) => 9,
            Self::Text(text) => delimited_len(text.len()),
            Self::Array(array) => delimited_len(array_len(array)),
        }
    }

    #[inline]
    fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(value) => out.extend_from_slice(&[any_value::BOOL, value.into()]),
            #[expect(clippy::cast_sign_loss, reason = "protobuf's encoding of negative numbers")]
            Self::I64(value) => {
                out.push(any_value::INT);
                put_varint(out, value as u64);
            }
            Self::F64(value) => put_fixed64(out, any_value::DOUBLE, value.to_bits()),
            Self::Text(text) => put_bytes(out, any_value::STRING, text.as_bytes()),
            Self::Array(array) => {
                out.push(any_value::ARRAY);
                put_varint(out, array_len(array) as u64);
                each(array, |value| {
                    out.push(ARRAY_VALUES);
                    put_varint(out, value.len() as u64);
                    value.put(out);
                });
            }
        }
    }
}

fn each<'a>(array: &'a Array, mut f: impl FnMut(ValueRef<'a>)) {
    match array {
        Array::Bool(values) => values.iter().for_each(|value| f(ValueRef::Bool(*value))),
        Array::I64(values) => values.iter().for_each(|value| f(ValueRef::I64(*value))),
        Array::F64(values) => values.iter().for_each(|value| f(ValueRef::F64(*value))),
        Array::String(values) => values.iter().for_each(|value| f(ValueRef::Text(value.as_str()))),
        // The type is not exhaustive.
        _ => {}
    }
}

#[cold]
fn array_len(array: &Array) -> usize {
    let mut len = 0;
    each(array, |value| len += delimited_len(value.len()));
    len
}

/// Lengths below this take one byte.
const SHORT: usize = 0x80;

/// Writes a string attribute as the field `field` of the enclosing message.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "lengths below 128, as is checked")]
pub(crate) fn put_text_attribute(out: &mut Vec<u8>, field: u8, key: &str, text: &str) {
    // Each length-delimited field takes two further bytes.
    let (key_len, text_len) = (key.len(), text.len());
    if key_len >= SHORT || text_len >= SHORT || key_len + text_len + 6 >= SHORT {
        return put_long_attribute(out, field, key, ValueRef::Text(text));
    }
    out.reserve(8 + key_len + text_len);
    out.extend_from_slice(&[field, (key_len + text_len + 6) as u8, key_value::KEY, key_len as u8]);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&[key_value::VALUE, text_len as u8 + 2, any_value::STRING, text_len as u8]);
    out.extend_from_slice(text.as_bytes());
}

/// The same for an integer.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "lengths below 128, as is checked")]
#[expect(clippy::cast_sign_loss, reason = "protobuf's encoding of negative numbers")]
pub(crate) fn put_i64_attribute(out: &mut Vec<u8>, field: u8, key: &str, value: i64) {
    let (key_len, value_len) = (key.len(), 1 + varint_len(value as u64));
    if key_len + 16 >= SHORT {
        return put_long_attribute(out, field, key, ValueRef::I64(value));
    }
    out.reserve(7 + key_len + value_len);
    out.extend_from_slice(&[field, (key_len + value_len + 4) as u8, key_value::KEY, key_len as u8]);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&[key_value::VALUE, value_len as u8, any_value::INT]);
    put_varint(out, value as u64);
}

/// The same for any value.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "lengths below 128, as is checked")]
pub(crate) fn put_attribute(out: &mut Vec<u8>, field: u8, key: &str, value: ValueRef<'_>) {
    if let ValueRef::Text(text) = value {
        return put_text_attribute(out, field, key, text);
    }
    if matches!(value, ValueRef::Array(_)) || key.len() + 16 >= SHORT {
        return put_long_attribute(out, field, key, value);
    }
    let value_len = value.len();
    if value_len > 12 {
        return put_long_attribute(out, field, key, value);
    }
    out.reserve(6 + key.len() + value_len);
    out.extend_from_slice(&[field, (key.len() + value_len + 4) as u8, key_value::KEY, key.len() as u8]);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(&[key_value::VALUE, value_len as u8]);
    value.put(out);
}

#[cold]
#[inline(never)]
fn put_long_attribute(out: &mut Vec<u8>, field: u8, key: &str, value: ValueRef<'_>) {
    let value_len = value.len();
    let len = delimited_len(key.len()) + delimited_len(value_len);
    out.reserve(delimited_len(len));
    out.push(field);
    put_varint(out, len as u64);
    put_bytes(out, key_value::KEY, key.as_bytes());
    out.push(key_value::VALUE);
    put_varint(out, value_len as u64);
    value.put(out);
}

/// The length of an attribute as a field.
#[inline]
pub(crate) fn attribute_len(attribute: &KeyValue) -> usize {
    let value = ValueRef::from(&attribute.value).len();
    delimited_len(delimited_len(attribute.key.as_str().len()) + delimited_len(value))
}
