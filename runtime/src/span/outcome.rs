//! The outcome of a call, and how it is recorded on the span.

use std::any::{Any, type_name};
use std::borrow::Cow;
use std::fmt::{self, Display};

use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue, Value};

#[cfg(feature = "integration")]
use crate::context::last_error::LastError;
#[cfg(feature = "sdk")]
use crate::encoding::{fields::Fields, keys::KeySet};
use crate::guard::panics::caught;
use crate::redact::error_text;
use crate::semconv::{self, ERROR_TYPE};
use crate::span::failure::{self, FailureReport, FailureSource};
#[cfg(feature = "sdk")]
use crate::tags::scoped::EncodedTags;
use crate::tags::value::within_bounds;

/// Whether a span keeps its status when another one is set: `Ok` is final, and an error without a description does not
/// replace one with a description.
#[cfg(any(feature = "sdk", feature = "tracing"))]
pub(crate) fn keeps(status: &Status, set: &Status) -> bool {
    match (status, set) {
        (Status::Ok, _) | (_, Status::Unset) => true,
        (Status::Error { description }, Status::Error { description: set }) => {
            !description.is_empty() && set.is_empty()
        }
        _ => false,
    }
}

/// How the work of a span ended: successfully or with a failure, plus attributes that became known along the way.
///
/// A failure sets the span status to Error and the attribute `error.type`, following the semantic conventions for
/// [recording errors]. Texts are truncated to [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES) and subject to
/// [`set_error_text`](crate::set_error_text).
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
pub struct Outcome(pub(super) Option<Box<Recorded>>);

/// What is recorded of an outcome. Boxed, because most calls succeed, and there is nothing to record then.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) failure: Option<Failure>,
    pub(super) returned: Option<Value>,
    /// Attributes that became known by the end of the call.
    pub(super) attributes: Vec<KeyValue>,
}

/// Which outcome attributes were set explicitly as tags. The explicit values take precedence, and the others are not
/// set, because the SDK would keep both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ExplicitAttributes(u8);

impl ExplicitAttributes {
    pub(crate) const CANCELLED: Self = Self(1);
    pub(crate) const QUEUE_TIME: Self = Self(1 << 1);
    const ERROR_TYPE: Self = Self(1 << 2);
    const RETURN: Self = Self(1 << 3);

    const ALL: [(&str, Self); 4] = [
        (CANCELLED, Self::CANCELLED),
        (QUEUE_TIME, Self::QUEUE_TIME),
        (ERROR_TYPE, Self::ERROR_TYPE),
        (RETURN, Self::RETURN),
    ];

    /// Checks the attributes that the span starts with.
    pub(crate) fn among(attributes: &[KeyValue]) -> Self {
        Self::collect(|key| attributes.iter().any(|attribute| attribute.key.as_str() == key))
    }

    fn collect(set: impl Fn(&str) -> bool) -> Self {
        Self(Self::ALL.iter().fold(0, |explicit, (key, this)| if set(key) { explicit | this.0 } else { explicit }))
    }

    /// The same for attributes that are already encoded.
    #[cfg(feature = "sdk")]
    #[inline]
    pub(crate) fn given(fields: &Fields, scope: Option<&EncodedTags>) -> Self {
        const KEYS: KeySet =
            KeySet::of(CANCELLED).and(KeySet::of(QUEUE_TIME)).and(KeySet::of(ERROR_TYPE)).and(KeySet::of(RETURN));
        if !fields.keys().overlaps(KEYS) && !scope.is_some_and(|scope| scope.keys().overlaps(KEYS)) {
            return Self::default();
        }
        Self::collect(|key| fields.has(key) || scope.is_some_and(|scope| scope.has(key)))
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
pub(super) struct Failure {
    pub(super) error_type: Cow<'static, str>,
    pub(super) message: Option<String>,
    /// Whether there was an error value or a panic, rather than just a response that indicates failure.
    pub(super) exception: bool,
    /// The message including the sources of the error, for the log.
    pub(super) chain: Option<String>,
}

impl Outcome {
    /// Not generic, so that it is compiled once.
    #[cold]
    #[inline(never)]
    pub(super) fn described(error_type: &'static str, error: fmt::Arguments<'_>) -> Self {
        Self::thrown(error_type.into(), error_text::of(error))
    }

    pub(super) fn thrown(error_type: Cow<'static, str>, message: Option<String>) -> Self {
        Self::of_failure(Failure { error_type, message, exception: true, chain: None })
    }

    pub(super) fn of_failure(failure: Failure) -> Self {
        Self(Some(Box::new(Recorded { failure: Some(failure), ..Recorded::default() })))
    }

    /// Creates the outcome of work that succeeded.
    pub fn ok() -> Self {
        Self(None)
    }

    /// Creates the outcome of a `Result`. The description of an `Err` is its `Display` output, and its type is the
    /// `error.type`.
    pub fn from_result<T, E: Display>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::default(),
            Err(error) => Self::described(type_name::<E>(), format_args!("{error}")),
        }
    }

    /// Like `from_result`, for a function whose errors are logged.
    pub(crate) fn from_logged_result<T, E: Display>(result: &Result<T, E>) -> Self {
        Self::from_result(result).with_error_chain(result.as_ref().err().and_then(failure::alternate))
    }

    /// Sets the error text for the log, which includes the sources.
    #[doc(hidden)]
    pub fn with_error_chain(mut self, chain: Option<String>) -> Self {
        if let Some(failure) = self.0.as_mut().and_then(|recorded| recorded.failure.as_mut()) {
            failure.chain = chain;
        }
        self
    }

    /// The report of the failure, if there is one to report. A panic is reported only for jobs; in functions it is
    /// left to the panic hook and to whatever catches it.
    pub(crate) fn report(&self, failure_source: FailureSource) -> Option<FailureReport> {
        let failure = self.0.as_ref()?.failure.as_ref();
        let failure = failure.filter(|failure| failure_source.is_job || failure.error_type != "panic")?;
        let error = failure.chain.as_ref().or(failure.message.as_ref()).cloned();
        Some(FailureReport { failure_source, error_type: failure.error_type.clone(), error })
    }

    /// Records the return value as the attribute `throughline.return`. The conversion is application code, whose panics
    /// are caught.
    #[doc(hidden)]
    pub fn returned(mut self, value: impl FnOnce() -> Option<Value>) -> Self {
        if let Some(value) = caught(value).flatten() {
            self.0.get_or_insert_default().returned = Some(within_bounds(value));
        }
        self
    }

    /// Creates the outcome for a panic that was caught and will be resumed.
    pub fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let message =
            payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = message.unwrap_or("the panic's payload is not text");
        Self::thrown("panic".into(), error_text::of(format_args!("{message}")))
    }

    /// Creates the outcome for a panic that was observed by a destructor during unwinding, without its payload.
    pub(crate) fn unwound() -> Self {
        Self::thrown("panic".into(), error_text::of(format_args!("panicked")))
    }

    /// Records the outcome on the span of `context`, which is about to end.
    #[inline]
    pub(crate) fn record(self, context: &Context, explicit: ExplicitAttributes) {
        if let Some(recorded) = self.0 {
            recorded.write(context, explicit);
        }
    }

    /// Records a failure on the span of `context`, which stays open.
    pub(crate) fn note(self, context: &Context, explicit: ExplicitAttributes) {
        if let Some(failure) = self.0.and_then(|recorded| recorded.failure) {
            failure.record(context, explicit);
        }
    }
}

impl Recorded {
    #[inline(never)]
    fn write(self, context: &Context, explicit: ExplicitAttributes) {
        let span = context.span();
        if !self.attributes.is_empty() {
            span.set_attributes(self.attributes);
        }
        if let Some(value) = self.returned.filter(|_| !explicit.has(ExplicitAttributes::RETURN)) {
            span.set_attribute(KeyValue::new(RETURN, value));
        }
        if let Some(failure) = self.failure {
            failure.record(context, explicit);
        }
    }
}

impl Failure {
    /// Makes the error available to the span of a response further up, which may have no description of its own.
    #[cfg(feature = "integration")]
    fn note_last_error(&self, context: &Context) {
        if let (true, Some(message)) = (self.exception, &self.message) {
            LastError::note(context, message);
        }
    }

    /// Sets the status and `error.type`, and adds an `exception` event, following the semantic conventions for errors
    /// and for exceptions on spans.
    fn record(self, context: &Context, explicit: ExplicitAttributes) {
        #[cfg(feature = "integration")]
        self.note_last_error(context);
        let span = context.span();
        if self.exception {
            span.add_event("exception", exception(self.error_type.clone(), self.message.as_deref()));
        }
        if !explicit.has(ExplicitAttributes::ERROR_TYPE) {
            span.set_attribute(KeyValue::new(ERROR_TYPE, self.error_type));
        }
        span.set_status(Status::error(self.message.unwrap_or_default()));
    }
}

/// The attributes of an `exception` event, following the semantic conventions for exceptions on spans.
pub(crate) fn exception(error_type: Cow<'static, str>, message: Option<&str>) -> Vec<KeyValue> {
    let mut event = Vec::with_capacity(3);
    event.push(KeyValue::new(semconv::EXCEPTION_TYPE, error_type.clone()));
    event.push(KeyValue::new(ERROR_TYPE, error_type));
    if let Some(message) = message {
        event.push(KeyValue::new(semconv::EXCEPTION_MESSAGE, message.to_owned()));
    }
    event
}

/// Marks the span of cancelled work, which is about to end.
pub(crate) fn cancel(context: &Context) {
    context.span().set_attribute(KeyValue::new(CANCELLED, true));
}
