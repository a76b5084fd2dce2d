//! Failures that are told where nobody may look at a span: those of detached jobs, and of functions
//! with `err = log`.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{Display, Write as _};
use std::ops::Deref;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceId};
use opentelemetry::{Context, KeyValue, global};

use crate::context::current;
use crate::context::data::Data;
use crate::guard::panics::caught;
use crate::redact::error_text::{self, Chain};
use crate::semconv;
use crate::tags::set::is_read_by_logs;
use crate::text::{QuotedValue, Word};

/// Whose failure is told.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) name: Cow<'static, str>,
    pub(crate) is_job: bool,
}

/// A failure, on its way to the log.
pub(crate) struct Failed {
    pub(crate) told: Told,
    pub(crate) error_type: Cow<'static, str>,
    /// What is known of the error, with what has led to it.
    pub(crate) error: Option<String>,
}

impl Failed {
    /// Writes the log event, with `context` current, and counts the job.
    #[cold]
    pub(crate) fn tell(self, context: &Context) {
        event_in(context, |fields| {
            self.log(fields);
            if self.told.is_job {
                // Asked anew each time: an instrument made before the meter provider is set stays silent.
                let counter = global::meter("throughline")
                    .u64_counter("throughline.jobs.failed")
                    .with_unit("{job}")
                    .with_description("Detached jobs that ended with an error or a panic")
                    .build();
                let name = KeyValue::new(semconv::THROUGHLINE_JOB_NAME, self.told.name.into_owned());
                counter.add(1, &[name, KeyValue::new(semconv::ERROR_TYPE, self.error_type)]);
            }
        });
    }

    fn log(&self, fields: EventFields) {
        let EventFields { trace_id, span_id, tags } = fields;
        let (trace_id, span_id) = (trace_id.map(tracing::field::display), span_id.map(tracing::field::display));
        let (tags, name, error) = (tags.as_deref(), &*self.told.name, self.error.as_deref());
        let (error_type, ended) = (&*self.error_type, if self.error_type == "panic" { "panicked" } else { "failed" });
        if self.told.is_job {
            tracing::error!(
                target: "throughline::jobs",
                {
                    throughline.job.name = name,
                    error = error,
                    "error.type" = error_type,
                    trace_id = trace_id,
                    span_id = span_id,
                    throughline.tags = tags,
                },
                "detached job {ended}"
            );
        } else {
            tracing::error!(
                target: "throughline::errors",
                {
                    throughline.span.name = name,
                    error = error,
                    "error.type" = error_type,
                    trace_id = trace_id,
                    span_id = span_id,
                    throughline.tags = tags,
                },
                "call {ended}"
            );
        }
    }
}

/// Writes an event of `tracing` with `context` current, and with the fields by which its trace is found.
///
/// For integrations that report a failure. A subscriber is other code, which may panic: the work itself does
/// not fail by it. While the thread is being torn down, nothing is written.
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
        // What a subscriber needs may be gone.
        if current::is_gone() {
            return;
        }
        let _attached = current::attach(context.clone());
        write(EventFields::of(context));
    });
}

/// The fields of an event by which its trace is found. All are empty as soon as one of the formatters of
/// `throughline::log` exists in the process, which write them on every line.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct EventFields {
    /// The trace of the context.
    pub trace_id: Option<TraceId>,
    /// The span of the context.
    pub span_id: Option<SpanId>,
    /// The tags in one text: `tenant_id=acme note="two words"`.
    pub tags: Option<String>,
}

impl EventFields {
    pub(crate) fn of(context: &Context) -> Self {
        if is_read_by_logs() {
            return Self::default();
        }
        let span = context.span();
        let ids = Some(span.span_context()).filter(|span| span.is_valid());
        let tags = Data::of(context).filter(|data| !data.tags.is_empty());
        Self {
            trace_id: ids.map(SpanContext::trace_id),
            span_id: ids.map(SpanContext::span_id),
            tags: tags.map(|data| written(&data.tags)),
        }
    }
}

/// Tags in one text: `tenant_id=acme note="two words"`.
fn written(tags: &[KeyValue]) -> String {
    let mut out = String::new();
    for tag in tags {
        let space = if out.is_empty() { "" } else { " " };
        // Writing to a `String` does not fail.
        let _ = write!(out, "{space}{}={}", Word(tag.key.as_str()), QuotedValue(&tag.value));
    }
    out
}

/// What has led to `error`, the nearest first. Bounded, because a chain need not end.
#[cfg(feature = "log")]
pub(crate) fn sources<'a>(error: &'a (dyn Error + 'a)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |&source| source.source()).take(16)
}

/// The error and what has led to it: `cannot send: connection refused`. A cause whose text the one
/// above it has in its own is not said again.
/// `None` if the process records no texts of errors.
pub(crate) fn chain(error: &dyn Error) -> Option<String> {
    error_text::of(format_args!("{}", Chain(error)))
}

/// The text of an error of which only `Display` is known. Many that are not `Error` themselves, such as
/// those of `anyhow` and `eyre`, write their causes in the alternate form.
pub(crate) fn alternate(error: &impl Display) -> Option<String> {
    error_text::of(format_args!("{error:#}"))
}

/// Looks at a returned error of which generated code knows the type, and the runtime does not, for the
/// errors that have led to it. Works as [`Seen`](crate::span::outcome::Seen) does, step by step.
#[derive(Debug)]
pub struct Causes<'a, R>(CausesBoxed<'a, R>);

/// A `Result` with an error that points to one: `Box<dyn Error + Send + Sync>`, `anyhow::Error`.
#[derive(Debug)]
pub struct CausesBoxed<'a, R>(CausesLocal<'a, R>);

/// A `Result` with a `Box<dyn Error>`.
#[derive(Debug)]
pub struct CausesLocal<'a, R>(CausesShown<'a, R>);

/// A `Result` whose error implements `Display`.
#[derive(Debug)]
pub struct CausesShown<'a, R>(CausesUnknown<'a, R>);

/// Any value.
#[derive(Debug)]
pub struct CausesUnknown<'a, R>(&'a R);

impl<'a, R> Causes<'a, R> {
    /// Looks at `result`.
    pub fn new(result: &'a R) -> Self {
        Self(CausesBoxed(CausesLocal(CausesShown(CausesUnknown(result)))))
    }
}

impl<T, E: Error> Causes<'_, Result<T, E>> {
    /// The error with all its sources.
    pub fn __chain(&self) -> Option<String> {
        self.0.0.0.0.0.as_ref().err().and_then(|error| chain(error))
    }
}

impl<'e, T, E: Deref<Target = dyn Error + Send + Sync + 'e>> CausesBoxed<'_, Result<T, E>> {
    /// The error with all its sources.
    pub fn __chain(&self) -> Option<String> {
        self.0.0.0.0.as_ref().err().and_then(|error| chain(&**error))
    }
}

impl<'e, T, E: Deref<Target = dyn Error + 'e>> CausesLocal<'_, Result<T, E>> {
    /// The error with all its sources.
    pub fn __chain(&self) -> Option<String> {
        self.0.0.0.as_ref().err().and_then(|error| chain(&**error))
    }
}

impl<T, E: Display> CausesShown<'_, Result<T, E>> {
    /// The error in its alternate form.
    pub fn __chain(&self) -> Option<String> {
        self.0.0.as_ref().err().and_then(alternate)
    }
}

#[expect(clippy::unused_self, reason = "it has the signature of those before it")]
impl<R> CausesUnknown<'_, R> {
    /// Nothing is known.
    pub fn __chain(&self) -> Option<String> {
        None
    }
}

/// Each dereferences to the next.
macro_rules! steps {
    ($($from:ident => $to:ident),*) => {$(
        impl<'a, R> ::std::ops::Deref for $from<'a, R> {
            type Target = $to<'a, R>;

            fn deref(&self) -> &$to<'a, R> {
                &self.0
            }
        }
    )*};
}

pub(crate) use steps;

steps!(Causes => CausesBoxed, CausesBoxed => CausesLocal, CausesLocal => CausesShown, CausesShown => CausesUnknown);
