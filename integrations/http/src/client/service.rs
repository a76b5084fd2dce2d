//! The layer as a tower service.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt::Display;
use std::task::{self, Poll};

use http::uri::Authority;
use http::{Request, Response, request};
use throughline::propagation::SendBaggage;
use throughline::{Instrumented, LastError, Observe, Observer, Outcome, RequestId, Span};
use tower_layer::Layer;
use tower_service::Service;

use super::ClientLayer;
use super::request::{Attempts, Outgoing, Target, UrlTemplate};
use crate::facts;
use crate::server::Entered;

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> ClientService<S> {
        ClientService { inner, layer: self.clone() }
    }
}

/// A client service whose requests have client spans. Created by [`ClientLayer`].
#[derive(Debug, Clone)]
pub struct ClientService<S> {
    inner: S,
    layer: ClientLayer,
}

impl<S, B, R> Service<Request<B>> for ClientService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: Display + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        // If it is forwarded, even to a service in this process, it is a new request there.
        let received = parts.extensions.remove::<Entered>();
        parts.extensions.remove::<RequestId>();
        let span = self.layer.start_parts(&mut parts, received.as_ref());
        let request = Request::from_parts(parts, body);
        span.instrument_with(|| self.inner.call(request), ClientObserver(self.layer.clone()))
    }
}

impl ClientLayer {
    fn start_parts(&self, parts: &mut request::Parts, received: Option<&Entered>) -> Span {
        let authority = facts::authority(parts).map(Cow::into_owned);
        let authority = authority.as_ref();
        self.start(Outgoing {
            method: &parts.method,
            target: Target {
                scheme: parts.uri.scheme_str(),
                authority: authority.map(Authority::as_str),
                host: authority.map(Authority::host),
                port: authority.and_then(Authority::port_u16),
                path: parts.uri.path(),
                query: parts.uri.query(),
            },
            template: parts.extensions.get::<UrlTemplate>().map(|template| &*template.0),
            attempts: parts.extensions.get::<Attempts>(),
            baggage: parts.extensions.get::<SendBaggage>(),
            received,
            headers: &mut parts.headers,
        })
    }
}

/// The future of a [`ClientService`]: the future of the wrapped service, in a client span. If it is dropped before it
/// completes, the span is marked `throughline.cancelled`.
pub type ClientFuture<F> = Instrumented<F, ClientObserver>;

/// The observer of a [`ClientFuture`], which ends the span with the head of the response.
#[derive(Debug)]
pub struct ClientObserver(ClientLayer);

impl Observer for ClientObserver {}

impl<B, E: Display + 'static> Observe<Result<Response<B>, E>> for ClientObserver {
    type Output = Result<Response<B>, E>;

    fn observe(&mut self, span: &mut Span, result: Self::Output) -> Self::Output {
        let Self(layer) = self;
        match &result {
            Ok(response) => {
                span.end(|| layer.outcome(response.status(), response.version(), response.headers()));
            }
            Err(error) => {
                let text = layer.0.causes.describe(error);
                // Even if no span is recorded.
                if !text.is_empty() {
                    LastError::note(&span.context(), &text);
                }
                span.end(|| Outcome::exception(type_name::<E>(), &text));
            }
        }
        result
    }
}
