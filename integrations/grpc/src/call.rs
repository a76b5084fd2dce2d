//! One call, from its request to its status: what clients and servers have in common.

use std::time::{Duration, Instant};

use http::{Response, StatusCode};
use http_body::{Body, Frame};
use throughline::{Instrumented, Observe, Observer, Span};
use tonic::Code;

use crate::status::{End, Side};
use crate::target::is_grpc;

/// The future of a [`ServerService`](crate::ServerService) or a [`ClientService`](crate::ClientService): the
/// service's own, in the span of the call.
///
/// It results in a response whose [body](ResponseBody) has the span. A call whose future is dropped before
/// that is [cancelled](crate#cancellation-deadlines-panics).
pub type ResponseFuture<F> = Instrumented<F, ResponseObserver>;

/// The body of a response, in the span of the call, which ends with the status in its trailers.
///
/// A call whose body is dropped before that is [cancelled](crate#cancellation-deadlines-panics).
pub type ResponseBody<B> = Instrumented<B, StatusObserver>;

/// Moves the span of a call from the [future](ResponseFuture) of the response into its [body](ResponseBody).
#[derive(Debug)]
pub struct ResponseObserver(Call);

/// Ends the span of a call with the status that the [body](ResponseBody) of the response has in its trailers.
#[derive(Debug)]
pub struct StatusObserver {
    call: Call,
    http: StatusCode,
    /// Whether something else than a gRPC server has answered: tonic does not read that to its end.
    is_foreign: bool,
}

/// What is known of a call besides its span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    side: Side,
    deadline: Option<Instant>,
}

/// The caller's clock started earlier than ours, by the time that the request was on its way.
const EARLIER: Duration = Duration::from_millis(5);

impl Call {
    pub(crate) fn new(side: Side, timeout: Option<Duration>) -> Self {
        // A deadline that no clock will reach is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout.saturating_sub(EARLIER)));
        Self { side, deadline }
    }

    pub(crate) fn observer(self) -> ResponseObserver {
        ResponseObserver(self)
    }

    fn is_late(self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn end(self, span: &mut Span, end: impl FnOnce() -> End) {
        span.end(|| {
            let end = end();
            let is_too_late = self.side == Side::Client && end.code == Some(Code::Cancelled) && self.is_late();
            let end = if is_too_late { end.too_late() } else { end };
            end.outcome(self.side)
        });
    }

    /// Ends the call with an error, which is given back.
    fn fail<E: 'static>(self, span: &mut Span, error: E) -> E {
        if !span.is_recording() {
            return error;
        }
        let (end, error) = End::of_error(error, self.side);
        self.end(span, || end);
        error
    }

    /// Ends a call that was dropped half-way.
    fn give_up(self, span: &mut Span) {
        span.end(|| {
            let is_late = self.is_late();
            // Nobody has made a mistake when a call is given up before its deadline.
            let side = if is_late { self.side } else { Side::Server };
            End::given_up(is_late).outcome(side).attribute(throughline::semconv::THROUGHLINE_CANCELLED, true)
        });
    }

    fn respond<B: Body>(self, mut span: Span, response: Response<B>) -> Response<ResponseBody<B>> {
        let http = response.status();
        let is_foreign = http != StatusCode::OK || (self.side == Side::Client && !is_grpc(response.headers()));
        if span.is_recording() {
            if let Some(end) = End::read(response.headers()) {
                self.end(&mut span, || end);
            } else if response.body().is_end_stream() {
                // Servers do not poll a body that is empty.
                self.end(&mut span, || End::missing(http));
            }
        }
        response.map(|body| span.instrument(body, StatusObserver { call: self, http, is_foreign }))
    }
}

impl Observer for ResponseObserver {
    fn dropped(&mut self, span: &mut Span) {
        self.0.give_up(span);
    }
}

impl<B: Body, E: 'static> Observe<Result<Response<B>, E>> for ResponseObserver {
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn observe(&mut self, span: &mut Span, result: Result<Response<B>, E>) -> Self::Output {
        match result {
            Ok(response) => Ok(self.0.respond(span.take(), response)),
            Err(error) => Err(self.0.fail(span, error)),
        }
    }
}

impl Observer for StatusObserver {
    fn finished(&mut self, span: &mut Span) {
        self.call.end(span, || End::missing(self.http));
    }

    fn dropped(&mut self, span: &mut Span) {
        if self.is_foreign {
            self.finished(span);
        } else {
            self.call.give_up(span);
        }
    }
}

impl<D, E: 'static> Observe<Result<Frame<D>, E>> for StatusObserver {
    type Output = Result<Frame<D>, E>;

    fn observe(&mut self, span: &mut Span, frame: Self::Output) -> Self::Output {
        let frame = frame.map_err(|error| self.call.fail(span, error))?;
        if let Some(trailers) = frame.trailers_ref() {
            self.call.end(span, || End::read(trailers).unwrap_or_else(|| End::missing(self.http)));
        }
        Ok(frame)
    }
}
