//! Rules of the specification for attributes that the SDK does not implement.

use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;

use crate::tags::set::has_key;
use crate::text::truncate_chars;

/// Makes keys unique ("Attribute Collections": the last value applies), and truncates text to the limit.
pub(super) fn normalize(mut span: SpanData, value_length: Option<usize>) -> SpanData {
    let of_events = span.events.events.iter_mut().map(|event| &mut event.attributes);
    let of_links = span.links.links.iter_mut().map(|link| &mut link.attributes);
    for attributes in std::iter::once(&mut span.attributes).chain(of_events).chain(of_links) {
        make_unique(attributes);
        if let Some(limit) = value_length {
            for attribute in attributes {
                truncate(&mut attribute.value, limit);
            }
        }
    }
    span
}

fn make_unique(attributes: &mut Vec<KeyValue>) {
    let mut at = 0;
    while at < attributes.len() {
        if has_key(&attributes[at + 1..], &attributes[at].key) {
            attributes.remove(at);
        } else {
            at += 1;
        }
    }
}

/// `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT` counts characters, not bytes.
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
