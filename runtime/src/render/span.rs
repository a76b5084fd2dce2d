//! Extracts and formats the parts of a span that are displayed.

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Key, Value};
use opentelemetry_sdk::trace::SpanData;

use crate::semconv;
use crate::text::{Word, escape};

/// How a span ended, with the description of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending<'a> {
    Ok,
    Error(&'a str),
    Panicked(&'a str),
    Cancelled,
}

impl Ending<'_> {
    pub(crate) fn is_error(self) -> bool {
        matches!(self, Self::Error(_) | Self::Panicked(_))
    }
}

/// Returns how `span` ended, according to the status and attributes that [`Outcome`](crate::Outcome) records.
pub(crate) fn ending(span: &SpanData) -> Ending<'_> {
    if let Status::Error { description } = &span.status {
        return match attribute(span, semconv::ERROR_TYPE) {
            Some(Value::String(class)) if class.as_str() == "panic" => Ending::Panicked(description),
            Some(Value::String(class)) if description.is_empty() => Ending::Error(class.as_str()),
            _ => Ending::Error(description),
        };
    }
    match attribute(span, semconv::THROUGHLINE_CANCELLED) {
        Some(Value::Bool(true)) => Ending::Cancelled,
        _ => Ending::Ok,
    }
}

/// The value of an attribute. The SDK keeps every value that was set for a key; the last one wins.
pub(crate) fn attribute<'a>(span: &'a SpanData, key: &str) -> Option<&'a Value> {
    span.attributes.iter().rev().find(|attribute| attribute.key.as_str() == key).map(|attribute| &attribute.value)
}

/// The kind in lower case; `None` for an internal span.
pub(crate) fn kind(kind: &SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::Server => Some("server"),
        SpanKind::Client => Some("client"),
        SpanKind::Producer => Some("producer"),
        SpanKind::Consumer => Some("consumer"),
        SpanKind::Internal => None,
    }
}

/// A tag as `key=value`, with quotes around text that is not a single plain word.
pub(crate) fn tag(key: &Key, value: &Value) -> String {
    let (key, text) = (escape(key.as_str()), value.as_str());
    match value {
        Value::Array(_) => format!("{key}={}", escape(&text)),
        _ => format!("{key}={}", Word(&text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        let tag = |value: &'static str| tag(&Key::new("k"), &value.into());
        assert_eq!(tag("acme"), "k=acme");
        assert_eq!(tag(""), "k=\"\"");
        assert_eq!(tag("Jane \"J\" Doe\n"), "k=\"Jane \\\"J\\\" Doe\\n\"");
        assert_eq!(tag("1 role=admin"), "k=\"1 role=admin\"");
    }
}
