//! Methods of spans and outcomes for integrations.

use std::borrow::Cow;
use std::fmt::Display;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, Key, KeyValue};

use crate::context::current::{self, is_off};
use crate::context::snapshot::Snapshot;
use crate::redact::error_text;
use crate::span::handle::{Scope, Span};
use crate::span::outcome::{Failure, Outcome};
use crate::tags::set::report_missing;
use crate::tags::value::TagValue;

/// Returns `true` if a span started in the current context might be recorded.
///
/// Returns `false` below a local span that is not sampled, and where telemetry is suppressed.
///
/// Integrations can use this to skip costly work, such as deriving a span name from a statement.
pub fn enabled() -> bool {
    !current::with(is_off)
}

impl Span {
    /// Sets attributes of OpenTelemetry's type. Values are not truncated.
    pub fn record_all(&self, attributes: impl IntoIterator<Item = KeyValue>) {
        if let Some(open) = self.0.open() {
            open.context.span().set_attributes(attributes);
        }
    }

    /// Adds an event. Attribute values are not truncated.
    pub fn event(&self, name: impl Into<Cow<'static, str>>, attributes: Vec<KeyValue>) {
        if let Some(open) = self.0.open() {
            open.context.span().add_event(name, attributes);
        }
    }

    /// Returns the context for work that may outlive the current span: that of this span, or without one, a snapshot
    /// of the current context, which does not hold the current span itself.
    pub fn detached_context(&self) -> Context {
        self.0.context().cloned().unwrap_or_else(|| Snapshot::capture().to_context())
    }

    /// Reports required tags without a value: an event for each, and the counter `throughline.tags.missing`.
    pub fn report_missing(&self, keys: &[&'static str]) {
        if let Some(open) = self.0.open() {
            report_missing(keys, &open.context);
        }
    }

    /// Modifies the context that is current in the span. The span itself is unchanged.
    pub fn map_context(&mut self, change: impl FnOnce(&Context) -> Context) {
        self.0.map_context(change);
    }
}

impl Scope {
    fn map_context(&mut self, change: impl FnOnce(&Context) -> Context) {
        match self {
            Self::Off => *self = Self::Within(change(&current::get())),
            Self::Within(context) => *context = change(context),
            Self::Reported(reported) => reported.scope.map_context(change),
            Self::Open(open) => {
                open.context = change(&open.context);
                #[cfg(feature = "otlp")]
                if let Some(ticket) = &open.ticket {
                    ticket.replace(&open.context);
                }
            }
        }
    }
}

impl Outcome {
    /// Creates an outcome for a response that indicates a failure, such as status 503. No `exception` event is
    /// recorded, because there is no error value. `error_type` should have low cardinality; an empty description is
    /// omitted.
    pub fn error(error_type: impl Into<Cow<'static, str>>, description: impl Display) -> Self {
        let message = error_text::of(format_args!("{description}"));
        Self::of_failure(Failure { error_type: error_type.into(), message, exception: false, chain: None })
    }

    /// Creates an outcome for an error value: like [`error`](Self::error), with an additional `exception` event.
    /// `error_type` should have low cardinality.
    pub fn exception(error_type: impl Into<Cow<'static, str>>, error: &(impl Display + ?Sized)) -> Self {
        Self::thrown(error_type.into(), error_text::of(format_args!("{error}")))
    }

    /// Adds an attribute that was not known when the span started.
    pub fn attribute(mut self, key: impl Into<Key>, value: impl TagValue) -> Self {
        if let Some(value) = value.tag_value() {
            self.0.get_or_insert_default().attributes.push(KeyValue::new(key, value));
        }
        self
    }

    /// Adds attributes of OpenTelemetry's type. Values are not truncated.
    pub fn attributes(mut self, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        self.0.get_or_insert_default().attributes.extend(attributes);
        self
    }
}
