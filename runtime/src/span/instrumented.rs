//! Futures, streams and bodies in a span.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::context::carried::Carried;
use crate::context::snapshot::Snapshot;
use crate::span::handle::{Scope, Span};
use crate::span::outcome::Outcome;

/// What decides how the span of an [`Instrumented`] value ends. [`Observe`] is its other half, which sees what
/// comes out.
///
/// All methods are called with the span's context not current, except [`dropped`](Self::dropped).
pub trait Observer {
    /// Called before each poll.
    fn polled(&mut self, span: &mut Span) {
        let _ = span;
    }

    /// The stream or the body has come to its end. Not called for futures. Ends the span, by default.
    fn finished(&mut self, span: &mut Span) {
        span.end(Outcome::ok);
    }

    /// The future, stream or body is dropped, perhaps half-way, and what it has owned is gone already. The span
    /// may have ended. If it has not, and this does not end it, it is cancelled.
    fn dropped(&mut self, span: &mut Span) {
        let _ = span;
    }
}

/// Sees what comes out of an [`Instrumented`] value: the output of a future, the items of a stream, the frames of
/// a body (`Result<Frame<_>, _>`).
///
/// It gets each value by itself, and hands it on, the same or another one: a layer for HTTP puts the body of the
/// response into the span. It may [record](Span::record) on the span, [fail](Span::fail) it,
/// [end](Span::end) it, or [take](Span::take) it.
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
/// # fn download() -> impl futures::Stream<Item = Vec<u8>> { futures::stream::iter([vec![1, 2], vec![3]]) }
/// let chunks = SpanBuilder::new("download").start().instrument(download(), Bytes::default());
/// # let capture = throughline::testing::Capture::new();
/// # let download = capture.run(|| SpanBuilder::new("download").start().instrument(download(), Bytes::default()));
/// # futures::executor::block_on(futures::StreamExt::collect::<Vec<_>>(download));
/// # assert_eq!(capture.span("download").attribute("download.size"), Some(&throughline::Value::I64(3)));
/// ```
pub trait Observe<T>: Observer {
    /// What is handed on.
    type Output;

    /// A value has come out. For a future this is its end, and the span is ended without a word if this has not
    /// ended or taken it.
    fn observe(&mut self, span: &mut Span, value: T) -> Self::Output;
}

pin_project! {
    /// A future, a stream or a body in a span. Made by [`Span::instrument`] and by what is built on it.
    ///
    /// The span's context is current while the value inside is polled, and when it is dropped, so that its
    /// destructors are traced. A panic ends the span, and unwinds on. Dropped before its end, the span is
    /// cancelled, unless the [`Observer`] says something else.
    ///
    /// It is `Send`, `Sync` and `Unpin` if the value inside and the observer are. Without a span it only polls.
    #[must_use = "futures, streams and bodies do nothing unless polled"]
    pub struct Instrumented<T, O = Unobserved>
    where
        O: Observer,
    {
        #[pin]
        inner: Option<T>,
        span: Span,
        // Dropped last: it may hold what is to be let go when everything else is over.
        observer: O,
    }

    impl<T, O> PinnedDrop for Instrumented<T, O>
    where
        O: Observer,
    {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.span.is_none() {
                this.inner.set(None);
                this.observer.dropped(this.span);
                return;
            }
            let _attached = this.span.attach();
            this.inner.set(None);
            this.observer.dropped(this.span);
        }
    }
}

/// Only the destructor takes the inner value out.
const GONE: &str = "not polled during its own drop";

impl<T, O: Observer> Instrumented<T, O> {
    /// The value inside. `None` never happens outside of the destructor.
    #[cfg(feature = "http-body")]
    fn inner(&self) -> Option<&T> {
        self.inner.as_ref()
    }
}

impl<T, O: Observer> fmt::Debug for Instrumented<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instrumented").field("span", &self.span).finish_non_exhaustive()
    }
}

impl<F, O> Future for Instrumented<F, O>
where
    F: Future,
    O: Observe<F::Output>,
{
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

impl<S, O> Stream for Instrumented<S, O>
where
    S: Stream,
    O: Observe<S::Item>,
{
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

/// After its last frame, or an error, a body has [finished](Observer::finished).
#[cfg(feature = "http-body")]
impl<B, O> http_body::Body for Instrumented<B, O>
where
    B: http_body::Body,
    O: Observe<Result<http_body::Frame<B::Data>, B::Error>, Output = Result<http_body::Frame<B::Data>, B::Error>>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let mut inner = this.inner.as_pin_mut().expect(GONE);
        this.observer.polled(this.span);
        let frame = ready!(this.span.in_scope(|| inner.as_mut().poll_frame(cx)));
        let frame = frame.map(|frame| this.observer.observe(this.span, frame));
        // Servers do not poll again after the last frame.
        let is_over = match &frame {
            Some(Ok(frame)) => frame.is_trailers() || inner.is_end_stream(),
            Some(Err(_)) | None => true,
        };
        if is_over && this.span.is_recording() {
            this.observer.finished(this.span);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner().map_or_else(|| http_body::SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

#[cfg(feature = "http-body")]
impl<B: Default, O: Observer + Default> Default for Instrumented<B, O> {
    /// An empty body, without a span.
    fn default() -> Self {
        Span::none().instrument(B::default(), O::default())
    }
}

impl Span {
    /// A future, a stream or a body in the span, and what decides how that ends.
    #[inline]
    pub fn instrument<T, O: Observer>(self, inner: T, observer: O) -> Instrumented<T, O> {
        Instrumented { inner: Some(inner), span: self, observer }
    }

    /// What `make` gives, in the span; `make` runs in it too.
    pub fn instrument_with<T, O: Observer>(mut self, make: impl FnOnce() -> T, observer: O) -> Instrumented<T, O> {
        let inner = self.in_scope(make);
        self.instrument(inner, observer)
    }

    /// The future in the span, which ends with the outcome of what the future gives.
    #[inline]
    pub fn run_async<F, O>(self, future: F, outcome: O) -> Instrumented<F, Ended<O>>
    where
        F: Future,
        O: FnOnce(&F::Output) -> Outcome,
    {
        self.instrument(future, Ended(Some(outcome)))
    }

    /// The future that `make` gives, in the span; `make` runs in it too.
    pub fn run_async_with<F, O>(self, make: impl FnOnce() -> F, outcome: O) -> Instrumented<F, Ended<O>>
    where
        F: Future,
        O: FnOnce(&F::Output) -> Outcome,
    {
        self.instrument_with(make, Ended(Some(outcome)))
    }

    /// The stream that `make` gives, in the span; `make` runs in it too. An item whose `outcome` is a failure
    /// is recorded, and the stream goes on. The span ends with the stream.
    pub fn stream<S, O>(self, make: impl FnOnce() -> S, outcome: O) -> Instrumented<S, NotedItems<O>>
    where
        S: Stream,
        O: FnMut(&S::Item) -> Outcome,
    {
        self.instrument_with(make, NotedItems(outcome))
    }

    /// The stream that `future` gives, in the span; the future runs in it too.
    pub async fn stream_after<F, O>(self, future: F, outcome: O) -> Instrumented<F::Output, NotedItems<O>>
    where
        F: Future,
        F::Output: Stream,
        O: FnMut(&<F::Output as Stream>::Item) -> Outcome,
    {
        let (stream, span) = pin!(self.instrument(future, Handed)).await;
        span.instrument(stream, NotedItems(outcome))
    }
}

/// Observes nothing. The span ends with the future, the stream or the body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}

impl<T> Observe<T> for Unobserved {
    type Output = T;

    #[inline]
    fn observe(&mut self, _: &mut Span, value: T) -> T {
        value
    }
}

/// Ends the span with the outcome of a future's output. See [`Span::run_async`].
#[derive(Debug)]
pub struct Ended<O>(Option<O>);

impl<O> Ended<O> {
    #[cfg(feature = "tokio")]
    pub(crate) fn new(outcome: O) -> Self {
        Self(Some(outcome))
    }
}

impl<O> Observer for Ended<O> {}

impl<T, O: FnOnce(&T) -> Outcome> Observe<T> for Ended<O> {
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

/// Records the failures among the items of a stream. See [`Span::stream`].
#[derive(Debug)]
pub struct NotedItems<O>(O);

impl<O> Observer for NotedItems<O> {}

impl<T, O: FnMut(&T) -> Outcome> Observe<T> for NotedItems<O> {
    type Output = T;

    fn observe(&mut self, span: &mut Span, item: T) -> T {
        span.fail(|| (self.0)(&item));
        item
    }
}

/// Hands the span on with the output.
struct Handed;

impl Observer for Handed {}

impl<T> Observe<T> for Handed {
    type Output = (T, Span);

    fn observe(&mut self, span: &mut Span, value: T) -> (T, Span) {
        (value, span.take())
    }
}

impl Snapshot {
    /// A future that has the snapshot current whenever it is polled, and when it is dropped.
    pub fn run_async<F: Future>(&self, future: F) -> Instrumented<F> {
        Span::within(self.to_context()).instrument(future, Unobserved)
    }

    /// A stream that has the snapshot current whenever it is polled, and when it is dropped.
    pub fn stream<S: Stream>(&self, stream: S) -> Instrumented<S> {
        Span::within(self.to_context()).instrument(stream, Unobserved)
    }
}

impl<T> Carried<T> {
    /// Handles the message with its context current, asynchronously.
    pub fn run_async<F: Future>(self, handle: impl FnOnce(T) -> F) -> Instrumented<F> {
        let (message, snapshot) = self.into_parts();
        Span::within(snapshot.to_context()).instrument_with(|| handle(message), Unobserved)
    }
}
