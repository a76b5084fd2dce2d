//! A span as it is sent.

use opentelemetry::{KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;

use crate::tags::set::has_key;

/// Of attributes with one key the last counts, as the specification has it and the SDK does not, and
/// text is cut where a limit says so.
pub(super) fn prepared(mut span: SpanData, value_limit: Option<usize>) -> SpanData {
    let of_events = span.events.events.iter_mut().map(|event| &mut event.attributes);
    let of_links = span.links.links.iter_mut().map(|link| &mut link.attributes);
    for attributes in std::iter::once(&mut span.attributes).chain(of_events).chain(of_links) {
        make_unique(attributes);
        if let Some(limit) = value_limit {
            for attribute in attributes {
                cut(&mut attribute.value, limit);
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

/// `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT` counts characters.
fn cut(value: &mut Value, limit: usize) {
    let shortened = |text: &StringValue| {
        let (at, _) = text.as_str().char_indices().nth(limit)?;
        Some(StringValue::from(text.as_str()[..at].to_owned()))
    };
    match value {
        Value::String(text) => {
            if let Some(short) = shortened(text) {
                *text = short;
            }
        }
        Value::Array(opentelemetry::Array::String(texts)) => {
            for text in texts {
                if let Some(short) = shortened(text) {
                    *text = short;
                }
            }
        }
        _ => {}
    }
}
