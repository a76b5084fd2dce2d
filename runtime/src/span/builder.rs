//! Spans of blocks of code: the attributes as functions.

use std::borrow::Cow;
use std::fmt::Display;
use std::future::Future;

use futures_core::Stream;
use opentelemetry::Value;
use opentelemetry::trace::SpanKind;

use crate::context::current;
use crate::context::origin::Origin;
use crate::guard::panics::caught;
use crate::guard::reentrance::{Busy, is_busy};
use crate::span::callsite::Callsite;
use crate::span::handle::{Opening, Parent, Rest, Scope, Span, is_off, without_span};
use crate::span::instrumented::{Traced, TracedStream};
use crate::span::outcome::Outcome;
use crate::tags::set::{Quiet, Tag, Tags};
use crate::tags::value::TagValue;

/// Runs `f` in a span. What [`#[traced]`](macro@crate::traced) is for a function, this is for a
/// block.
///
/// A panic is recorded and unwinds on. An `Err` is not seen, because a generic function does not
/// know what `R` is: use [`try_in_span`] for a `Result`.
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

/// Runs `f` in a span that records its error.
///
/// # Errors
///
/// What `f` returns.
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

/// Runs a future in a span, which starts at the first poll and ends with the future. Dropping the
/// future half-way marks the span `throughline.cancelled`.
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

/// Runs a future in a span that records its error; otherwise like [`in_span_async`].
#[track_caller]
pub fn try_in_span_async<F, T, E>(name: impl Into<Cow<'static, str>>, future: F) -> impl Future<Output = Result<T, E>>
where
    F: Future<Output = Result<T, E>>,
    E: Display,
{
    span(name).try_run_async(future)
}

/// A span for a block of code, with more to say about it than its name.
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
pub fn span(name: impl Into<Cow<'static, str>>) -> Block {
    Block { callsite: Callsite::block(""), rest: Rest::named(name.into()), own: Vec::new(), scoped: Vec::new() }
}

/// A span that is about to start, made by [`span`]. It costs nothing until one of its `run` or
/// `spawn` methods is called.
#[must_use = "a span starts when it is run"]
pub struct Block {
    callsite: Callsite,
    rest: Rest,
    own: Vec<(&'static str, Option<Value>)>,
    scoped: Vec<(&'static str, Option<Value>)>,
}

impl Block {
    /// Sets the span kind; `Internal` if not set.
    pub fn kind(mut self, kind: SpanKind) -> Self {
        self.rest.kind = Some(kind);
        self
    }

    /// Adds an attribute of this span alone.
    pub fn tag(mut self, key: &'static str, value: impl TagValue) -> Self {
        said(|| set(&mut self.own, key, caught(|| value.tag_value()).flatten()));
        self
    }

    /// Adds an attribute of this span and of all below it.
    pub fn biz_tag(mut self, key: &'static str, value: impl TagValue) -> Self {
        said(|| set(&mut self.scoped, key, caught(|| value.tag_value()).flatten()));
        self
    }

    /// Being dropped half-way is a normal end: the span is not marked `throughline.cancelled`. For branches of a
    /// `select!` that are meant to lose, and jobs that are meant to be aborted.
    pub fn cancel_off(mut self) -> Self {
        self.callsite = self.callsite.cancel_off();
        self
    }

    /// Continues from `origin` instead of the current span, which is linked. An origin without an
    /// identity makes this the entry span of a new trace.
    pub fn parent(mut self, origin: &(impl Origin + ?Sized)) -> Self {
        if !is_busy() {
            self.rest.continue_from(origin);
        }
        self
    }

    /// Starts a new trace; the current span is linked.
    pub fn root(mut self) -> Self {
        self.rest.parent = Parent::Root;
        self
    }

    /// Adds a link to `origin`, if that has an identity.
    pub fn link(mut self, origin: &(impl Origin + ?Sized)) -> Self {
        if !is_busy() {
            self.rest.link(origin);
        }
        self
    }

    /// Adds a link to each of `origins`, such as the messages of a batch.
    pub fn links<I: IntoIterator<Item: Origin>>(mut self, origins: I) -> Self {
        if !is_busy() {
            self.rest.links(origins);
        }
        self
    }

    /// Writes an ERROR event of `tracing` for an error, sampled or not: what `err = log` is for a
    /// function. Heard by the methods that see errors: `try_run` and `try_run_async`. Detached jobs
    /// always log their failures.
    pub fn log_errors(mut self) -> Self {
        self.rest.log = true;
        self
    }

    /// Runs `f` in the span.
    pub fn run<R>(self, f: impl FnOnce() -> R) -> R {
        self.start(false).run(f, |_| Outcome::default())
    }

    /// Runs `f` in the span, and records its error.
    ///
    /// # Errors
    ///
    /// What `f` returns.
    pub fn try_run<T, E: Display>(self, f: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.start(false).run(f, Outcome::of_told_result)
    }

    /// Runs the future in the span, which starts at the first poll.
    pub async fn run_async<F: Future>(self, future: F) -> F::Output {
        let traced: Traced<_, _> = self.start(false).future(future, |_: &F::Output| Outcome::default());
        traced.await
    }

    /// Runs the future in the span, which starts at the first poll, and records its error.
    ///
    /// # Errors
    ///
    /// What the future returns.
    pub async fn try_run_async<F, T, E>(self, future: F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: Display,
    {
        let traced: Traced<_, _> = self.start(false).future(future, Outcome::of_told_result);
        traced.await
    }

    /// Runs the stream in the span, which starts now and ends when the stream ends or is dropped.
    pub fn stream<S: Stream>(self, stream: S) -> TracedStream<S, fn(&S::Item) -> Outcome> {
        self.start(false).stream_of(|| stream, |_| Outcome::default())
    }

    /// The name of the span.
    #[cfg(feature = "tokio")]
    pub(crate) fn name(&self) -> &str {
        self.rest.name.as_deref().unwrap_or_default()
    }

    /// Starts the span; a detached one is cut loose from its caller.
    pub(crate) fn start(self, detached: bool) -> Span {
        let busy = Busy::begin();
        if busy.is_nested() {
            return without_span(detached);
        }
        let is_plain = !detached && !self.rest.log && matches!(self.rest.parent, Parent::Current);
        if is_plain && current::with(|current| is_off(current) && Quiet::below(current).is_none()) {
            return Span(Scope::Off);
        }
        let mut opening = Opening::with_rest(&self.callsite, self.rest);
        let (own, scoped) = (self.own, self.scoped);
        if detached {
            opening = opening.detach();
        }
        opening.start(|tags: &mut Tags| {
            for (key, value) in own {
                tags.add(key, || Tag::new(value));
            }
            for (key, value) in scoped {
                tags.scope(key, || Tag::new(value));
            }
        })
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block").field("name", &self.rest.name).field("kind", &self.rest.kind).finish_non_exhaustive()
    }
}

/// Notes a tag, unless telemetry is at work on this thread: then there will be no span.
fn said(note: impl FnOnce()) {
    let busy = Busy::begin();
    if !busy.is_nested() {
        note();
    }
}

/// The last value counts.
fn set(tags: &mut Vec<(&'static str, Option<Value>)>, key: &'static str, value: Option<Value>) {
    tags.retain(|(known, _)| *known != key);
    tags.push((key, value));
}
