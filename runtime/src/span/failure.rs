//! Logs the failures of detached jobs and of functions with `err = log`, whose spans may not be sampled or looked at.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{Display, Write as _};

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceId};
use opentelemetry::{Context, KeyValue};

use crate::context::current;
use crate::guard::panics::caught;
use crate::redact::error_text::{self, Chain};
use crate::tags::scoped;
use crate::tags::set::is_read_by_logs;
use crate::text::{QuotedValue, Word};
use crate::{metrics, semconv};

/// Name, unit and description.
const JOBS_FAILED: [&str; 3] =
    ["throughline.jobs.failed", "{job}", "Detached jobs that ended with an error or a panic"];

/// The job or function whose failures are reported.
#[derive(Debug, Clone)]
pub(crate) struct FailureSource {
    pub(crate) name: Cow<'static, str>,
    pub(crate) is_job: bool,
}

/// A failure to be reported in the log.
pub(crate) struct FailureReport {
    pub(crate) failure_source: FailureSource,
    pub(crate) error_type: Cow<'static, str>,
    /// The text of the error and its sources, subject to the error text policy.
    pub(crate) error: Option<String>,
}

impl FailureReport {
    /// Emits the log event with `context` current, and counts failed jobs.
    #[cold]
    pub(crate) fn emit(self, context: &Context) {
        event_in(context, |fields| {
            self.log(fields);
            if self.failure_source.is_job {
                let name = KeyValue::new(semconv::THROUGHLINE_JOB_NAME, self.failure_source.name.into_owned());
                let attributes = [name, KeyValue::new(semconv::ERROR_TYPE, self.error_type)];
                metrics::add(JOBS_FAILED, 1, &attributes);
            }
        });
    }

    fn log(&self, fields: EventFields) {
        let EventFields { trace_id, span_id, tags } = fields;
        let (trace_id, span_id) = (trace_id.map(tracing::field::display), span_id.map(tracing::field::display));
        let (tags, name, error) = (tags.as_deref(), &*self.failure_source.name, self.error.as_deref());
        let (error_type, ended) = (&*self.error_type, if self.error_type == "panic" { "panicked" } else { "failed" });
        macro_rules! log {
            ($target:literal, $($key:ident).+ = $name:ident, $what:literal) => {
                tracing::error!(
                    target: $target,
                    {
                        $($key).+ = $name,
                        error = error,
                        "error.type" = error_type,
                        trace_id = trace_id,
                        span_id = span_id,
                        throughline.tags = tags,
                    },
                    $what
                )
            };
        }
        if self.failure_source.is_job {
            log!("throughline::jobs", throughline.job.name = name, "detached job {ended}");
        } else {
            log!("throughline::errors", throughline.span.name = name, "call {ended}");
        }
    }
}

/// Emits a `tracing` event with `context` current, and with the fields that correlate it with its trace.
///
/// For integrations that report failures. The subscriber runs application code; if it panics, the panic is caught, so
/// that the instrumented work is unaffected. During thread teardown, nothing is emitted.
///
/// ```
/// let context = throughline::current_context();
/// throughline::event_in(&context, |fields| {
///     tracing::error!(
///         trace_id = fields.trace_id.map(tracing::field::display),
///         span_id = fields.span_id.map(tracing::field::display),
///         tags = fields.tags,
///         "request failed"
///     );
/// });
/// ```
pub fn event_in(context: &Context, write: impl FnOnce(EventFields)) {
    let _ = caught(|| {
        // During thread teardown, thread-locals that a subscriber needs may have been destroyed.
        if current::is_gone() {
            return;
        }
        let _attached = current::attach(context.clone());
        write(EventFields::of(context));
    });
}

/// The fields that correlate a log event with its trace.
///
/// All are empty if the process uses one of the formatters of `throughline::log`, which add them to every line.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct EventFields {
    /// The trace ID.
    pub trace_id: Option<TraceId>,
    /// The span ID.
    pub span_id: Option<SpanId>,
    /// The tags in one string: `tenant_id=acme note="two words"`.
    pub tags: Option<String>,
}

impl EventFields {
    pub(crate) fn of(context: &Context) -> Self {
        if is_read_by_logs() {
            return Self::default();
        }
        let span = context.span();
        let ids = Some(span.span_context()).filter(|span| span.is_valid());
        let tags = scoped::of(context);
        Self {
            trace_id: ids.map(SpanContext::trace_id),
            span_id: ids.map(SpanContext::span_id),
            tags: (!tags.is_empty()).then(|| written(&tags.list())),
        }
    }
}

/// Formats tags as one string: `tenant_id=acme note="two words"`.
fn written(tags: &[KeyValue]) -> String {
    let mut out = String::new();
    for tag in tags {
        let space = if out.is_empty() { "" } else { " " };
        // Writing to a `String` does not fail.
        let _ = write!(out, "{space}{}={}", Word(tag.key.as_str()), QuotedValue(&tag.value));
    }
    out
}

/// The error and its sources: `cannot send: connection refused`. A source is omitted if the preceding text already
/// contains it. `None` if the process does not record error text.
pub(crate) fn chain(error: &dyn Error) -> Option<String> {
    error_text::of(format_args!("{}", Chain(error)))
}

/// Returns the text of an error that is only known to implement `Display`. Many errors that do not implement `Error`,
/// such as those of `anyhow` and `eyre`, include their causes in the alternate form.
pub(crate) fn alternate(error: &impl Display) -> Option<String> {
    error_text::of(format_args!("{error:#}"))
}
