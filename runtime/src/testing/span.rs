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

/// A captured span that has ended.
///
/// Dereferences to the SDK's [`SpanData`] for everything that has no method here.
#[derive(Clone)]
pub struct FinishedSpan {
    pub(super) data: Arc<SpanData>,
    /// The number of spans of the capture that started before it.
    pub(super) order: usize,
}

impl FinishedSpan {
    /// Returns the span name.
    pub fn name(&self) -> &str {
        &self.data.name
    }

    /// Returns the trace ID.
    pub fn trace_id(&self) -> TraceId {
        self.data.span_context.trace_id()
    }

    /// Returns the span ID.
    pub fn span_id(&self) -> SpanId {
        self.data.span_context.span_id()
    }

    /// Returns the span ID of the parent, or `None` for a root span.
    pub fn parent_id(&self) -> Option<SpanId> {
        Some(self.data.parent_span_id).filter(|&id| id != SpanId::INVALID)
    }

    /// Returns `true` if this span is a child of `parent`.
    pub fn is_child_of(&self, parent: &Self) -> bool {
        self.trace_id() == parent.trace_id() && self.parent_id() == Some(parent.span_id())
    }

    /// Returns `true` if this span has a link to `other`, directly or through a propagated context.
    pub fn is_linked_to(&self, other: &Self) -> bool {
        self.data.links.iter().any(|link| other.is(&link.span_context))
    }

    /// Whether `context` is the span context of this span.
    pub(super) fn is(&self, context: &SpanContext) -> bool {
        self.trace_id() == context.trace_id() && self.span_id() == context.span_id()
    }

    /// Returns the value of the attribute `key`; the last one, if it was set more than once.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        attribute(&self.data, key)
    }

    /// Returns the first event with this name.
    pub fn event(&self, name: &str) -> Option<&Event> {
        self.data.events.iter().find(|event| event.name == name)
    }

    /// Returns `true` if the span status is `Error`. A panic sets it, cancellation does not.
    pub fn is_error(&self) -> bool {
        ending(&self.data).is_error()
    }

    /// Returns `true` if the code in the span panicked.
    pub fn is_panicked(&self) -> bool {
        matches!(ending(&self.data), Ending::Panicked(_))
    }

    /// Returns `true` if the span was cancelled: its future or other work was dropped before it completed.
    pub fn is_cancelled(&self) -> bool {
        ending(&self.data) == Ending::Cancelled
    }

    /// Returns the time between start and end, or zero if the clock was set back in the meantime.
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
