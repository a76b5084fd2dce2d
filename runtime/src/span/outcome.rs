//! How a call ended, and how that is written on its span.

use std::any::{Any, type_name};
use std::borrow::Cow;
use std::fmt::{Debug, Display};

use opentelemetry::trace::{SpanRef, Status, TraceContextExt as _};
use opentelemetry::{Context, Key, KeyValue, Value};

use crate::context::last_error::LastError;
use crate::redact::error_text;
use crate::semconv::{self, ERROR_TYPE};
use crate::span::failure::{self, Failed, Told, steps};
use crate::tags::value::{TagValue, within_bounds};

/// How the work of a span has ended: well, or with a failure, and what was learnt by then.
///
/// A failure sets the span's status to an error and the attribute `error.type`, by the semantic conventions for
/// [recording errors]. Texts are bounded by [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES), and go by what
/// [`set_error_text`](crate::set_error_text) has said.
///
/// ```
/// use throughline::Outcome;
///
/// fn outcome(answer: &std::io::Result<u16>) -> Outcome {
///     match answer {
///         Ok(code @ 500..) => Outcome::error(code.to_string(), ""),
///         Ok(code) => Outcome::ok().attribute("answer.code", *code),
///         Err(error) => Outcome::exception("connection", error),
///     }
/// }
/// # outcome(&Ok(503));
/// ```
///
/// [recording errors]: https://opentelemetry.io/docs/specs/semconv/general/recording-errors/
#[derive(Debug, Default)]
#[must_use]
pub struct Outcome {
    failure: Option<Failure>,
    returned: Option<Value>,
    /// What a transport has learnt by the end of the call.
    attributes: Vec<KeyValue>,
}

/// Which of the attributes that tell how a span ended are tags of it. What was said explicitly stays: the
/// SDK keeps both of two values with one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Given(u8);

impl Given {
    pub(crate) const CANCELLED: Self = Self(1);
    pub(crate) const QUEUE_TIME: Self = Self(1 << 1);
    const ERROR_TYPE: Self = Self(1 << 2);
    const RETURN: Self = Self(1 << 3);

    /// Looks at the attributes that the span starts with.
    #[inline]
    pub(crate) fn among(attributes: &[KeyValue]) -> Self {
        attributes.iter().fold(Self::default(), |given, attribute| {
            let this = match attribute.key.as_str() {
                CANCELLED => Self::CANCELLED,
                QUEUE_TIME => Self::QUEUE_TIME,
                ERROR_TYPE => Self::ERROR_TYPE,
                RETURN => Self::RETURN,
                _ => return given,
            };
            Self(given.0 | this.0)
        })
    }

    #[inline]
    pub(crate) fn has(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }
}

const CANCELLED: &str = semconv::THROUGHLINE_CANCELLED;
pub(crate) const QUEUE_TIME: &str = semconv::THROUGHLINE_JOB_QUEUE_TIME_US;
const RETURN: &str = semconv::THROUGHLINE_RETURN;

#[derive(Debug)]
struct Failure {
    error_type: Cow<'static, str>,
    message: Option<String>,
    /// Whether there was an error value or a panic, and not only an answer that tells of one.
    exception: bool,
    /// The message with what has led to the error, for the log.
    chain: Option<String>,
}

impl Outcome {
    fn failed<E>(message: Option<String>) -> Self {
        Self::thrown(type_name::<E>().into(), message)
    }

    fn thrown(error_type: Cow<'static, str>, message: Option<String>) -> Self {
        Self { failure: Some(Failure { error_type, message, exception: true, chain: None }), ..Self::default() }
    }

    /// The work has ended well.
    pub fn ok() -> Self {
        Self::default()
    }

    /// An answer that tells of a failure, such as status 503: no `exception` event, because nothing was thrown.
    /// `error_type` is of low cardinality; an empty description is left out.
    pub fn error(error_type: impl Into<Cow<'static, str>>, description: impl Display) -> Self {
        let message = error_text::of(format_args!("{description}"));
        let failure = Failure { error_type: error_type.into(), message, exception: false, chain: None };
        Self { failure: Some(failure), ..Self::default() }
    }

    /// An error value: besides, an `exception` event. `error_type` is of low cardinality.
    pub fn exception(error_type: impl Into<Cow<'static, str>>, error: &(impl Display + ?Sized)) -> Self {
        Self::thrown(error_type.into(), error_text::of(format_args!("{error}")))
    }

    /// Adds an attribute that was not known when the span started.
    pub fn attribute(mut self, key: impl Into<Key>, value: impl TagValue) -> Self {
        if let Some(value) = value.tag_value() {
            self.attributes.push(KeyValue::new(key, value));
        }
        self
    }

    /// Adds attributes that are at hand as OpenTelemetry's.
    pub fn attributes(mut self, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        self.attributes.extend(attributes);
        self
    }

    /// The outcome of a `Result`: an `Err` is described by its `Display`, and its type is the `error.type`.
    pub fn of_result<T, E: Display>(result: &Result<T, E>) -> Self {
        Seen::new(result).__display()
    }

    /// The same for one that is told in the log.
    pub(crate) fn of_told_result<T, E: Display>(result: &Result<T, E>) -> Self {
        Self::of_result(result).caused(result.as_ref().err().and_then(failure::alternate))
    }

    /// The same for that of a job.
    #[cfg(feature = "tokio")]
    pub(crate) fn of_job_result<T, E: Display + 'static>(result: &Result<T, E>) -> Self {
        Self::of_result(result).caused(result.as_ref().err().and_then(error_text::of_any))
    }

    /// What the log says of a failure: the error with what has led to it.
    #[doc(hidden)]
    pub fn caused(mut self, chain: Option<String>) -> Self {
        if let Some(failure) = &mut self.failure {
            failure.chain = chain;
        }
        self
    }

    /// The failure, if there is one to be told. A function tells its errors; of a panic, so do the
    /// panic hook and whoever catches it.
    pub(crate) fn told(&self, told: Told) -> Option<Failed> {
        let failure = self.failure.as_ref().filter(|failure| told.is_job || failure.error_type != "panic")?;
        let error = failure.chain.as_ref().or(failure.message.as_ref()).cloned();
        Some(Failed { told, error_type: failure.error_type.clone(), error })
    }

    /// Records the returned value as the attribute `throughline.return`.
    #[doc(hidden)]
    pub fn returned(mut self, value: Option<Value>) -> Self {
        self.returned = value.map(within_bounds);
        self
    }

    /// A panic that was caught, and will go on.
    pub fn panicked(payload: &(dyn Any + Send)) -> Self {
        let message =
            payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = message.unwrap_or("the panic's payload is not text");
        Self::thrown("panic".into(), error_text::of(format_args!("{message}")))
    }

    /// A panic that was seen, but not caught.
    pub(crate) fn unwound() -> Self {
        Self::thrown("panic".into(), error_text::of(format_args!("panicked")))
    }

    /// Writes the outcome on the span of `context`, and ends the span.
    #[inline]
    pub(crate) fn end(self, context: &Context, given: Given) {
        // Most calls have succeeded, and nothing is to be said of it.
        if self.failure.is_none() && self.returned.is_none() && self.attributes.capacity() == 0 {
            // It owns nothing that could be dropped.
            std::mem::forget(self);
        } else {
            self.write(context, given);
        }
        context.span().end();
    }

    /// The same for a call whose failure is told.
    #[cold]
    pub(crate) fn end_and_tell(self, told: Told, context: &Context, given: Given) {
        let failed = self.told(told);
        self.end(context, given);
        // Now that the span has ended: as an event it would say what the span says already.
        if let Some(failed) = failed {
            failed.tell(context);
        }
    }

    #[inline(never)]
    fn write(self, context: &Context, given: Given) {
        let span = context.span();
        if !self.attributes.is_empty() {
            span.set_attributes(self.attributes);
        }
        if let Some(value) = self.returned.filter(|_| !given.has(Given::RETURN)) {
            span.set_attribute(KeyValue::new(RETURN, value));
        }
        if let Some(failure) = self.failure {
            failure.tell_request(context);
            failure.record(&span, given);
        }
    }

    /// Writes a failure on the span of `context`, which goes on.
    pub(crate) fn note(self, context: &Context, given: Given) {
        if let Some(failure) = self.failure {
            failure.tell_request(context);
            failure.record(&context.span(), given);
        }
    }
}

impl Failure {
    /// An answer that tells of a failure further up may name this one as its cause.
    fn tell_request(&self, context: &Context) {
        if let (true, Some(message)) = (self.exception, &self.message) {
            LastError::note(context, message);
        }
    }

    /// Status, `error.type` and an `exception` event, by the semantic conventions for errors and
    /// for exceptions on spans.
    fn record(self, span: &SpanRef<'_>, given: Given) {
        if self.exception {
            span.add_event("exception", exception(self.error_type.clone(), self.message.as_deref()));
        }
        if !given.has(Given::ERROR_TYPE) {
            span.set_attribute(KeyValue::new(ERROR_TYPE, self.error_type));
        }
        span.set_status(Status::error(self.message.unwrap_or_default()));
    }
}

/// The attributes of an `exception` event, by the semantic conventions for exceptions on spans.
pub(crate) fn exception(error_type: Cow<'static, str>, message: Option<&str>) -> Vec<KeyValue> {
    let mut event = Vec::with_capacity(3);
    event.push(KeyValue::new(semconv::EXCEPTION_TYPE, error_type.clone()));
    event.push(KeyValue::new(ERROR_TYPE, error_type));
    if let Some(message) = message {
        event.push(KeyValue::new(semconv::EXCEPTION_MESSAGE, message.to_owned()));
    }
    event
}

/// Ends the span of work that was given up half-way, which is `recorded` or goes without saying.
pub(crate) fn cancel(context: &Context, recorded: bool) {
    let span = context.span();
    if recorded {
        span.set_attribute(KeyValue::new(CANCELLED, true));
    }
    span.end();
}

/// Looks at a returned value of which generated code knows the type, and the runtime does not.
///
/// The same method exists on several of the steps below, for ever fewer bounds, and each step
/// dereferences to the next. So a method call takes the most telling one that the type allows: of a
/// `Result` whose error implements what is asked for, then of any `Result`, then of any value.
///
/// A user's trait for every type goes before what is dereferenced to, so the names are none that
/// such a trait could have.
#[derive(Debug)]
pub struct Seen<'a, R>(SeenDebug<'a, R>);

/// A `Result` whose error implements `Debug`.
#[derive(Debug)]
pub struct SeenDebug<'a, R>(SeenResult<'a, R>);

/// Any `Result`.
#[derive(Debug)]
pub struct SeenResult<'a, R>(SeenValue<'a, R>);

/// Any value.
#[derive(Debug)]
pub struct SeenValue<'a, R>(&'a R);

impl<'a, R> Seen<'a, R> {
    /// Looks at `result`.
    pub fn new(result: &'a R) -> Self {
        Self(SeenDebug(SeenResult(SeenValue(result))))
    }
}

impl<T, E: Display> Seen<'_, Result<T, E>> {
    /// `err = display`.
    pub fn __display(&self) -> Outcome {
        let result = self.0.0.0.0;
        result
            .as_ref()
            .err()
            .map_or_else(Outcome::default, |error| Outcome::failed::<E>(error_text::of(format_args!("{error}"))))
    }
}

impl<T, E: Debug> SeenDebug<'_, Result<T, E>> {
    /// `err = debug`.
    pub fn __debug(&self) -> Outcome {
        let result = self.0.0.0;
        result
            .as_ref()
            .err()
            .map_or_else(Outcome::default, |error| Outcome::failed::<E>(error_text::of(format_args!("{error:?}"))))
    }
}

impl<T, E> SeenResult<'_, Result<T, E>> {
    /// `err = display`, of an error without `Display`. `Debug` does not stand in for it: it shows every
    /// field, and nobody has named them.
    pub fn __display(&self) -> Outcome {
        self.__off()
    }

    /// `err = debug`, of an error that cannot be shown.
    pub fn __debug(&self) -> Outcome {
        self.__off()
    }

    /// `err = off`: that there was an error, and its type.
    pub fn __off(&self) -> Outcome {
        if self.0.0.is_err() { Outcome::failed::<E>(None) } else { Outcome::default() }
    }

    /// What `ret` records.
    pub fn __value(&self) -> Option<&T> {
        self.0.0.as_ref().ok()
    }
}

#[expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "the last step has the signatures of those before it"
)]
impl<R> SeenValue<'_, R> {
    /// Any value is a success.
    pub fn __display(&self) -> Outcome {
        Outcome::default()
    }

    /// Any value is a success.
    pub fn __debug(&self) -> Outcome {
        Outcome::default()
    }

    /// Any value is a success.
    pub fn __off(&self) -> Outcome {
        Outcome::default()
    }

    /// What `ret` records.
    pub fn __value(&self) -> Option<&R> {
        Some(self.0)
    }
}

steps!(Seen => SeenDebug, SeenDebug => SeenResult, SeenResult => SeenValue);
