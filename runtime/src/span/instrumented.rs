//! Futures, streams and bodies in a span.

#[cfg(feature = "http-body")]
mod body;

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::context::snapshot::Snapshot;
use crate::span::handle::{Scope, Span};
use crate::span::outcome::Outcome;

/// Decides how the span of an [`Instrumented`] value ends.
///
/// [`Observe`] adds access to the values that it produces.
///
/// The context of the span is not current while these methods run, except for [`dropped`](Self::dropped).
pub trait Observer {
    /// Called before each poll.
    fn polled(&mut self, span: &mut Span) {
        let _ = span;
    }

    /// Called when a stream or body has reached its end, and when a body has returned an error. Not called for futures.
    /// Ends the span by default.
    fn finished(&mut self, span: &mut Span) {
        span.end(Outcome::ok);
    }

    /// Called when the future, stream or body is dropped, whether or not it has completed. The wrapped value has
    /// already been dropped. If the span has not ended and is not ended here, it is cancelled.
    fn dropped(&mut self, span: &mut Span) {
        let _ = span;
    }
}

/// Sees what an [`Instrumented`] value produces: the output of a future, the items of a stream, or the frames of a
/// body (`Result<Frame<_>, _>`).
///
/// Each value is passed by ownership and returned, possibly as another type: an HTTP layer, for example, wraps the
/// response body. The observer may [record](Span::record) attributes, [fail](Span::fail) the span, [end](Span::end)
/// it, or [take](Span::take) it.
///
/// ```
/// use throughline::{Observe, Observer, Outcome, Span, SpanBuilder};
///
/// /// Counts the bytes of a stream.
/// #[derive(Default)]
/// struct Bytes(usize);
///
/// impl Observer for Bytes {
///     fn finished(&mut self, span: &mut Span) {
///         span.end(|| Outcome::ok().attribute("download.size", i64::try_from(self.0).unwrap_or(i64::MAX)));
///     }
/// }
///
/// impl Observe<Vec<u8>> for Bytes {
///     type Output = Vec<u8>;
///
///     fn observe(&mut self, _: &mut Span, chunk: Vec<u8>) -> Vec<u8> {
///         self.0 += chunk.len();
///         chunk
///     }
/// }
///
/// # use std::pin::{Pin, pin};
/// # use std::task::{Context, Poll, Waker};
/// # use futures_core::Stream;
/// # struct Chunks(std::vec::IntoIter<Vec<u8>>);
/// # impl Stream for Chunks {
/// #     type Item = Vec<u8>;
/// #     fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
/// #         Poll::Ready(self.0.next())
/// #     }
/// # }
/// # fn download() -> Chunks { Chunks(vec![vec![1, 2], vec![3]].into_iter()) }
/// let chunks = SpanBuilder::new("download").start().instrument(download(), Bytes::default());
/// # let capture = throughline::testing::Capture::new();
/// # let download = capture.run(|| SpanBuilder::new("download").start().instrument(download(), Bytes::default()));
/// # let mut download = pin!(download);
/// # while let Poll::Ready(Some(_)) = download.as_mut().poll_next(&mut Context::from_waker(Waker::noop())) {}
/// # assert_eq!(capture.span("download").attribute("download.size"), Some(&throughline::Value::I64(3)));
/// ```
pub trait Observe<T>: Observer {
    /// The type of the value that is passed on.
    type Output;

    /// Called for each value. The output of a future is its only one: if the span has not been ended or taken
    /// afterwards, it is ended as successful.
    fn observe(&mut self, span: &mut Span, value: T) -> Self::Output;
}

pin_project! {
    /// A future, a stream or a body in a span, created by [`Span::instrument`] and the methods built on it.
    ///
    /// The context of the span is current while the wrapped value is polled and while it is dropped, so that its
    /// destructors are traced. A panic ends the span and is then resumed. If the value is dropped before it has
    /// completed, the span is cancelled, unless the [`Observer`] ends it.
    ///
    /// It is `Send`, `Sync` and `Unpin` if the wrapped value and the observer are. Without a span, it only forwards
    /// polls.
    #[must_use = "futures, streams and bodies do nothing unless polled"]
    pub struct Instrumented<T, O = NoObserver>
    where
        O: Observer,
    {
        #[pin]
        inner: Option<T>,
        span: Span,
        // Dropped last: it may hold a guard that has to be released after everything else.
        observer: O,
    }

    impl<T, O> PinnedDrop for Instrumented<T, O>
    where
        O: Observer,
    {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _attached = (!this.span.is_none()).then(|| this.span.attach());
            this.inner.set(None);
            this.observer.dropped(this.span);
        }
    }
}

/// Only the destructor removes the inner value.
const GONE: &str = "not polled during its own drop";

impl<T, O: Observer> fmt::Debug for Instrumented<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instrumented").field("span", &self.span).finish_non_exhaustive()
    }
}

impl<F: Future, O: Observe<F::Output>> Future for Instrumented<F, O> {
    type Output = O::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O::Output> {
        let this = self.project();
        let inner = this.inner.as_pin_mut().expect(GONE);
        this.observer.polled(this.span);
        let output = ready!(this.span.in_scope(|| inner.poll(cx)));
        let output = this.observer.observe(this.span, output);
        if !this.span.is_none() && !matches!(this.span.0, Scope::Within(_)) {
            this.span.end(Outcome::ok);
        }
        Poll::Ready(output)
    }
}

impl<S: Stream, O: Observe<S::Item>> Stream for Instrumented<S, O> {
    type Item = O::Output;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<O::Output>> {
        let this = self.project();
        let inner = this.inner.as_pin_mut().expect(GONE);
        this.observer.polled(this.span);
        let item = ready!(this.span.in_scope(|| inner.poll_next(cx)));
        if item.is_none() {
            this.observer.finished(this.span);
        }
        Poll::Ready(item.map(|item| this.observer.observe(this.span, item)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

impl Span {
    /// Wraps a future, a stream or a body in the span, with an observer that decides how the span ends.
    #[inline]
    pub fn instrument<T, O: Observer>(self, inner: T, observer: O) -> Instrumented<T, O> {
        Instrumented { inner: Some(inner), span: self, observer }
    }

    /// Like [`instrument`](Self::instrument), for the value that `make` returns. `make` runs in the span.
    pub fn instrument_with<T, O: Observer>(mut self, make: impl FnOnce() -> T, observer: O) -> Instrumented<T, O> {
        let inner = self.in_scope(make);
        self.instrument(inner, observer)
    }

    /// Runs a future in the span, which ends with the outcome computed from its output.
    #[inline]
    pub fn run_async<F, O>(self, future: F, outcome: O) -> Instrumented<F, OutputObserver<O>>
    where
        F: Future,
        O: FnOnce(&F::Output) -> Outcome,
    {
        self.instrument(future, OutputObserver(Some(outcome)))
    }

    /// Like [`run_async`](Self::run_async), for the future that `make` returns. `make` runs in the span.
    pub fn run_async_with<F, O>(self, make: impl FnOnce() -> F, outcome: O) -> Instrumented<F, OutputObserver<O>>
    where
        F: Future,
        O: FnOnce(&F::Output) -> Outcome,
    {
        self.instrument_with(make, OutputObserver(Some(outcome)))
    }

    /// Runs the stream that `make` returns in the span; `make` runs in the span too. An item whose `outcome` is a
    /// failure is recorded, and the stream continues. The span ends with the stream.
    pub fn stream<S, O>(self, make: impl FnOnce() -> S, outcome: O) -> Instrumented<S, ItemObserver<O>>
    where
        S: Stream,
        O: FnMut(&S::Item) -> Outcome,
    {
        self.instrument_with(make, ItemObserver(outcome))
    }

    /// Like [`stream`](Self::stream), for the stream that `future` resolves to. The future runs in the span.
    pub async fn stream_after<F, O>(self, future: F, outcome: O) -> Instrumented<F::Output, ItemObserver<O>>
    where
        F: Future,
        F::Output: Stream,
        O: FnMut(&<F::Output as Stream>::Item) -> Outcome,
    {
        let (stream, span) = pin!(self.instrument(future, TakeSpan)).await;
        span.instrument(stream, ItemObserver(outcome))
    }
}

/// An observer that observes nothing. The span ends when the future, stream or body does.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn finished(&mut self, span: &mut Span) {
        // A context without a span stays until the stream or body is dropped.
        if !matches!(span.0, Scope::Within(_)) {
            span.end(Outcome::ok);
        }
    }
}

impl<T> Observe<T> for NoObserver {
    type Output = T;

    #[inline]
    fn observe(&mut self, _: &mut Span, value: T) -> T {
        value
    }
}

/// An observer that ends the span with an outcome computed from the output of a future. See [`Span::run_async`].
#[derive(Debug)]
pub struct OutputObserver<O>(pub(crate) Option<O>);

impl<O> Observer for OutputObserver<O> {}

impl<T, O: FnOnce(&T) -> Outcome> Observe<T> for OutputObserver<O> {
    type Output = T;

    #[inline]
    fn observe(&mut self, span: &mut Span, value: T) -> T {
        if !span.is_none() {
            let outcome = self.0.take();
            span.end(|| outcome.map_or_else(Outcome::ok, |outcome| outcome(&value)));
        }
        value
    }
}

/// An observer that records failed items of a stream. See [`Span::stream`].
#[derive(Debug)]
pub struct ItemObserver<O>(O);

impl<O> Observer for ItemObserver<O> {}

impl<T, O: FnMut(&T) -> Outcome> Observe<T> for ItemObserver<O> {
    type Output = T;

    fn observe(&mut self, span: &mut Span, item: T) -> T {
        span.fail(|| (self.0)(&item));
        item
    }
}

/// Passes the span on together with the output.
struct TakeSpan;

impl Observer for TakeSpan {}

impl<T> Observe<T> for TakeSpan {
    type Output = (T, Span);

    fn observe(&mut self, span: &mut Span, value: T) -> (T, Span) {
        (value, span.take())
    }
}

impl Snapshot {
    /// Returns a future that has the snapshot as its current context while it is polled and dropped.
    pub fn run_async<F: Future>(&self, future: F) -> Instrumented<F> {
        Span::within(self.to_context()).instrument(future, NoObserver)
    }

    /// Returns a stream that has the snapshot as its current context while it is polled and dropped.
    pub fn stream<S: Stream>(&self, stream: S) -> Instrumented<S> {
        Span::within(self.to_context()).instrument(stream, NoObserver)
    }
}
