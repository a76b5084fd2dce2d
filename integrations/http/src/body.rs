//! Response bodies in the span of their request.

use std::any::type_name;
use std::fmt::{self, Display};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf as _;
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::cause::Causes;
use throughline::Outcome;
use throughline::Span;

pin_project! {
    /// The body of a response that a [`ServerLayer`](crate::ServerLayer) has seen: the body itself,
    /// and the span of its request, which ends when the body does.
    ///
    /// The span's context is current while the body is polled and when it is dropped. Sizes, frames,
    /// trailers and errors are those of the body inside.
    #[must_use = "a body does nothing unless polled"]
    pub struct TracedBody<B> {
        #[pin]
        inner: Option<B>,
        rest: Rest,
    }

    impl<B> PinnedDrop for TracedBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _attached = this.rest.span.attach();
            this.inner.set(None);
            this.rest.give_up();
        }
    }
}

/// What is left to do when the body ends.
struct Rest {
    span: Span,
    /// The status and its cause, if it tells of a failure.
    failure: Option<Failed>,
    /// How many bytes of data the client still waits for, if that is known.
    left: Option<u64>,
}

impl Rest {
    fn end(&mut self, outcome: impl FnOnce() -> Outcome) {
        self.span.end(outcome);
        // The body may live on.
        self.span = Span::none();
    }

    fn end_as_answered(&mut self) {
        let failure = self.failure.take();
        self.end(|| failed_by(failure));
    }

    /// The body is dropped before its end was seen.
    fn give_up(&mut self) {
        if self.left == Some(0) {
            // Servers stop at the announced length: there is nothing more to ask for.
            self.end_as_answered();
        } else if let Some(status) = self.failure.take() {
            self.span.fail(|| failed_by(Some(status)));
        }
    }
}

/// A status of 500 and above.
pub(crate) struct Failed {
    pub(crate) status: StatusCode,
    pub(crate) cause: Option<String>,
}

/// A status of 500 and above is a failure of the server. Without a cause the description is left empty,
/// because the status tells it all.
pub(crate) fn failed_by(failed: Option<Failed>) -> Outcome {
    failed.map_or_else(Outcome::ok, |Failed { status, cause }| {
        Outcome::error(status.as_str().to_owned(), cause.unwrap_or_default())
    })
}

impl<B: Body> TracedBody<B> {
    /// `failure`: what the status tells of a failure. `announced`: the length by the header. `bare`:
    /// nobody will ask for the body.
    pub(crate) fn new(inner: B, span: Span, failure: Option<Failed>, announced: Option<u64>, bare: bool) -> Self {
        let left = announced.or_else(|| inner.size_hint().exact());
        let bare = bare || inner.is_end_stream();
        let mut rest = Rest { span, failure, left };
        if bare {
            rest.end_as_answered();
        }
        Self { inner: Some(inner), rest }
    }
}

impl<B> TracedBody<B> {
    /// No span, and nothing to do.
    pub(crate) fn untraced(inner: B) -> Self {
        Self { inner: Some(inner), rest: Rest { span: Span::none(), failure: None, left: None } }
    }
}

impl<B> Body for TracedBody<B>
where
    B: Body,
    B::Error: Display + 'static,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let polled = this.rest.span.in_scope(|| inner.as_mut().poll_frame(cx));
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => this.rest.end_as_answered(),
            Poll::Ready(Some(Err(error))) => {
                this.rest.end(|| Outcome::exception(type_name::<B::Error>(), &Causes::default().describe(error)));
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(left), Some(data)) = (&mut this.rest.left, frame.data_ref()) {
                    *left = left.saturating_sub(data.remaining() as u64);
                }
                // Servers do not poll again after the last frame.
                if frame.is_trailers() || inner.is_end_stream() {
                    this.rest.end_as_answered();
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl<B: Default> Default for TracedBody<B> {
    /// An empty body, without a span.
    fn default() -> Self {
        Self::untraced(B::default())
    }
}

impl<B: fmt::Debug> fmt::Debug for TracedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedBody").field("body", &self.inner).finish_non_exhaustive()
    }
}
