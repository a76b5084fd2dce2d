//! One call, from its first header to its status: what both sides have in common.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{self, Poll, ready};
use std::time::{Duration, Instant};

use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Code;

use super::status::{End, Side};
use super::target::is_grpc;
use crate::context::current::Attached;
use crate::span::handle::Span;
use crate::span::outcome::Outcome;

/// The span of a call. Dropped before the call has ended, it says that the call was given up.
#[derive(Debug)]
pub(super) struct Call {
    span: Span,
    side: Side,
    deadline: Option<Instant>,
}

/// The caller's clock has started earlier than ours, by the way of its request.
const EARLIER: Duration = Duration::from_millis(5);

impl Call {
    pub(super) fn new(span: Span, side: Side, timeout: Option<Duration>) -> Self {
        // A deadline beyond what a clock can tell is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout.saturating_sub(EARLIER)));
        Self { span, side, deadline }
    }

    /// Nothing to tell of.
    pub(super) const fn none(side: Side) -> Self {
        Self { span: Span::none(), side, deadline: None }
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    fn take(&mut self) -> Self {
        std::mem::replace(self, Self::none(self.side))
    }

    fn attach(&self) -> Attached {
        self.span.attach()
    }

    /// Runs a part of the call with its context current. A panic ends the span.
    pub(super) fn run<T>(&mut self, part: impl FnOnce() -> T) -> T {
        let attached = self.attach();
        // After a panic the call is over, and nothing here looks at what it left behind.
        let result = catch_unwind(AssertUnwindSafe(part));
        drop(attached);
        result.unwrap_or_else(|payload| {
            self.finish(|| Outcome::panicked(&*payload));
            resume_unwind(payload)
        })
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Ends the span, and lets go of its context: the body may live on.
    fn finish(&mut self, outcome: impl FnOnce() -> Outcome) {
        self.span.end(outcome);
        self.span = Span::none();
    }

    fn end(&mut self, end: impl FnOnce() -> End) {
        let (side, is_late) = (self.side, self.is_late());
        self.finish(|| {
            let end = end();
            let cancelled = end.code == Some(Code::Cancelled);
            let end = if cancelled && is_late && side == Side::Client { end.too_late() } else { end };
            end.outcome(side)
        });
    }

    /// Ends the call with an error, which is given back.
    fn fail<E: 'static>(&mut self, error: E) -> E {
        if !self.span.is_recording() {
            return error;
        }
        let (end, error) = End::of_error(error, self.side);
        self.end(|| end);
        error
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let is_late = self.is_late();
        self.span.end(|| {
            // Nobody has made a mistake when a call is given up before its time is over.
            let side = if is_late { self.side } else { Side::Server };
            End::given_up(is_late).outcome(side).attribute("throughline.cancelled", true)
        });
    }
}

pin_project! {
    /// The future of a response, with the span of its call.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: Option<F>,
        call: Call,
    }

    impl<F> PinnedDrop for ResponseFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // What the future still owns is dropped in its span, and before the span ends.
            let _attached = this.call.attach();
            this.inner.set(None);
        }
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, call: Call) -> Self {
        Self { inner: Some(inner), call }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: 'static,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else { return Poll::Pending };
        Poll::Ready(match ready!(this.call.run(|| inner.poll(cx))) {
            Ok(response) => Ok(ResponseBody::of(response, this.call.take())),
            Err(error) => Err(this.call.fail(error)),
        })
    }
}

pin_project! {
    /// The body of a response, which ends with the status of the call.
    #[derive(Debug)]
    pub struct ResponseBody<B>
    where
        B: Body,
    {
        #[pin]
        inner: Option<B>,
        call: Call,
        http: StatusCode,
        // Whether somebody else than a gRPC server has answered: nobody reads that to its end.
        foreign: bool,
    }

    impl<B> PinnedDrop for ResponseBody<B>
    where
        B: Body,
    {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // Who sends a body does not ask for more when it says that there is none.
            let is_over = this.inner.as_ref().get_ref().as_ref().is_none_or(Body::is_end_stream);
            if (is_over || *this.foreign) && this.call.span.is_recording() {
                let http = *this.http;
                this.call.end(|| End::missing(http));
            }
            let _attached = this.call.attach();
            this.inner.set(None);
        }
    }
}

impl<B: Body> ResponseBody<B> {
    fn of(response: Response<B>, mut call: Call) -> Response<Self> {
        if let Some(end) = call.span.is_recording().then(|| End::read(response.headers())).flatten() {
            call.end(|| end);
        }
        let http = response.status();
        let foreign = http != StatusCode::OK || (call.side == Side::Client && !is_grpc(response.headers()));
        response.map(|inner| Self { inner: Some(inner), call, http, foreign })
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body,
    B::Error: 'static,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else { return Poll::Ready(None) };
        let http = *this.http;
        Poll::Ready(match ready!(this.call.run(|| inner.poll_frame(cx))) {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.call.end(|| End::read(trailers).unwrap_or_else(|| End::missing(http)));
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => Some(Err(this.call.fail(error))),
            None => {
                this.call.end(|| End::missing(http));
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
