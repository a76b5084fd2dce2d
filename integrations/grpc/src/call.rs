//! One call, from its request to its status: shared by clients and servers.

use std::time::{Duration, Instant};

use http::{Response, StatusCode};
use http_body::{Body, Frame};
use throughline::{Instrumented, LastError, Observe, Observer, Outcome, Span, redact};
use tonic::Code;

use crate::report::Report;
use crate::status::{End, Side};
use crate::target::is_grpc;

/// The future of a [`ServerService`](crate::ServerService) or [`ClientService`](crate::ClientService): the future of
/// the wrapped service, in the span of the call.
///
/// It resolves to a response whose [body](ResponseBody) takes over the span. If it is dropped before, the call is
/// [cancelled](crate#cancellation-deadlines-panics).
pub type ResponseFuture<F> = Instrumented<F, ResponseObserver>;

/// The body of a response, in the span of the call, which ends with the status in the trailers.
///
/// If it is dropped before, the call is [cancelled](crate#cancellation-deadlines-panics).
pub type ResponseBody<B> = Instrumented<B, StatusObserver>;

/// The observer of a [`ResponseFuture`], which moves the span into the [body](ResponseBody) of the response.
#[derive(Debug)]
pub struct ResponseObserver(Call);

/// The observer of a [`ResponseBody`], which ends the span with the status in the trailers.
#[derive(Debug)]
pub struct StatusObserver {
    call: Call,
    http: StatusCode,
    /// Whether the response is not from a gRPC server; tonic does not read such a response to its end.
    is_foreign: bool,
}

/// The state of a call in addition to its span.
#[derive(Debug)]
pub(crate) struct Call {
    side: Side,
    deadline: Option<Instant>,
    /// On a server, until the call has ended.
    report: Option<Report>,
}

/// An allowance for the time in transit, by which the caller's timeout started before ours.
const TRANSIT: Duration = Duration::from_millis(5);

impl Call {
    pub(crate) fn sent(timeout: Option<Duration>) -> Self {
        Self { side: Side::Client, deadline: deadline(timeout), report: None }
    }

    pub(crate) fn served(timeout: Option<Duration>, report: Option<Report>) -> Self {
        Self { side: Side::Server, deadline: deadline(timeout), report }
    }

    pub(crate) fn observer(self) -> ResponseObserver {
        ResponseObserver(self)
    }

    /// Whether the outcome of the call is needed: it has a span, or is reported, and has not ended.
    fn is_watched(&self, span: &Span) -> bool {
        self.report.is_some() || span.is_recording()
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn end(&mut self, span: &mut Span, end: impl FnOnce() -> End) {
        if !self.is_watched(span) {
            // Releases the context.
            return span.end(Outcome::ok);
        }
        let mut end = end();
        if self.side == Side::Client && end.code == Some(Code::Cancelled) && self.is_late() {
            end = end.too_late();
        }
        let report = self.report.take().filter(|_| end.is_failure(self.side));
        let Some(report) = report else { return span.end(|| end.outcome(self.side)) };
        let error = if end.message.is_empty() { report.cause() } else { redact::text(&end.message) };
        if let (true, Some(cause)) = (end.message.is_empty(), &error) {
            end.message.clone_from(cause);
        }
        let (context, code) = (span.context(), end.code);
        span.end(|| end.outcome(self.side));
        // After the span has ended, because as an event of the span it would repeat the status.
        report.write(&context, code, error.as_deref());
    }

    /// Ends the call with an error, and returns the error.
    fn fail<E: 'static>(&mut self, span: &mut Span, error: E) -> E {
        if self.side == Side::Server && !self.is_watched(span) {
            return error;
        }
        let (end, error) = End::of_error(error, self.side);
        if self.side == Side::Client {
            // It may be the cause of a failed request to this process.
            if let Some(text) = redact::text(&end.message).filter(|text| !text.is_empty()) {
                LastError::note(&span.context(), &text);
            }
        }
        self.end(span, || end);
        error
    }

    /// Ends a call that was dropped before it completed.
    fn give_up(&mut self, span: &mut Span) {
        if span.is_none() {
            return;
        }
        let is_late = self.is_late();
        self.end(span, || End::given_up(is_late));
    }

    fn respond<B: Body>(&mut self, mut span: Span, response: Response<B>) -> Response<ResponseBody<B>> {
        let http = response.status();
        let is_foreign = http != StatusCode::OK || (self.side == Side::Client && !is_grpc(response.headers()));
        if self.is_watched(&span) {
            if let Some(end) = End::read(response.headers()) {
                self.end(&mut span, || end);
            } else if response.body().is_end_stream() {
                // Servers do not poll a body that is empty.
                self.end(&mut span, || End::missing(http));
            }
        }
        let call = Self { side: self.side, deadline: self.deadline, report: self.report.take() };
        response.map(|body| span.instrument(body, StatusObserver { call, http, is_foreign }))
    }
}

/// `None` without a timeout, or if the deadline is too late to be represented.
fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(timeout?.saturating_sub(TRANSIT))
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
        let http = self.http;
        self.call.end(span, || End::missing(http));
    }

    fn dropped(&mut self, span: &mut Span) {
        if self.is_foreign && self.call.is_watched(span) {
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
            let http = self.http;
            self.call.end(span, || End::read(trailers).unwrap_or_else(|| End::missing(http)));
        }
        Ok(frame)
    }
}
