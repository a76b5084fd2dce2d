//! Requests of `reqwest`, in one line: [`send_traced`](RequestBuilderExt::send_traced) in place of `send`.
//!
//! ```no_run
//! use throughline_reqwest::RequestBuilderExt as _;
//!
//! # async fn run(client: reqwest::Client) -> reqwest::Result<()> {
//! let orders = client.get("http://orders.internal/orders").send_traced().await?;
//! # Ok(()) }
//! ```
//!
//! Each call is a client span of its own, so a loop that tries again leaves one span for each
//! attempt, and [counts](ClientLayer::attempts) them if told to. The request carries the trace headers, the baggage and `X-Request-ID`; what is recorded
//! and what is sent is that of [`ClientLayer`], and a layer with settings can be
//! [given](RequestBuilderExt::send_traced_with). Redirects and retries that the client makes by
//! itself are inside of the one span. The address of the other end is there besides, as
//! `network.peer.address` and `network.peer.port`.
//!
//! **End.** The span ends when the head of the response is there, or the request has failed; reading
//! the body is not part of it.
//!
//! **Errors.** Those of `reqwest`, unchanged. On the span `error.type` is one of `timeout`, `connect`,
//! `redirect`, `body`, `decode`, `builder`, `upgrade` and `request`. The description names the causes and
//! leaves the URL out, because that may hold secrets.
//!
//! **Cancellation.** Dropping the future is as safe as with `send`, and marks the span `throughline.cancelled`.

#![forbid(unsafe_code)]

use std::error::Error as _;
use std::future::Future;

use reqwest::{Client, Error, Request, RequestBuilder, Response, Result};

use throughline::{LastError, Outcome, Span, redact, semconv};
use throughline_http::{ClientLayer, Outgoing, Target};

/// Sends requests in spans.
pub trait RequestBuilderExt: Sized {
    /// Sends the request in a client span, which starts at the first poll.
    ///
    /// # Errors
    ///
    /// Those of [`RequestBuilder::send`].
    fn send_traced(self) -> impl Future<Output = Result<Response>> + Send;

    /// The same with the settings of a layer: tags in headers of their own, headers to record.
    ///
    /// # Errors
    ///
    /// Those of [`RequestBuilder::send`].
    fn send_traced_with(self, layer: &ClientLayer) -> impl Future<Output = Result<Response>> + Send;
}

impl RequestBuilderExt for RequestBuilder {
    fn send_traced(self) -> impl Future<Output = Result<Response>> + Send {
        let (client, request) = self.build_split();
        async move { execute(&client, request?, &ClientLayer::new()).await }
    }

    fn send_traced_with(self, layer: &ClientLayer) -> impl Future<Output = Result<Response>> + Send {
        let (client, request) = self.build_split();
        async move { execute(&client, request?, layer).await }
    }
}

/// Executes requests in spans.
pub trait ClientExt {
    /// Executes the request in a client span, which starts at the first poll.
    ///
    /// # Errors
    ///
    /// Those of [`Client::execute`].
    fn execute_traced(&self, request: Request) -> impl Future<Output = Result<Response>> + Send;

    /// The same with the settings of a layer.
    ///
    /// # Errors
    ///
    /// Those of [`Client::execute`].
    fn execute_traced_with(
        &self,
        request: Request,
        layer: &ClientLayer,
    ) -> impl Future<Output = Result<Response>> + Send;
}

impl ClientExt for Client {
    async fn execute_traced(&self, request: Request) -> Result<Response> {
        execute(self, request, &ClientLayer::new()).await
    }

    async fn execute_traced_with(&self, request: Request, layer: &ClientLayer) -> Result<Response> {
        execute(self, request, layer).await
    }
}

async fn execute(client: &Client, mut request: Request, layer: &ClientLayer) -> Result<Response> {
    let span = begin(&mut request, layer);
    let sent = span.run_async_with(
        || client.execute(request),
        |result: &Result<Response>| match result {
            Ok(response) => answered(response, layer),
            Err(error) => Outcome::exception(kind_of(error), &causes(error)),
        },
    );
    let result = sent.await;
    if let Err(error) = &result {
        // The span has said it, if there is one.
        LastError::note(&throughline::current_context(), &causes(error));
    }
    result
}

fn begin(request: &mut Request, layer: &ClientLayer) -> Span {
    let (method, url) = (request.method().clone(), request.url().clone());
    let target = Target {
        scheme: Some(url.scheme()),
        authority: Some(url.authority()),
        host: url.host_str(),
        port: url.port(),
        path: url.path(),
        query: url.query(),
    };
    layer.start(Outgoing::new(&method, target, request.headers_mut()))
}

fn answered(response: &Response, layer: &ClientLayer) -> Outcome {
    let outcome = layer.outcome(response.status(), response.version(), response.headers());
    outcome.attributes(response.remote_addr().map(semconv::network_peer).into_iter().flatten())
}

fn kind_of(error: &Error) -> &'static str {
    match error {
        error if error.is_timeout() => "timeout",
        error if error.is_connect() => "connect",
        error if error.is_redirect() => "redirect",
        error if error.is_body() => "body",
        error if error.is_decode() => "decode",
        error if error.is_builder() => "builder",
        error if error.is_upgrade() => "upgrade",
        _ => "request",
    }
}

/// What has led to the error. Its own text has the URL in it.
fn causes(error: &Error) -> String {
    let chain = |source: &(dyn std::error::Error + 'static)| redact::error(source).unwrap_or_default();
    error.source().map_or_else(|| kind_of(error).to_owned(), chain)
}
