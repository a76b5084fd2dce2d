//! Records events as span events, and the outcomes that some of them report.

use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use tracing::{Event, Level};

use crate::log::span_events::{Admitted, Counts, Described, limit_reached};
use crate::redact::error_text;
use crate::semconv;

#[derive(Debug)]
pub(super) struct Events {
    max_per_span: u16,
    /// Whether an event with the field `error` and without a message is the outcome of the span.
    error_outcomes: bool,
    /// Whether every event of level ERROR sets the status of its span to Error.
    error_levels: bool,
    counts: Counts,
}

impl Events {
    pub(super) fn new(max_per_span: u16, error_outcomes: bool, error_levels: bool) -> Self {
        Self { max_per_span, error_outcomes, error_levels, counts: Counts::new() }
    }

    /// Adds an event to the span of `context`.
    pub(super) fn add(&self, event: &Event<'_>, context: &Context) {
        if context.is_telemetry_suppressed() || !context.has_active_span() {
            return;
        }
        let span = context.span();
        if !span.is_recording() {
            return;
        }
        let admitted = self.counts.admit(span.span_context().span_id(), self.max_per_span);
        let may_fail = self.error_outcomes && event.metadata().fields().field("error").is_some();
        let is_error = self.error_levels && *event.metadata().level() == Level::ERROR;
        if let Admitted::NoMore = admitted {
            let (name, attributes) = limit_reached(self.max_per_span);
            span.add_event(name, attributes);
        }
        // The outcome is set even if the event exceeds the limit.
        if !may_fail && !is_error && !matches!(admitted, Admitted::Yes) {
            return;
        }
        let mut described = Described::of(event);
        let failed = if may_fail { described.take_error() } else { None };
        let is_failed = failed.is_some();
        let message = failed.and_then(|error| error_text::of(format_args!("{error}")));
        if is_failed || is_error {
            span.set_status(Status::error(message.clone().unwrap_or_default()));
        }
        if is_failed {
            described.rename("exception");
            described.attributes.extend(message.map(|text| KeyValue::new(semconv::EXCEPTION_MESSAGE, text)));
        }
        if let Admitted::Yes = admitted {
            let (name, attributes) = described.into_parts(event);
            span.add_event(name, attributes);
        }
    }
}
