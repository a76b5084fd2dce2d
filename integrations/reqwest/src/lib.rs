#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use std::error::Error as _;
use std::future::Future;
use std::sync::Once;

use reqwest::{Client, Error, Request, RequestBuilder, Response, Result};
use throughline::{LastError, Outcome, Span, current_context, redact, semconv};
use throughline_http::{ClientLayer, Outgoing, Target};

/// Sends the requests of a [`RequestBuilder`] in spans.
pub trait RequestBuilderExt: Sized {
    /// Sends the request in a client span, with the settings of [`ClientLayer::new`].
    ///
    /// The span starts at the first poll and ends with the head of the response; reading the body is not part of it.
    ///
    /// # Errors
    ///
    /// Returns the error of [`RequestBuilder::send`], unchanged. A request that cannot be built has no span.
    ///
    /// # Cancel safety
    ///
    /// The same as for `send`. If the future is dropped before it completes, the span is marked
    /// `throughline.cancelled`.
    fn send_traced(self) -> impl Future<Output = Result<Response>> + Send;

    /// Sends the request in a client span, with the settings of `layer`, such as a URL template, tag headers, recorded
    /// headers and restrictions of baggage. Otherwise like [`send_traced`](Self::send_traced).
    ///
    /// ```no_run
    /// use throughline_http::{Attempts, ClientLayer};
    /// use throughline_reqwest::RequestBuilderExt as _;
    ///
    /// # async fn run(client: reqwest::Client) -> reqwest::Result<reqwest::Response> {
    /// // The attempts of one request are counted.
    /// let layer = ClientLayer::new().url_template("/orders").attempts(Attempts::new());
    /// loop {
    ///     let response = client.get("http://orders.internal/orders").send_with_traced(&layer).await?;
    ///     if !response.status().is_server_error() {
    ///         return Ok(response);
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the error of [`RequestBuilder::send`], unchanged.
    fn send_with_traced(self, layer: &ClientLayer) -> impl Future<Output = Result<Response>> + Send;
}

impl RequestBuilderExt for RequestBuilder {
    fn send_traced(self) -> impl Future<Output = Result<Response>> + Send {
        let (client, request) = self.build_split();
        async move { execute(&client, request?, &ClientLayer::new()).await }
    }

    fn send_with_traced(self, layer: &ClientLayer) -> impl Future<Output = Result<Response>> + Send {
        let (client, request) = self.build_split();
        async move { execute(&client, request?, layer).await }
    }
}

/// Executes the requests of a [`Client`] in spans.
///
/// ```no_run
/// use throughline_reqwest::ClientExt as _;
///
/// # async fn run(client: reqwest::Client) -> reqwest::Result<()> {
/// let request = client.get("http://orders.internal/orders").build()?;
/// let response = client.execute_traced(request).await?;
/// # Ok(())
/// # }
/// ```
pub trait ClientExt {
    /// Executes the request in a client span; like [`send_traced`](RequestBuilderExt::send_traced).
    ///
    /// # Errors
    ///
    /// Returns the error of [`Client::execute`], unchanged.
    fn execute_traced(&self, request: Request) -> impl Future<Output = Result<Response>> + Send;

    /// Executes the request in a client span, with the settings of `layer`; like
    /// [`send_with_traced`](RequestBuilderExt::send_with_traced).
    ///
    /// # Errors
    ///
    /// Returns the error of [`Client::execute`], unchanged.
    fn execute_with_traced(
        &self,
        request: Request,
        layer: &ClientLayer,
    ) -> impl Future<Output = Result<Response>> + Send;
}

impl ClientExt for Client {
    async fn execute_traced(&self, request: Request) -> Result<Response> {
        execute(self, request, &ClientLayer::new()).await
    }

    async fn execute_with_traced(&self, request: Request, layer: &ClientLayer) -> Result<Response> {
        execute(self, request, layer).await
    }
}

async fn execute(client: &Client, mut request: Request, layer: &ClientLayer) -> Result<Response> {
    // Whoever passes the error on describes it with its sources.
    static KNOWN: Once = Once::new();
    KNOWN.call_once(redact::add_error_type::<Error>);

    let span = start(&mut request, layer);
    let sent = span.run_async_with(
        || client.execute(request),
        |result: &Result<Response>| match result {
            Ok(response) => answered(response, layer),
            Err(error) => Outcome::exception(kind_of(error), &causes(error)),
        },
    );
    let result = sent.await;
    if let Err(error) = &result {
        // Also where no span is recorded.
        let text = causes(error);
        if !text.is_empty() {
            LastError::note(&current_context(), &text);
        }
    }
    result
}

fn start(request: &mut Request, layer: &ClientLayer) -> Span {
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

/// The kind of an error before the head of the response. `reqwest` has further ones, for reading the body and for upgrades.
fn kind_of(error: &Error) -> &'static str {
    match error {
        error if error.is_timeout() => "timeout",
        error if error.is_connect() => "connect",
        error if error.is_redirect() => "redirect",
        error if error.is_builder() => "builder",
        _ => "request",
    }
}

/// The sources of the error, as far as they may be recorded. The text of the error itself is left out, because it
/// contains the URL.
fn causes(error: &Error) -> String {
    match error.source() {
        Some(source) => redact::error(source).unwrap_or_default(),
        None => kind_of(error).to_owned(),
    }
}
