#![doc = include_str!("../README.md")]
//!
//! # Trust boundaries
//!
//! A service inside the trust boundary continues the traces of its callers; a service at the boundary does not:
//!
//! | | [`ServerLayer::new`] | [`public`](ServerLayer::public) |
//! |---|---|---|
//! | the caller's trace | continued | linked; a new one starts |
//! | its sampling flag, trace state and baggage | used | ignored |
//! | [tag headers](ServerLayer::tag_header) | used | ignored |
//! | its `X-Request-ID` | kept, and may become the trace ID | kept, unless [`fresh_request_id`](ServerLayer::fresh_request_id) |
//! | headers, path and query that a [`RequestTag`] names | read | read |
//!
//! In both cases the application's own route takes precedence over what a caller sends: the sources of a [`RequestTag`]
//! are, in this order, path, environment and constants, then header and query, then inherited values.
//!
//! In the other direction, all baggage is sent to all servers by default. For servers outside the boundary, restrict it
//! with [`ClientLayer::baggage`], [`no_baggage`](ClientLayer::no_baggage) or, for a single request,
//! [`SendBaggage`](throughline::propagation::SendBaggage). Trace IDs and `X-Request-ID` are sent to all servers; they
//! only identify the request.
//!
//! # Request IDs
//!
//! By default, the request ID (`X-Request-ID`) and the trace ID are the same. The ID is generated where a request first
//! arrives, as 32 lower-case hexadecimal digits. It is set on the response, in the [extensions](http::Extensions) of
//! the request and in the context ([`RequestId::current`](throughline::RequestId::current)), and client layers
//! propagate it.
//!
//! | the request has | trace ID | request ID | attribute |
//! |---|---|---|---|
//! | neither | new | the trace ID | |
//! | a valid `traceparent` | the caller's | the trace ID | |
//! | an `X-Request-ID` that is a UUID or 32 digits | that ID | as received | |
//! | another `X-Request-ID` | new | as received | `http.request.header.x-request-id` |
//! | both | the caller's | as received | the same, if the two differ |
//!
//! A request ID is never overwritten, neither that of a request nor one that a handler sets on its response. It is
//! replaced only if it is invalid (longer than 256 bytes, or with characters other than visible ASCII and spaces) or
//! rejected by [`fresh_request_id`](ServerLayer::fresh_request_id), also when the request is forwarded. If there are
//! several, the first one is used. A request ID can become the trace ID only if the tracer provider has the
//! [`RequestIdGenerator`](https://docs.rs/throughline/latest/throughline/telemetry/struct.RequestIdGenerator.html) of
//! Throughline (feature `sdk`); with another generator, the third row is like the fourth, and a warning is logged once.
//! Callers of a public layer cannot choose trace IDs: they could otherwise merge all requests into one trace, or choose
//! IDs that are sampled.
//!
//! # Routes
//!
//! The route is axum's template (feature `axum`), which is known to layers that are added with `Router::layer`. For a
//! layer around the router, and for other frameworks, provide it with [`ServerLayer::route`]. Alternatively, use two
//! layers: the inner one then adds the route and its tags to the span of the outer one.
//!
//! # Secrets in URLs
//!
//! Credentials in front of a host are replaced by `REDACTED`, and so are the values of parameters with common names of
//! secrets: those of the semantic conventions (`sig`, `AWSAccessKeyId`, `X-Amz-Signature`, `X-Goog-Signature`), `token`
//! and every name that ends with it (`access_token`, `csrfToken`), `password`, `passwd`, `pwd`, `secret`,
//! `client_secret`, `api_key`, `key`, `code`, `auth`, `session`, `sessionid`, `jwt`, `assertion`, `signature`, `otp`,
//! `SAMLResponse` and similar ones, and `state` next to one of them. Names are compared without regard to case,
//! punctuation, brackets and percent-encoding, in the query (separated by `&` or `;`), in the parameters of a path
//! (`;jsessionid=1`) and in a fragment. A value that itself contains a URL, a query or JSON with such a parameter,
//! encoded or not, is redacted as a whole. [`redact`](ServerLayer::redact) adds names, [`reveal`](ServerLayer::reveal)
//! removes some. A secret without a name, such as a token that is a path segment (`/reset/4f9c…`), is not recognized
//! and must be kept out of URLs.
//!
//! # Failed requests
//!
//! For a response with a status of 500 or above, or an error of the service, one `tracing` event at level `ERROR` is
//! emitted in the context of the request, even if the trace is not sampled. Its target is `throughline::http`, and its
//! fields are `http.request.method`, `http.route`, `http.response.status_code` and `error`, as well as `trace_id`,
//! `span_id` and `throughline.tags`, unless a formatter of `throughline::log` writes those on each line.
//!
//! The `error` is the [`Cause`] that the handler provides. Without one, it is the last error recorded by a span below
//! the request, so that the 502 of a proxy is reported as `Connection refused`, for example. It is also the description
//! of the server span's status. In a trace that is not sampled, only causes and the errors of HTTP clients are
//! available.
//!
//! # When a span ends
//!
//! **Server**: at the end of the response body, including trailers, or with the head if the body is empty. If the
//! client disconnects before, the span is marked `throughline.cancelled`. The context is current while the handler and
//! the body are polled and when they are dropped. An upgraded connection (`101`, `CONNECT`) continues without the span,
//! in a task without a context: capture a [`Snapshot`](throughline::Snapshot) in the handler, and run the session in
//! it, `upgrade.on_upgrade(move |socket| snapshot.run_async(session(socket)))` for axum's web sockets.
//!
//! **Client**: with the head of the response. The semantic conventions permit this, and a body may be dropped unread.
//! Each call of the service has a span, so inside of a retry layer, each attempt has its own. If the future is dropped
//! before it completes, the span is marked `throughline.cancelled`.
//!
//! # What is sent
//!
//! The client layer sends the headers of the [`Propagator`](throughline::propagation::Propagator), `X-Request-ID`, and
//! [tag headers](ClientLayer::tag_header). Existing trace headers and baggage of the request are replaced, or removed
//! if nothing replaces them: a proxy that forwards the headers of its caller would otherwise mix two traces and leak
//! baggage. Everything else in the request is unchanged. If the context has no trace ID, nothing is removed.
//!
//! # Errors and panics
//!
//! Requests, responses, errors, readiness and panics are passed through unchanged, except that the response body of a
//! server is wrapped in a [`ResponseBody`], which preserves the size hint. Invalid headers never cause a request to
//! fail.
//!
//! The description of an error includes its sources if the type of the error is known. Known types are the errors of
//! `hyper-util`'s client, of axum (feature `axum`) and of `std::io`, boxed errors, types registered with
//! [`redact::add_error_type`](throughline::redact::add_error_type), which other integrations do for the errors of their
//! client libraries, and types registered with [`ClientLayer::causes_of`].

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod cause;
mod client;
mod facts;
mod headers;
mod server;
mod tag;
mod url;

use http::header::HeaderName;

pub use body::{BodyObserver, ResponseBody};
pub use cause::Cause;
pub use client::{Attempts, ClientFuture, ClientLayer, ClientObserver, ClientService, Outgoing, Target, UrlTemplate};
pub use headers::{Headers, HeadersMut, Http};
pub use server::{ServerFuture, ServerLayer, ServerObserver, ServerService};
pub use tag::RequestTag;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
