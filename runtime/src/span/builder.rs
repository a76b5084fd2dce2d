//! Spans before they start: name, kind, attributes, parent and links.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::future::Future;
use std::panic::Location;

use futures_core::Stream;
use opentelemetry::trace::SpanKind;
#[cfg(feature = "tokio")]
use opentelemetry::trace::TraceContextExt as _;
#[cfg(feature = "integration")]
use opentelemetry::trace::TraceId;

#[cfg(feature = "tokio")]
use crate::context::current;
use crate::context::origin::{Origin, Origins};
use crate::context::snapshot::Snapshot;
use crate::guard::reentrance::{Busy, is_busy};
use crate::span::callsite::Callsite;
use crate::span::failure::FailureSource;
use crate::span::handle::Span;
use crate::span::instrumented::{Instrumented, NoObserver};
use crate::span::outcome::Outcome;
use crate::span::settings::{More, Parent, begin_here, begin_with, converted, replace};
use crate::span::start::{Start, without_span};
use crate::tags::set::{Tags, once};
use crate::tags::value::TagValue;

/// Runs `f` in a span: the counterpart of [`#[traced]`](macro@crate::traced) for a block of code.
///
/// A panic is recorded and then resumed. Because `R` is generic, an `Err` is not recorded; for a `Result`, use
/// [`try_in_span`].
///
/// ```
/// let total = throughline::in_span("add_up", || 40 + 2);
/// assert_eq!(total, 42);
/// ```
#[track_caller]
#[inline]
pub fn in_span<R>(name: impl Into<Cow<'static, str>>, f: impl FnOnce() -> R) -> R {
    span(name).run(f)
}

/// Runs `f` in a span and records its error.
///
/// # Errors
///
/// Returns the error of `f`.
///
/// ```
/// let parsed = throughline::try_in_span("parse", || "42".parse::<u32>());
/// assert_eq!(parsed, Ok(42));
/// ```
#[track_caller]
#[inline]
pub fn try_in_span<T, E: Display>(
    name: impl Into<Cow<'static, str>>,
    f: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    span(name).try_run(f)
}

/// Runs a future in a span, which starts when the future is first polled and ends when it completes.
///
/// If the future is dropped before it completes, the span is marked `throughline.cancelled`. Because the output is
/// generic, an `Err` is not recorded; for a `Result`, use [`try_in_span_async`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let total = throughline::in_span_async("add_up", async { 40 + 2 }).await;
/// assert_eq!(total, 42);
/// # }
/// ```
#[track_caller]
pub fn in_span_async<F: Future>(name: impl Into<Cow<'static, str>>, future: F) -> impl Future<Output = F::Output> {
    span(name).run_async(future)
}

/// Runs a future in a span and records its error; otherwise like [`in_span_async`].
///
/// # Errors
///
/// Returns the error of the future.
#[track_caller]
pub fn try_in_span_async<F, T, E>(name: impl Into<Cow<'static, str>>, future: F) -> impl Future<Output = Result<T, E>>
where
    F: Future<Output = Result<T, E>>,
    E: Display,
{
    span(name).try_run_async(future)
}

/// Creates a builder for the span of a block of code.
///
/// ```
/// use throughline::SpanKind;
///
/// let rows = throughline::span("SELECT orders")
///     .kind(SpanKind::Client)
///     .tag("db.system.name", "mariadb")
///     .run(|| 3);
/// assert_eq!(rows, 3);
/// ```
#[track_caller]
#[inline]
pub fn span(name: impl Into<Cow<'static, str>>) -> SpanBuilder {
    SpanBuilder::new(name).placed(Location::caller())
}

/// Configures a span before it starts: name, kind, attributes, parent and links.
///
/// [`span`] creates one for a block of code, and `#[traced]` for a function. Integrations use [`SpanBuilder::new`],
/// which does not record a source location, because there is no application code to refer to.
///
/// The span starts with one of the `run`, `start`, `stream` and `spawn` methods. [`start`](Self::start) and
/// [`start_with`](Self::start_with) return the [`Span`] itself, for work that is neither a closure nor a future.
///
/// A span that is started by code that telemetry itself calls on this thread, such as the `Display` implementation of
/// a tag, is not recorded: recording it would call the same code again.
#[must_use = "a span builder does nothing unless the span is started"]
pub struct SpanBuilder {
    callsite: &'static Callsite,
    pub(crate) name: Option<Cow<'static, str>>,
    place: Option<&'static Location<'static>>,
    kind: Option<SpanKind>,
    /// Everything else is boxed, because most spans are plain children of the current span.
    more: Option<Box<More>>,
    /// Whether this is the span of a detached job.
    detached: bool,
    /// Whether errors are logged.
    log: bool,
    cancel_off: bool,
}

/// The callsite of spans that were not created for a function.
static NOWHERE: Callsite = Callsite::nowhere();

impl SpanBuilder {
    /// Creates a builder for a span without a source location. The name should have low cardinality.
    #[inline]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: Some(name.into()), ..Self::at(&NOWHERE) }
    }

    /// A span for the function at `callsite`.
    #[inline]
    pub(crate) const fn at(callsite: &'static Callsite) -> Self {
        Self {
            callsite,
            name: None,
            place: None,
            kind: None,
            more: None,
            detached: false,
            log: false,
            cancel_off: false,
        }
    }

    /// Sets the source location.
    #[inline]
    pub(crate) fn placed(mut self, place: &'static Location<'static>) -> Self {
        self.place = Some(place);
        self
    }

    /// Changes the optional settings, unless telemetry is active on this thread, because then no span will be started.
    fn set(mut self, set: impl FnOnce(&mut More)) -> Self {
        if !is_busy() {
            set(self.more.get_or_insert_default());
        }
        self
    }

    /// Sets the span kind. The default is `Internal`.
    pub fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Adds an attribute to this span only. The last value for a key applies.
    pub fn tag(self, key: &'static str, value: impl TagValue) -> Self {
        let value = converted(value);
        self.set(|more| replace(&mut more.own, key, value))
    }

    /// Adds an attribute to this span and to all spans below it. The last value for a key applies.
    pub fn biz_tag(self, key: &'static str, value: impl TagValue) -> Self {
        let value = converted(value);
        self.set(|more| replace(&mut more.scoped, key, value))
    }

    /// Does not mark the span `throughline.cancelled` if it is dropped before the work completes. For the losing
    /// branches of `select!`, and for jobs that are routinely aborted.
    pub fn cancel_off(mut self) -> Self {
        self.cancel_off = true;
        self
    }

    /// Uses `origin` as the parent instead of the current span, which is linked. If `origin` has no span context,
    /// this span becomes the root of a new trace.
    pub fn parent<M>(self, origin: &(impl Origin<M> + ?Sized)) -> Self {
        self.set(|more| more.continue_from(origin))
    }

    /// Starts a new trace, with a link to the current span.
    pub fn root(self) -> Self {
        self.set(|more| more.parent = Parent::Root)
    }

    /// Adds a link to `origin`, if it has a span context.
    pub fn link<M>(self, origin: &(impl Origin<M> + ?Sized)) -> Self {
        self.set(|more| more.link(origin))
    }

    /// Adds a link to each of `origins`, such as the messages of a batch.
    pub fn links<M>(self, origins: impl Origins<M>) -> Self {
        self.set(|more| more.links(origins))
    }

    /// Emits a `tracing` event at level ERROR if the work fails, even if the trace is not sampled: the counterpart of
    /// `err = log`.
    ///
    /// This applies to the methods that see the error, `try_run` and `try_run_async`. Failures of detached jobs are
    /// always logged.
    pub fn log_errors(mut self) -> Self {
        self.log = true;
        self
    }

    /// Requests `id` as the trace ID, if this span starts a new trace.
    ///
    /// OpenTelemetry's API cannot express this, so it requires the ID generator that `throughline::init` installs,
    /// [`RequestIdGenerator`](https://docs.rs/throughline/latest/throughline/telemetry/struct.RequestIdGenerator.html).
    /// Other ID generators ignore the request.
    #[cfg(feature = "integration")]
    pub fn trace_id(self, id: TraceId) -> Self {
        self.set(|more| more.trace_id = Some(id))
    }

    /// Detaches the span from its parent's lifetime: it stays in the same trace and may outlive its parent, which is
    /// not kept open.
    ///
    /// The `spawn` methods do this implicitly.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self.set(|more| {
            let (parent, _) = more.parent();
            more.parent = Parent::Detached(Snapshot::from_context(&parent).to_context());
        })
    }

    /// Detached, in a new trace that is linked to the current span.
    #[cfg(feature = "tokio")]
    #[doc(hidden)]
    pub fn detached_link(self) -> Self {
        self.set(|more| more.link(current::get().span().span_context())).detached_root()
    }

    /// Detached, in a new trace.
    #[cfg(feature = "tokio")]
    #[doc(hidden)]
    pub fn detached_root(mut self) -> Self {
        self.detached = true;
        self.set(|more| {
            #[cfg(feature = "integration")]
            more.described.push(opentelemetry::KeyValue::new(crate::semconv::THROUGHLINE_JOB_ROOT, true));
            more.parent = Parent::Detached(Snapshot::capture().without_span().to_context());
        })
    }

    /// Configures the span in a separate step.
    #[doc(hidden)]
    pub fn with(self, more: impl FnOnce(Self) -> Self) -> Self {
        if is_busy() { self } else { more(self) }
    }

    /// Adds the tags of `fill` that are propagated to other processes. They are evaluated even if the trace is not
    /// sampled, because baggage is independent of sampling.
    ///
    /// Intended for integrations, whose tags have modifiers ([`Tag`](crate::Tag)). In application code, use
    /// [`biz_tag`](Self::biz_tag).
    pub fn propagate(mut self, fill: impl FnOnce(&mut Tags)) -> Self {
        let busy = Busy::begin();
        if !busy.is_nested() {
            fill(&mut self.more.get_or_insert_default().propagated);
        }
        self
    }

    /// Starts the span.
    pub fn start(self) -> Span {
        self.start_with(|_| {})
    }

    /// Starts the span, with attributes set by `fill` before sampling.
    ///
    /// `fill` is not called if the span will not be recorded and no tag is needed for anything else.
    ///
    /// ```
    /// use throughline::{Outcome, SpanBuilder, SpanKind};
    ///
    /// let size = std::net::Ipv4Addr::LOCALHOST;
    /// let mut span = SpanBuilder::new("resolve").kind(SpanKind::Client).start_with(|tags| {
    ///     tags.attribute("dns.question.name", "orders.internal");
    ///     tags.attribute("network.peer.address", size.to_string());
    /// });
    /// let found = span.in_scope(|| 1);
    /// span.end(|| Outcome::ok().attribute("dns.answers.count", found));
    /// ```
    #[inline]
    pub fn start_with(self, fill: impl FnOnce(&mut Tags)) -> Span {
        self.open(&mut once(fill))
    }

    /// Starts the span. Not generic, so that it is compiled once.
    #[inline(never)]
    pub(crate) fn open(self, fill: &mut dyn FnMut(&mut Tags)) -> Span {
        let busy = Busy::begin();
        if busy.is_nested() {
            return without_span(self.detached);
        }
        self.open_here(fill)
    }

    /// [`open`](Self::open), where telemetry is marked as active.
    pub(super) fn open_here(self, fill: &mut dyn FnMut(&mut Tags)) -> Span {
        match self.failure_source() {
            None => self.begin(fill),
            Some(failure_source) => self.begin(fill).reporting(failure_source),
        }
    }

    /// Whether a failure is logged in addition to being recorded on the span.
    #[inline]
    fn failure_source(&self) -> Option<FailureSource> {
        (self.detached || self.log || self.callsite.log).then(|| {
            let name = self.name.clone().unwrap_or(Cow::Borrowed(self.callsite.name));
            FailureSource { name, is_job: self.detached }
        })
    }

    fn begin(mut self, fill: &mut dyn FnMut(&mut Tags)) -> Span {
        let more = self.more.take();
        let mut start = Start::of(self.callsite);
        start.name = self.name.unwrap_or(start.name);
        start.kind = self.kind.unwrap_or(start.kind);
        start.cancel &= !self.cancel_off;
        #[cfg(feature = "otlp")]
        {
            start.place = start.place.or(self.place);
        }
        match more {
            None => begin_here(self.callsite, self.place, || start, fill),
            Some(more) => begin_with(start, *more, self.callsite, self.place, fill),
        }
    }

    /// Starts the span and runs `f` in it. A panic is recorded and then resumed. An `Err` is not recorded; for a
    /// `Result`, use [`try_run`](Self::try_run).
    pub fn run<R>(self, f: impl FnOnce() -> R) -> R {
        self.start().run(f, |_| Outcome::ok())
    }

    /// Starts the span, runs `f` in it, and records its error.
    ///
    /// # Errors
    ///
    /// Returns the error of `f`.
    pub fn try_run<T, E: Display>(self, f: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.start().run(f, Outcome::from_logged_result)
    }

    /// Runs a future in the span, which starts when the future is first polled. If the future is dropped before it
    /// completes, the span is marked `throughline.cancelled`.
    pub async fn run_async<F: Future>(self, future: F) -> F::Output {
        let instrumented = self.start().run_async(future, |_: &F::Output| Outcome::ok());
        instrumented.await
    }

    /// Runs a future in the span, which starts when the future is first polled, and records its error.
    ///
    /// # Errors
    ///
    /// Returns the error of the future.
    pub async fn try_run_async<F, T, E>(self, future: F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: Display,
    {
        let instrumented = self.start().run_async(future, Outcome::from_logged_result);
        instrumented.await
    }

    /// Starts the span and runs a stream in it. The span ends when the stream ends. If the stream is dropped before,
    /// the span is marked `throughline.cancelled`.
    pub fn stream<S: Stream>(self, stream: S) -> Instrumented<S> {
        self.start().instrument(stream, NoObserver)
    }
}

impl fmt::Debug for SpanBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or(self.callsite.name);
        let kind = self.kind.as_ref().unwrap_or(&self.callsite.kind);
        f.debug_struct("SpanBuilder").field("name", &name).field("kind", kind).finish_non_exhaustive()
    }
}
