//! `Instrumented` as the body of an HTTP message.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::{GONE, Instrumented, Observe, Observer};
use crate::span::handle::Span;

impl<T, O: Observer> Instrumented<T, O> {
    /// The wrapped value. `None` only during the destructor.
    fn inner(&self) -> Option<&T> {
        self.inner.as_ref()
    }
}

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
        // Servers do not poll a body again after its last frame.
        let is_over = match &frame {
            Some(Ok(frame)) => frame.is_trailers() || inner.is_end_stream(),
            Some(Err(_)) | None => true,
        };
        if is_over && !this.span.is_none() {
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

impl<B: Default, O: Observer + Default> Default for Instrumented<B, O> {
    /// An empty body, without a span.
    fn default() -> Self {
        Span::none().instrument(B::default(), O::default())
    }
}
