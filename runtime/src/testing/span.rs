//! A captured span.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Value;
use opentelemetry::trace::{Event, SpanContext, SpanId, TraceId};
use opentelemetry_sdk::trace::SpanData;

use crate::render::tree::{self, End, Place};

/// A span that has ended. Dereferences to the SDK's [`SpanData`], which has the rest.
#[derive(Clone)]
pub struct FinishedSpan {
    pub(super) data: Arc<SpanData>,
    /// How many spans of the capture have started before it.
    pub(super) order: usize,
}

impl FinishedSpan {
    /// The name.
    pub fn name(&self) -> &str {
        &self.data.name
    }

    /// The trace it belongs to.
    pub fn trace_id(&self) -> TraceId {
        self.data.span_context.trace_id()
    }

    /// Its own id.
    pub fn span_id(&self) -> SpanId {
        self.data.span_context.span_id()
    }

    /// The id of its parent; `None` for the first span of a trace.
    pub fn parent_id(&self) -> Option<SpanId> {
        Some(self.data.parent_span_id).filter(|&id| id != SpanId::INVALID)
    }

    /// Whether `parent` is its parent.
    pub fn is_child_of(&self, parent: &Self) -> bool {
        self.trace_id() == parent.trace_id() && self.parent_id() == Some(parent.span_id())
    }

    /// Whether it has a link to `other`, be it one that has come over the wire.
    pub fn is_linked_to(&self, other: &Self) -> bool {
        self.data.links.iter().any(|link| other.is(&link.span_context))
    }

    /// Whether `identity` is its own.
    pub(super) fn is(&self, identity: &SpanContext) -> bool {
        self.trace_id() == identity.trace_id() && self.span_id() == identity.span_id()
    }

    /// The value of an attribute. If it was set more than once, the last value.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        tree::attribute(&self.data, key)
    }

    /// The first event of this name.
    pub fn event(&self, name: &str) -> Option<&Event> {
        self.data.events.iter().find(|event| event.name == name)
    }

    /// Whether its status is Error. True also for a panic, false for cancelled work.
    pub fn is_error(&self) -> bool {
        matches!(tree::end(&self.data), End::Failed(_) | End::Panicked(_))
    }

    /// Whether its code panicked.
    pub fn is_panicked(&self) -> bool {
        matches!(tree::end(&self.data), End::Panicked(_))
    }

    /// Whether its work was given up half-way.
    pub fn is_cancelled(&self) -> bool {
        tree::end(&self.data) == End::Cancelled
    }

    /// The time from its start to its end; zero if the clock was set back in between.
    pub fn duration(&self) -> Duration {
        self.data.end_time.duration_since(self.data.start_time).unwrap_or_default()
    }

    pub(super) fn place(&self) -> Place {
        Place {
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
