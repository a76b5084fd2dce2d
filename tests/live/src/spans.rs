//! The format in which one process reports its spans to another.

use std::collections::BTreeMap;

use opentelemetry::KeyValue;
use opentelemetry::trace::Status;
use serde::{Deserialize, Serialize};
use throughline::testing::FinishedSpan;

/// A finished span, as a line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpanLine {
    /// Its name.
    pub name: String,
    /// Its kind, in lower case.
    pub kind: String,
    /// Its trace, 32 digits.
    pub trace_id: String,
    /// Its own ID, 16 digits.
    pub span_id: String,
    /// The ID of its parent.
    pub parent_id: Option<String>,
    /// Its attributes; lists and numbers as text.
    pub attributes: BTreeMap<String, String>,
    /// Its links.
    pub links: Vec<LinkLine>,
    /// `ok`, `unset`, or `error: …`.
    pub status: String,
    /// The names of its events.
    pub events: Vec<String>,
}

/// A link of a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkLine {
    /// The trace of the span linked to.
    pub trace_id: String,
    /// The span linked to.
    pub span_id: String,
    /// The attributes.
    pub attributes: BTreeMap<String, String>,
}

fn texts<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|tag| (tag.key.to_string(), tag.value.to_string())).collect()
}

impl From<&FinishedSpan> for SpanLine {
    fn from(span: &FinishedSpan) -> Self {
        Self {
            name: span.name().to_owned(),
            kind: format!("{:?}", span.span_kind).to_lowercase(),
            trace_id: span.trace_id().to_string(),
            span_id: span.span_id().to_string(),
            parent_id: span.parent_id().map(|id| id.to_string()),
            attributes: texts(&span.attributes),
            links: span
                .links
                .iter()
                .map(|link| LinkLine {
                    trace_id: link.span_context.trace_id().to_string(),
                    span_id: link.span_context.span_id().to_string(),
                    attributes: texts(&link.attributes),
                })
                .collect(),
            status: match &span.status {
                Status::Unset => "unset".to_owned(),
                Status::Ok => "ok".to_owned(),
                Status::Error { description } => format!("error: {description}"),
            },
            events: span.events.iter().map(|event| event.name.to_string()).collect(),
        }
    }
}

impl SpanLine {
    /// Whether its parent is `parent`, in the same trace.
    pub fn is_child_of(&self, parent: &Self) -> bool {
        self.trace_id == parent.trace_id && self.parent_id.as_ref() == Some(&parent.span_id)
    }

    /// Whether it has a link to `other`.
    pub fn is_linked_to(&self, other: &Self) -> bool {
        self.links.iter().any(|link| link.trace_id == other.trace_id && link.span_id == other.span_id)
    }

    /// The value of an attribute, as text.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }
}
