//! Decodes the messages that [`wire`](super::wire) encodes.

use opentelemetry::{Array, Key, KeyValue, StringValue, Value};

use super::wire::{any_value, key_value};

/// Reads the fields of a message.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a>(&'a [u8]);

/// A field: its bytes if it is length-delimited, and its value otherwise.
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

    /// Returns the number of bytes that have not been read.
    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }

    /// Reads the next field. Returns `None` at the end, and if the message is invalid.
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
        // Only the flags have a field number above 15, whose tag does not fit into a byte.
        Some((u8::try_from(field.number_and_type).unwrap_or(0), field))
    }
}

/// The key of an encoded attribute.
pub(crate) fn key(attribute: &[u8]) -> &[u8] {
    Reader::new(attribute).find(|(field, _)| *field == key_value::KEY).map_or(&[], |(_, field)| field.bytes)
}

/// Decodes a string. Encoded by this crate, it is always valid UTF-8.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Decodes an attribute.
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

#[expect(clippy::cast_possible_wrap, reason = "protobuf encodes negative numbers in two's complement")]
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

/// Decodes an array. An empty one has no element type, and becomes an array of strings.
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
