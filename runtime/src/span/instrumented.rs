//! Asynchronous code in a span.

use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Instant;

use futures_core::Stream;
use opentelemetry::Context;
use pin_project_lite::pin_project;

use crate::context::current;
use crate::context::snapshot::Snapshot;
use crate::guard::reentrance::Busy;
use crate::span::handle::{Scope, Span};
use crate::span::outcome::Outcome;

pin_project! {
    /// A future that runs in a span. The span ends when the future does: with its value, with its
    /// panic, or when it is dropped before that.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Traced<F, O, H = ()> {
        #[pin]
        inner: Option<F>,
        state: State,
        outcome: Option<O>,
        // What is let go when everything else is over.
        held: H,
    }

    impl<F, O, H> PinnedDrop for Traced<F, O, H> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.state.is_off() {
                return;
            }
            // What the future still owns is dropped in its span, so that its destructors are
            // traced, and before the span ends.
            let _attached = this.state.scope.attach();
            this.inner.set(None);
        }
    }
}

/// What is current while a future or a stream is polled.
#[derive(Debug)]
struct State {
    scope: Scope,
    /// When a detached job was spawned, until it is polled for the first time.
    spawned: Option<Instant>,
}

/// Only the destructor takes the inner value out.
const GONE: &str = "a future is not polled during its own drop";

impl State {
    #[inline]
    fn new(span: Span) -> Self {
        Self { scope: span.0, spawned: None }
    }

    #[inline]
    fn is_off(&self) -> bool {
        matches!(self.scope, Scope::Off)
    }

    /// Ends the span, and lets go of its context: the future may live on.
    fn finish(&mut self, outcome: impl FnOnce() -> Outcome) {
        let _busy = Busy::begin();
        self.scope.finish(outcome);
        self.scope = Scope::Off;
    }

    /// Runs one poll with the context current. A panic ends the span.
    fn poll<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        if let Some(spawned) = self.spawned.take() {
            self.scope.queued_since(spawned);
        }
        let attached = self.scope.attach();
        // After a panic the span is over, and nothing here looks at the inner value again.
        let polled = catch_unwind(AssertUnwindSafe(poll));
        drop(attached);
        polled.unwrap_or_else(|payload| {
            self.finish(|| Outcome::panicked(&*payload));
            resume_unwind(payload)
        })
    }
}

impl<F, O, H> Future for Traced<F, O, H>
where
    F: Future,
    O: FnOnce(&F::Output) -> Outcome,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let inner = this.inner.as_pin_mut().expect(GONE);
        if this.state.is_off() {
            return inner.poll(cx);
        }
        let polled = this.state.poll(|| inner.poll(cx));
        if let Poll::Ready(value) = &polled {
            let outcome = this.outcome.take();
            this.state.finish(|| outcome.map_or_else(Outcome::default, |outcome| outcome(value)));
        }
        polled
    }
}

pin_project! {
    /// A stream that runs in a span. The span ends when the stream does, or when it is dropped.
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct TracedStream<S, O> {
        #[pin]
        inner: Option<S>,
        state: State,
        outcome: O,
    }

    impl<S, O> PinnedDrop for TracedStream<S, O> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _attached = this.state.scope.attach();
            this.inner.set(None);
        }
    }
}

impl<S, O> Stream for TracedStream<S, O>
where
    S: Stream,
    O: FnMut(&S::Item) -> Outcome,
{
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let inner = this.inner.as_pin_mut().expect(GONE);
        if this.state.is_off() {
            return inner.poll_next(cx);
        }
        let polled = this.state.poll(|| inner.poll_next(cx));
        match &polled {
            Poll::Ready(Some(item)) => this.state.scope.note(|| (this.outcome)(item)),
            Poll::Ready(None) => this.state.finish(Outcome::default),
            Poll::Pending => {}
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

impl Span {
    /// The future in the span.
    #[inline]
    pub fn future<F, O>(self, future: F, outcome: O) -> Traced<F, O>
    where
        F: Future,
        O: FnOnce(&F::Output) -> Outcome,
    {
        Traced { inner: Some(future), state: State::new(self), outcome: Some(outcome), held: () }
    }

    /// The future that `make` returns, in the span; `make` runs in it too.
    pub fn future_of<F, O>(self, make: impl FnOnce() -> F, outcome: O) -> Traced<F, O>
    where
        F: Future,
        O: FnOnce(&F::Output) -> Outcome,
    {
        let mut state = State::new(self);
        Traced { inner: Some(state.poll(make)), state, outcome: Some(outcome), held: () }
    }

    /// The stream that `make` returns, in the span; `make` runs in it too.
    pub fn stream_of<S, O>(self, make: impl FnOnce() -> S, outcome: O) -> TracedStream<S, O>
    where
        S: Stream,
        O: FnMut(&S::Item) -> Outcome,
    {
        let mut state = State::new(self);
        TracedStream { inner: Some(state.poll(make)), state, outcome }
    }

    /// The stream that `future` gives, in the span; the future runs in it too.
    pub async fn stream_after<F, O>(self, future: F, outcome: O) -> TracedStream<F::Output, O>
    where
        F: Future,
        F::Output: Stream,
        O: FnMut(&<F::Output as Stream>::Item) -> Outcome,
    {
        let mut traced = std::pin::pin!(self.future(future, |_: &F::Output| Outcome::default()));
        // Polled without its outcome, so that the span is still open when the stream is there.
        let inner = std::future::poll_fn(|cx| {
            let this = traced.as_mut().project();
            let inner = this.inner.as_pin_mut().expect(GONE);
            this.state.poll(|| inner.poll(cx))
        })
        .await;
        let scope = mem::replace(&mut traced.as_mut().project().state.scope, Scope::Off);
        let state = State { scope, spawned: None };
        TracedStream { inner: Some(inner), state, outcome }
    }

    /// The future of a detached job: the time until its first poll is recorded, and `held` is let
    /// go when the job is over.
    #[cfg(feature = "tokio")]
    pub(crate) fn job<F, O, H>(self, future: F, outcome: O, held: H) -> Traced<F, O, H>
    where
        F: Future,
        O: FnOnce(&F::Output) -> Outcome,
    {
        let state = State { scope: self.0, spawned: Some(Instant::now()) };
        Traced { inner: Some(future), state, outcome: Some(outcome), held }
    }
}

pin_project! {
    /// A future or a stream that runs in a captured context. Made by [`Snapshot`].
    #[derive(Debug)]
    #[must_use = "futures and streams do nothing unless polled"]
    pub struct WithSnapshot<T> {
        #[pin]
        inner: Option<T>,
        context: Context,
    }

    impl<T> PinnedDrop for WithSnapshot<T> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _attached = current::attach(this.context.clone());
            this.inner.set(None);
        }
    }
}

impl Snapshot {
    /// A future that has the snapshot current whenever it is polled, and when it is dropped.
    pub fn future<F: Future>(&self, future: F) -> WithSnapshot<F> {
        WithSnapshot { inner: Some(future), context: self.to_context() }
    }

    /// A stream that has the snapshot current whenever it is polled, and when it is dropped.
    pub fn stream<S: Stream>(&self, stream: S) -> WithSnapshot<S> {
        WithSnapshot { inner: Some(stream), context: self.to_context() }
    }
}

impl<F: Future> Future for WithSnapshot<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _attached = current::attach(this.context.clone());
        this.inner.as_pin_mut().expect(GONE).poll(cx)
    }
}

impl<S: Stream> Stream for WithSnapshot<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let _attached = current::attach(this.context.clone());
        this.inner.as_pin_mut().expect(GONE).poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}
