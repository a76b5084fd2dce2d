//! A span as it is sent.

use opentelemetry::{StringValue, Value};
use opentelemetry_sdk::trace::SpanData;

/// Of attributes with one key the last counts, as the specification has it
/// and the SDK does not, and text is cut where a limit says so.
pub(super) fn prepared(mut span: SpanData, value_limit: Option<usize>) -> SpanData {
    let mut at = 0;
    while at < span.attributes.len() {
        let key = &span.attributes[at].key;
        if span.attributes[at + 1..].iter().any(|later| later.key == *key) {
            span.attributes.remove(at);
        } else {
            at += 1;
        }
    }
    if let Some(limit) = value_limit {
        for attribute in &mut span.attributes {
            cut(&mut attribute.value, limit);
        }
        for event in &mut span.events.events {
            event.attributes.iter_mut().for_each(|attribute| cut(&mut attribute.value, limit));
        }
        for link in &mut span.links.links {
            link.attributes.iter_mut().for_each(|attribute| cut(&mut attribute.value, limit));
        }
    }
    span
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
