//! A captured span.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Value;
use opentelemetry::trace::{Event, SpanContext, SpanId, TraceId};
use opentelemetry_sdk::trace::SpanData;

use crate::render::span::{Ending, attribute, ending};
use crate::render::tree::Node;

/// A span that has ended. Dereferences to the SDK's [`SpanData`] for everything else.
#[derive(Clone)]
pub struct FinishedSpan {
    pub(super) data: Arc<SpanData>,
    /// How many spans of the capture started before it.
    pub(super) order: usize,
}

impl FinishedSpan {
    /// The name.
    pub fn name(&self) -> &str {
        &self.data.name
    }

    /// The id of its trace.
    pub fn trace_id(&self) -> TraceId {
        self.data.span_context.trace_id()
    }

    /// Its id.
    pub fn span_id(&self) -> SpanId {
        self.data.span_context.span_id()
    }

    /// The id of its parent; `None` for a root span.
    pub fn parent_id(&self) -> Option<SpanId> {
        Some(self.data.parent_span_id).filter(|&id| id != SpanId::INVALID)
    }

    /// Whether it is a child of `parent`.
    pub fn is_child_of(&self, parent: &Self) -> bool {
        self.trace_id() == parent.trace_id() && self.parent_id() == Some(parent.span_id())
    }

    /// Whether it has a link to `other`, also through a context that was propagated.
    pub fn is_linked_to(&self, other: &Self) -> bool {
        self.data.links.iter().any(|link| other.is(&link.span_context))
    }

    /// Whether `context` is its own span context.
    pub(super) fn is(&self, context: &SpanContext) -> bool {
        self.trace_id() == context.trace_id() && self.span_id() == context.span_id()
    }

    /// The value of the attribute `key`; the last one, if it was set more than once.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        attribute(&self.data, key)
    }

    /// The first event with this name.
    pub fn event(&self, name: &str) -> Option<&Event> {
        self.data.events.iter().find(|event| event.name == name)
    }

    /// Whether its status is `Error`, which it also is after a panic, but not after cancellation.
    pub fn is_error(&self) -> bool {
        ending(&self.data).is_error()
    }

    /// Whether its code panicked.
    pub fn is_panicked(&self) -> bool {
        matches!(ending(&self.data), Ending::Panicked(_))
    }

    /// Whether it was cancelled: its future, or other work, was dropped before it completed.
    pub fn is_cancelled(&self) -> bool {
        ending(&self.data) == Ending::Cancelled
    }

    /// The time from its start to its end; zero if the clock was set back meanwhile.
    pub fn duration(&self) -> Duration {
        self.data.end_time.duration_since(self.data.start_time).unwrap_or_default()
    }

    pub(super) fn node(&self) -> Node {
        Node {
            trace: self.trace_id(),
            span: self.span_id(),
            parent: self.data.parent_span_id,
            start: self.data.start_time,
            order: self.order,
        }
    }
}

impl Deref for FinishedSpan {
    type Target = SpanData;

    fn deref(&self) -> &SpanData {
        &self.data
    }
}

impl fmt::Debug for FinishedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.data.fmt(f)
    }
}
