//! Spans of the OpenTelemetry SDK.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanId, Status};
use opentelemetry_sdk::trace::SpanData;

use super::model::{Event, Link, Span};

impl Span {
    /// Converts a span of the OpenTelemetry SDK that was recorded by `service`.
    pub fn from_span_data(span: &SpanData, service: impl Into<Arc<str>>) -> Self {
        let context = &span.span_context;
        let parent_id = Some(span.parent_span_id).filter(|id| *id != SpanId::INVALID);
        let events = span.events.iter();
        let events = events.map(|event| Event::new(&*event.name, nanos(event.timestamp), event.attributes.clone()));
        let links = span.links.iter().map(|link| &link.span_context);
        Self {
            service: service.into(),
            scope: span.instrumentation_scope.name().into(),
            parent_id,
            parent_is_remote: parent_id.map(|_| span.parent_span_is_remote),
            is_sampled: Some(context.is_sampled()),
            kind: span.span_kind.clone(),
            start: nanos(span.start_time),
            end: Some(nanos(span.end_time)),
            is_error: matches!(span.status, Status::Error { .. }),
            attributes: span.attributes.clone(),
            events: events.collect(),
            links: links.map(|link| Link::new(link.trace_id(), link.span_id())).collect(),
            ..Self::new(context.trace_id(), context.span_id(), &*span.name)
        }
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
