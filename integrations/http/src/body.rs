//! The body of a response, in the span of its request.

use std::any::type_name;
use std::fmt::Display;

use bytes::Buf;
use http::StatusCode;
use http_body::{Body, Frame};
use throughline::{Instrumented, Observe, Observer, Outcome, Span};

use crate::cause::Causes;

/// The response body of a [`ServerService`](crate::ServerService), in the span of the request, which ends with the
/// body.
///
/// The span's context is current while the body is polled and when it is dropped. Sizes, frames, trailers and
/// errors are those of the inner body.
pub type ResponseBody<B> = Instrumented<B, BodyObserver>;

/// The observer of a [`ResponseBody`], which ends the span of the request.
#[derive(Debug, Default)]
pub struct BodyObserver {
    failure: Option<Failure>,
    /// How many bytes of data the client still expects, if known.
    left: Option<u64>,
}

/// A status of 500 and above.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) cause: Option<String>,
}

impl Failure {
    /// Without a cause the description is empty, because the status is sufficient.
    fn outcome(self) -> Outcome {
        Outcome::error(self.status.as_str().to_owned(), self.cause.unwrap_or_default())
    }
}

impl BodyObserver {
    fn end(&mut self, span: &mut Span) {
        let failure = self.failure.take();
        span.end(|| failure.map_or_else(Outcome::ok, Failure::outcome));
    }
}

/// A body in its span. `announced`: its length according to the header. `is_bare`: it will not be polled.
pub(crate) fn instrument<B: Body>(
    body: B,
    mut span: Span,
    failure: Option<Failure>,
    announced: Option<u64>,
    is_bare: bool,
) -> ResponseBody<B> {
    let left = announced.or_else(|| body.size_hint().exact());
    let mut observer = BodyObserver { failure, left };
    // Servers do not poll a body that is empty.
    if is_bare || body.is_end_stream() {
        observer.end(&mut span);
    }
    span.instrument(body, observer)
}

/// A body without a span.
pub(crate) fn untraced<B>(body: B) -> ResponseBody<B> {
    Span::none().instrument(body, BodyObserver::default())
}

impl Observer for BodyObserver {
    fn finished(&mut self, span: &mut Span) {
        self.end(span);
    }

    fn dropped(&mut self, span: &mut Span) {
        if self.left == Some(0) {
            // Servers stop at the announced length: there is nothing more to poll for.
            self.end(span);
        } else if let Some(failure) = self.failure.take() {
            span.fail(|| failure.outcome());
        }
    }
}

impl<D: Buf, E: Display + 'static> Observe<Result<Frame<D>, E>> for BodyObserver {
    type Output = Result<Frame<D>, E>;

    fn observe(&mut self, span: &mut Span, frame: Self::Output) -> Self::Output {
        match &frame {
            Ok(frame) => {
                if let (Some(left), Some(data)) = (&mut self.left, frame.data_ref()) {
                    *left = left.saturating_sub(data.remaining() as u64);
                }
            }
            Err(error) => {
                span.end(|| Outcome::exception(type_name::<E>(), &Causes::default().describe(error)));
            }
        }
        frame
    }
}
