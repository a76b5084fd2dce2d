#![doc = include_str!("../README.md")]
//!
//! # Trust boundaries
//!
//! A service inside of the trust boundary continues the traces of its callers; one at the boundary does not:
//!
//! | | [`ServerLayer::new`] | [`public`](ServerLayer::public) |
//! |---|---|---|
//! | the caller's trace | continued | linked; a new one starts |
//! | its sampling flag, trace state and baggage | used | ignored |
//! | [tag headers](ServerLayer::tag_header) | used | ignored |
//! | its `X-Request-ID` | kept, and may become the trace id | kept, unless [`fresh_request_id`](ServerLayer::fresh_request_id) |
//! | headers, path and query that a [`RequestTag`] names | read | read |
//!
//! In both cases the application's own route takes precedence over what a caller sends: the sources of a [`RequestTag`]
//! are, in this order, path, environment and constants, then header and query, then inherited values.
//!
//! In the other direction, all baggage is sent to all servers. [`ClientLayer::baggage`],
//! [`no_baggage`](ClientLayer::no_baggage) and, for a single request,
//! [`SendBaggage`](throughline::propagation::SendBaggage) restrict it for servers beyond the boundary. Trace ids and
//! `X-Request-ID` are sent to all servers; they identify the request, and contain nothing else.
//!
//! # Request ids
//!
//! The request id (`X-Request-ID`) and the trace id are the same. The id is generated where a request first arrives, as
//! 32 lower-case hexadecimal digits. It is on the response, in the [extensions](http::Extensions) of the request and in
//! the context ([`RequestId::current`](throughline::RequestId::current)), and client layers propagate it.
//!
//! | the request has | trace id | request id | attribute |
//! |---|---|---|---|
//! | neither | new | the trace id | |
//! | a valid `traceparent` | the caller's | the trace id | |
//! | an `X-Request-ID` that is a UUID or 32 digits | that id | as received | |
//! | another `X-Request-ID` | new | as received | `http.request.header.x-request-id` |
//! | both | the caller's | as received | the same, if the two differ |
//!
//! An id is never overwritten, neither that of a request nor one that a handler sets on its response. It is only
//! replaced if it is invalid (longer than 256 bytes, or with characters other than visible ASCII and spaces) or not
//! wanted ([`fresh_request_id`](ServerLayer::fresh_request_id)), also in a request that is forwarded. If there are
//! several, the first one is used. An id can only become the trace id if the tracer provider has the
//! [`RequestIdGenerator`](https://docs.rs/throughline/latest/throughline/telemetry/struct.RequestIdGenerator.html) of
//! Throughline (feature `sdk`); with another generator the third row is like the fourth, and a warning is logged once.
//! Callers of a public layer do not choose trace ids: they could merge all requests into one trace, or pick ids that
//! are sampled.
//!
//! # Routes
//!
//! The route is axum's template (feature `axum`), which is known to layers that are added by `Router::layer`. For a
//! layer around the router, and for other frameworks, [`ServerLayer::route`] provides it. There may also be two layers:
//! the inner one then adds route and tags to the span of the outer one.
//!
//! # Secrets in URLs
//!
//! Credentials in front of a host become `REDACTED`, and so do the values of parameters that usually are secret: those
//! of the conventions (`sig`, `AWSAccessKeyId`, `X-Amz-Signature`, `X-Goog-Signature`), `token` and every name that
//! ends with it (`access_token`, `csrfToken`), `password`, `passwd`, `pwd`, `secret`, `client_secret`, `api_key`,
//! `key`, `code`, `auth`, `session`, `sessionid`, `jwt`, `assertion`, `signature`, `otp`, `SAMLResponse` and similar
//! ones, and `state` beside one of them. Names are compared without regard to case, punctuation, brackets and
//! percent-encoding, in the query (separated by `&` or `;`), in the parameters of a path (`;jsessionid=1`) and in a
//! fragment. A value that itself contains a URL, a query or JSON with such a parameter, encoded or not, is redacted as
//! a whole.
//! [`redact`](ServerLayer::redact) adds names, [`reveal`](ServerLayer::reveal) removes some. A secret without a name is
//! not recognized: a token that is a segment of the path, `/reset/4f9c…`, has to be kept out of URLs.
//!
//! # Failed requests
//!
//! A response with a status of 500 or above, or an error of the service, emits one `tracing` event at level `ERROR`,
//! sampled or not: target `throughline::http`, fields `http.request.method`, `http.route`, `http.response.status_code`
//! and `error`, in the context of the request. `trace_id`, `span_id` and `throughline.tags` are fields too, unless a
//! formatter of `throughline::log` writes them on each line.
//!
//! The `error` is the [`Cause`] that the handler provides. Without one, it is the last error recorded by a span below
//! the request: a proxy's 502 then says `Connection refused`. It is also the description of the server span's status.
//! In a trace that is not sampled, only causes and the errors of HTTP clients are known.
//!
//! # When a span ends
//!
//! **Server**: with the body of the response, its trailers included; with the head, if the body is empty. If the client
//! disconnects before the end of the response, the span is marked `throughline.cancelled`. The context is current while
//! handler and body are polled, and when they are dropped. A connection that is upgraded (`101`, `CONNECT`) continues
//! without the span, in a task without a context: capture a [`Snapshot`](throughline::Snapshot) in the handler, and run
//! the session in it, `upgrade.on_upgrade(move |socket| snapshot.run_async(session(socket)))` for axum's web sockets.
//!
//! **Client**: with the head of the response. The conventions allow either, and a body may be dropped unread. Each call
//! of the layer is a span, so inside a retry layer each attempt has its own. Dropping the future marks the span
//! `throughline.cancelled`.
//!
//! # What is sent
//!
//! The headers of the [`Propagator`](throughline::propagation::Propagator), `X-Request-ID`, and
//! [tag headers](ClientLayer::tag_header). Existing trace headers and baggage of the request are replaced, or removed
//! if nothing replaces them: a proxy that forwards the headers of its own caller would mix two traces, and leak
//! baggage. Everything else in the request is unchanged. Without a trace id, nothing is removed.
//!
//! # Errors and panics
//!
//! Requests, responses, errors, readiness and panics pass through unchanged; the body of a response is wrapped in a
//! [`ResponseBody`], which keeps its size hint. Invalid headers never cause a request to fail.
//!
//! The description of an error includes its sources if the type of the error is known: those of `hyper-util`'s client,
//! of axum (feature `axum`), boxed errors, those of `std::io`, types added by
//! [`redact::add_error_type`](throughline::redact::add_error_type), which other integrations do for the errors of their
//! client libraries, and types named by [`ClientLayer::causes_of`].

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
