//! The handle for a started span.

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, Key};

#[cfg(feature = "sdk")]
use crate::clock;
use crate::context::current::{self, Attached};
use crate::guard::reentrance::Busy;
use crate::span::failure::FailureSource;
use crate::span::outcome::{self, ExplicitAttributes, Outcome};
use crate::span::record;
#[cfg(feature = "otlp")]
use crate::span::registry;
#[cfg(feature = "tracing")]
use crate::span::unstarted::Recording;
use crate::tags::value::TagValue;

/// A started span.
///
/// [`run`](Self::run), [`run_async`](Self::run_async) and [`stream`](Self::stream) run code in the span and then end
/// it. For work in several steps, such as the calls of a protocol, keep the handle: [`in_scope`](Self::in_scope) runs
/// one step, [`instrument`](Self::instrument) wraps a future, a stream or a body with an
/// [`Observer`](crate::Observer) that decides what is recorded, and [`end`](Self::end) ends the span.
///
/// **A span that is dropped before it has ended is cancelled:** it gets the attribute `throughline.cancelled`, unless
/// [`cancel_off`](crate::SpanBuilder::cancel_off) was set.
///
/// A `Span` can also represent the absence of a span, for example if the trace is not sampled. Closures that compute
/// attributes and outcomes are not called then, but the context still provides what is inherited, such as the span
/// context to propagate.
///
/// ```
/// use throughline::{Outcome, SpanBuilder, SpanKind};
///
/// # fn handshake() -> std::io::Result<u16> { Ok(7) }
/// # fn read() -> std::io::Result<u64> { Ok(1) }
/// fn exchange() -> std::io::Result<u64> {
///     let mut span = SpanBuilder::new("exchange").kind(SpanKind::Client).start();
///     let version = span.in_scope(handshake)?; // an error here: dropped, and cancelled
///     span.record("exchange.version", version);
///     let read = span.in_scope(read);
///     span.end(|| Outcome::from_result(&read));
///     read
/// }
/// # assert_eq!(exchange().unwrap(), 1);
/// ```
#[derive(Debug)]
#[must_use = "dropping a span marks it as cancelled"]
pub struct Span(pub(crate) Scope);

impl Span {
    /// Creates a handle without a span: nothing is recorded, and the current context is unchanged.
    pub const fn none() -> Self {
        Self(Scope::Off)
    }

    /// Creates a handle without a span that makes `context` current in the code that it runs.
    pub fn within(context: Context) -> Self {
        Self(Scope::Within(context))
    }

    /// Returns `true` if the handle has no effect: it has neither a span nor a context of its own.
    #[inline]
    pub fn is_none(&self) -> bool {
        matches!(self.0, Scope::Off)
    }

    /// Returns `true` if there is a span that is recorded and has not ended, so that it is worth computing attributes.
    pub fn is_recording(&self) -> bool {
        self.0.open().is_some_and(|open| !open.done)
    }

    /// Returns the context that is current in the span, which is the one to propagate to other processes. Without a
    /// span, returns the current context.
    pub fn context(&self) -> Context {
        self.0.context().cloned().unwrap_or_else(current::get)
    }

    /// Makes the context of the span current until the guard is dropped.
    ///
    /// Do not hold the guard across an `.await`, because the task may resume on another thread; use
    /// [`instrument`](Self::instrument) instead.
    pub fn attach(&self) -> Attached {
        self.0.attach().unwrap_or_else(Attached::nothing)
    }

    /// Sets an attribute. It replaces an earlier one of the same key, except with a provider of the OpenTelemetry SDK,
    /// which keeps both.
    pub fn record(&self, key: impl Into<Key>, value: impl TagValue) {
        if let Some(open) = self.0.open() {
            record::set(&open.context, key.into(), &value);
        }
    }

    /// Records the failure of a step: the status is set to Error, and the span stays open. An outcome that is not a
    /// failure has no effect.
    pub fn fail(&self, outcome: impl FnOnce() -> Outcome) {
        self.0.note(outcome);
    }

    /// Ends the span and releases its context. `outcome` is not called if nothing is recorded, or if the span has
    /// already ended.
    pub fn end(&mut self, outcome: impl FnOnce() -> Outcome) {
        let _busy = Busy::begin();
        self.0.finish(outcome);
        self.0 = Scope::Off;
    }

    /// Takes the span out of the handle and leaves [`none`](Self::none), for example to move it from a future into the
    /// response body that the future returns.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Enables reporting of failures, whether or not there is a span.
    #[cold]
    pub(crate) fn reporting(self, failure_source: FailureSource) -> Self {
        let scope = match self.0 {
            Scope::Off => Scope::Within(current::get()),
            Scope::Reported(reported) => reported.scope,
            scope => scope,
        };
        Self(Scope::Reported(Box::new(Reported { scope, failure_source: Some(failure_source) })))
    }
}

/// No panic leaves a span in a state that could be observed.
impl std::panic::UnwindSafe for Span {}
impl std::panic::RefUnwindSafe for Span {}

impl Default for Span {
    fn default() -> Self {
        Self::none()
    }
}

/// What is current while the code of a span runs.
#[derive(Debug)]
pub(crate) enum Scope {
    /// The context is unchanged, and nothing is recorded.
    Off,
    /// A context without a span to end.
    Within(Context),
    /// A context or a span whose failure is reported. Boxed to keep the stack frames of recursive functions small: most
    /// failures are not reported.
    Reported(Box<Reported>),
    /// The context of a span that has to be ended.
    Open(Open),
}

impl Scope {
    pub(crate) fn context(&self) -> Option<&Context> {
        match self {
            Self::Off => None,
            Self::Within(context) => Some(context),
            Self::Reported(reported) => reported.scope.context(),
            Self::Open(open) => Some(&open.context),
        }
    }

    /// Returns the span, if there is one to end.
    #[inline]
    pub(crate) fn open(&self) -> Option<&Open> {
        match self {
            Self::Open(open) => Some(open),
            Self::Reported(reported) => reported.scope.open(),
            Self::Off | Self::Within(_) => None,
        }
    }

    /// The source under which a failure is reported, if it is.
    pub(crate) fn failure_source(&self) -> Option<&FailureSource> {
        let Self::Reported(reported) = self else { return None };
        reported.failure_source.as_ref()
    }

    pub(crate) fn attach(&self) -> Option<Attached> {
        self.context().cloned().map(current::attach)
    }

    /// Makes the context current until the span ends. If the registry of open spans has a clone, the context is moved
    /// instead of cloned.
    ///
    /// Not inlined, to keep the stack frames of recursive functions small.
    #[inline(never)]
    pub(super) fn attach_until_end(&mut self) -> Attached {
        #[cfg(feature = "otlp")]
        if let Self::Open(Open { context, ticket: Some(_), .. }) = self {
            return current::attach(std::mem::take(context));
        }
        self.attach().unwrap_or_else(Attached::nothing)
    }

    /// Records the failure of a step; the span stays open.
    pub(crate) fn note(&self, outcome: impl FnOnce() -> Outcome) {
        let (open, failure_source) = (self.open(), self.failure_source());
        let Some(context) = self.context().filter(|_| open.is_some() || failure_source.is_some()) else { return };
        let _busy = Busy::begin();
        let outcome = outcome();
        let failed = failure_source.and_then(|source| outcome.report(source.clone()));
        if let Some(open) = open {
            outcome.note(context, open.explicit);
        }
        if let Some(failed) = failed {
            failed.emit(context);
        }
    }

    /// Ends the span, if there is one that has not ended, and reports its failure if that is enabled. `outcome` is
    /// not called otherwise. For callers that have marked telemetry as active.
    pub(crate) fn finish(&mut self, outcome: impl FnOnce() -> Outcome) {
        match self {
            Self::Open(open) => {
                if let Some(outcome) = open.ended(outcome) {
                    open.end(outcome);
                }
            }
            Self::Reported(reported) => reported.finish(outcome),
            Self::Off | Self::Within(_) => {}
        }
    }
}

/// A context or a span whose failure is reported.
#[derive(Debug)]
pub(crate) struct Reported {
    pub(crate) scope: Scope,
    /// `None` once the failure was reported.
    pub(crate) failure_source: Option<FailureSource>,
}

impl Reported {
    #[cold]
    fn finish(&mut self, outcome: impl FnOnce() -> Outcome) {
        let Some(source) = self.failure_source.take() else { return self.scope.finish(outcome) };
        if let Scope::Open(open) = &mut self.scope {
            if let Some(outcome) = open.ended(outcome) {
                let failed = outcome.report(source);
                open.end(outcome);
                // After the span has ended, so that the log event is not added to it: it would repeat the outcome.
                if let Some(failed) = failed {
                    failed.emit(&open.context);
                }
            }
        } else if let (Some(failed), Some(context)) = (outcome().report(source), self.scope.context()) {
            failed.emit(context);
        }
    }
}

/// A span that has to be ended. If it is dropped before that, the work was cancelled.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) context: Context,
    pub(super) done: bool,
    /// Whether cancellation is recorded.
    pub(super) cancel: bool,
    /// Whether our own tracer has created the span.
    #[cfg(feature = "sdk")]
    pub(super) is_own: bool,
    /// Which attributes were set explicitly.
    pub(crate) explicit: ExplicitAttributes,
    /// Its slot in the registry of open spans.
    #[cfg(feature = "otlp")]
    pub(super) ticket: Option<registry::Ticket>,
}

impl Open {
    /// Returns the context of the span, and transfers the duty to end it to a [`Recording`].
    #[cfg(feature = "tracing")]
    pub(super) fn hand_over(mut self) -> (Context, Recording) {
        self.done = true;
        let recording = Recording {
            #[cfg(feature = "sdk")]
            is_own: self.is_own,
            #[cfg(feature = "otlp")]
            ticket: self.ticket.take(),
        };
        (std::mem::take(&mut self.context), recording)
    }

    /// Marks the span as ended, and returns the outcome to end it with, unless it has already ended.
    #[inline]
    fn ended(&mut self, outcome: impl FnOnce() -> Outcome) -> Option<Outcome> {
        let outcome = (!self.done).then(outcome)?;
        self.done();
        Some(outcome)
    }

    /// Ends the span with this outcome, after it was marked as ended.
    #[inline]
    fn end(&self, outcome: Outcome) {
        outcome.record(&self.context, self.explicit);
        #[cfg(feature = "sdk")]
        if self.is_own {
            return self.context.span().end_with_timestamp(*clock::NOW);
        }
        self.context.span().end();
    }

    /// Marks the span as ended.
    fn done(&mut self) {
        self.done = true;
        #[cfg(feature = "otlp")]
        if let Some(ticket) = self.ticket.take() {
            // Restores the context, which may have been moved to the guard that makes it current.
            ticket.give_back(&mut self.context);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.done {
            let _busy = Busy::begin();
            self.done();
            if self.cancel && !self.explicit.has(ExplicitAttributes::CANCELLED) {
                outcome::cancel(&self.context);
            }
            self.end(Outcome::default());
        }
    }
}
