//! Access to the OpenTelemetry span of a `tracing` span, with the names of `tracing-opentelemetry`.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use opentelemetry::trace::{Link, SpanContext, Status, TraceContextExt as _};
use opentelemetry::{Context, Key, KeyValue, Value, time};
use tracing::Dispatch;
use tracing::span::Id;

use super::entry::On;
use super::layer::{find, link};
use super::spans::Spans;
use crate::context::current;

/// Access to the OpenTelemetry span of a `tracing` span: its context, parent, links, status, attributes and events.
///
/// The methods have the same names and parameters as those of the trait with this name in `tracing-opentelemetry`, so
/// migrating only requires changing the `use` declaration. On a span that the layer does not record, the setters have
/// no effect.
///
/// Spans are found through `tracing-subscriber`'s `Registry`, on which nearly every subscriber is based.
///
/// ```
/// use throughline::tracing_layer::OpenTelemetrySpanExt as _;
///
/// # fn incoming() -> throughline::Context { throughline::Context::new() }
/// let span = tracing::info_span!("handle");
/// let _ = span.set_parent(incoming());
/// let _entered = span.enter();
/// tracing::Span::current().set_attribute("queue.depth", 3);
/// ```
pub trait OpenTelemetrySpanExt {
    /// Replaces the parent with the span of `cx`. The tags and baggage of `cx` are inherited, too.
    ///
    /// If the previous parent was not sampled, fields that were recorded before are lost, because they are not
    /// collected in unsampled traces.
    ///
    /// # Errors
    ///
    /// Returns an error if the span has started, because it was entered or its context was used; if it is disabled; or
    /// if the layer does not record it.
    fn set_parent(&self, cx: Context) -> Result<(), SetParentError>;

    /// Adds a link. Ignored if `cx` is not valid.
    fn add_link(&self, cx: SpanContext);

    /// Adds a link with attributes. Ignored if `cx` is not valid.
    fn add_link_with_attributes(&self, cx: SpanContext, attributes: Vec<KeyValue>);

    /// Returns the context of the span, to propagate it or to start child spans. This starts the span.
    ///
    /// If the layer does not record the span, this returns the current context, so that the trace continues even if a
    /// filter excludes the span.
    fn context(&self) -> Context;

    /// Sets an attribute. The value is not truncated.
    fn set_attribute(&self, key: impl Into<Key>, value: impl Into<Value>);

    /// Sets the status. `Ok` is final, and `Unset` is ignored, following the specification of the tracing API ("Set
    /// Status").
    fn set_status(&self, status: Status);

    /// Adds an event. This starts the span. The event limit of the layer does not apply.
    fn add_event(&self, name: impl Into<Cow<'static, str>>, attributes: Vec<KeyValue>);

    /// Adds an event with a timestamp. This starts the span.
    fn add_event_with_timestamp(
        &self,
        name: impl Into<Cow<'static, str>>,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    );
}

/// The error returned by [`OpenTelemetrySpanExt::set_parent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetParentError {
    /// The subscriber of the span does not have the layer, or the layer does not record the span.
    LayerNotFound,
    /// The span has already started.
    AlreadyStarted,
    /// The span is disabled.
    SpanDisabled,
}

impl fmt::Display for SetParentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LayerNotFound => "the span is not recorded by Throughline's layer",
            Self::AlreadyStarted => "the span has already started",
            Self::SpanDisabled => "the span is disabled",
        })
    }
}

impl std::error::Error for SetParentError {}

/// Returns the context of the span with this ID, for your own layers. This starts the span.
///
/// Returns `None` if the layer does not record the span.
pub fn get_otel_context(span_id: &Id, dispatch: &Dispatch) -> Option<Context> {
    find(dispatch)?.context(span_id)
}

/// Calls `f` with the spans of the layer that `span` belongs to.
fn found<R>(span: &tracing::Span, f: impl FnOnce(&Spans, &Id) -> Option<R>) -> Option<R> {
    span.with_subscriber(|(id, dispatch)| f(&*find(dispatch)?, id)).flatten()
}

/// Calls `change` with the span, unless it is not recorded.
fn change(span: &tracing::Span, change: impl FnOnce(On<'_>)) {
    found(span, |spans, id| {
        spans.change(id, change);
        Some(())
    });
}

impl OpenTelemetrySpanExt for tracing::Span {
    fn set_parent(&self, cx: Context) -> Result<(), SetParentError> {
        if self.is_disabled() {
            return Err(SetParentError::SpanDisabled);
        }
        let set = found(self, |spans, id| spans.set_parent(id, cx));
        if set.ok_or(SetParentError::LayerNotFound)? { Ok(()) } else { Err(SetParentError::AlreadyStarted) }
    }

    fn add_link(&self, cx: SpanContext) {
        self.add_link_with_attributes(cx, Vec::new());
    }

    fn add_link_with_attributes(&self, cx: SpanContext, attributes: Vec<KeyValue>) {
        if cx.is_valid() {
            found(self, |spans, id| {
                link(spans, id, Link::new(cx, attributes, 0));
                Some(())
            });
        }
    }

    fn context(&self) -> Context {
        found(self, Spans::context).unwrap_or_else(current::get)
    }

    fn set_attribute(&self, key: impl Into<Key>, value: impl Into<Value>) {
        change(self, |on| match (on, KeyValue::new(key, value)) {
            (On::Unstarted(span), attribute) => span.set_unchanged(attribute),
            (On::Started(context), attribute) => context.span().set_attribute(attribute),
        });
    }

    fn set_status(&self, status: Status) {
        change(self, |on| match on {
            On::Unstarted(span) => span.set_status(status),
            On::Started(context) => context.span().set_status(status),
        });
    }

    fn add_event(&self, name: impl Into<Cow<'static, str>>, attributes: Vec<KeyValue>) {
        self.add_event_with_timestamp(name, time::now(), attributes);
    }

    fn add_event_with_timestamp(
        &self,
        name: impl Into<Cow<'static, str>>,
        timestamp: SystemTime,
        attributes: Vec<KeyValue>,
    ) {
        if let Some(context) = found(self, Spans::context) {
            context.span().add_event_with_timestamp(name, timestamp, attributes);
        }
    }
}
