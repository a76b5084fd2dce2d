//! Methods of spans and outcomes that only detached jobs use.

use std::fmt::Display;
use std::time::Instant;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};

use crate::redact::error_types;
use crate::semconv;
use crate::span::builder::SpanBuilder;
use crate::span::failure::FailureSource;
use crate::span::handle::{Scope, Span};
use crate::span::outcome::{ExplicitAttributes, Outcome};

impl Span {
    /// Creates the scope of a job without a span, which runs in `context`.
    pub(super) fn carried(context: Context, failure_source: FailureSource) -> Self {
        Self::within(context).reporting(failure_source)
    }

    /// Returns the name of the job.
    pub(super) fn job_name(&self) -> &str {
        self.0.failure_source().map_or("", |failure_source| &failure_source.name)
    }
}

impl SpanBuilder {
    /// Returns the name of the span.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

impl Scope {
    /// Records the time between spawning and the first poll.
    pub(super) fn queued_since(&self, spawned: Instant) {
        if let Some(open) = self.open() {
            if open.explicit.has(ExplicitAttributes::QUEUE_TIME) {
                return;
            }
            let waited = i64::try_from(spawned.elapsed().as_micros()).unwrap_or(i64::MAX);
            open.context.span().set_attribute(KeyValue::new(semconv::THROUGHLINE_JOB_QUEUE_TIME_US, waited));
        }
    }
}

impl Outcome {
    /// Like `from_result`, for a detached job.
    pub(super) fn from_job_result<T, E: Display + 'static>(result: &Result<T, E>) -> Self {
        Self::from_result(result).with_error_chain(result.as_ref().err().and_then(error_types::of_any))
    }
}
