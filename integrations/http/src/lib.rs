//! HTTP: a server and a client layer for tower, so for axum, hyper, tonic, and whatever else speaks
//! [`http::Request`].
//!
//! [`ServerLayer`] gives every request a server span in the trace of its caller, [`ClientLayer`] every
//! call a client span and sends the context along. For `reqwest` there is
//! [`throughline-reqwest`](https://docs.rs/throughline-reqwest), and a header map or a request can be named in `parent = …`.
//!
//! ```no_run
//! # #[cfg(feature = "axum")]
//! # async fn run() -> std::io::Result<()> {
//! use axum::{Router, routing::get};
//! use throughline_http::{RequestTag, ServerLayer};
//!
//! let layer = ServerLayer::new().tag(RequestTag::new("tenant_id").path("tenant").required()).untraced(["/healthz"]);
//! let service = Router::new().route("/tenants/{tenant}/orders", get(|| async { "none yet" })).layer(layer);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, service).await
//! # }
//! ```
//!
//! # Trust boundaries
//!
//! A service inside of the trust boundary continues the traces of its callers; one at the boundary does not:
//!
//! | | [`ServerLayer::new`] | [`ServerLayer::public`] |
//! |---|---|---|
//! | the caller's trace | continued | linked; a new one begins |
//! | its sampling flag, trace state and baggage | taken over | ignored |
//! | tags in headers of their own ([`travel`](ServerLayer::tag_header)) | taken over | ignored |
//! | its `X-Request-ID` | kept, and may become the trace id | kept, unless [`fresh_request_id`](ServerLayer::fresh_request_id) |
//! | headers, path and query named in a [`RequestTag`] | read | read |
//!
//! What the application's own route says goes before what a caller says, in both: the order of a [`RequestTag`]'s
//! sources is path, environment and constants, then header and query, then what was inherited.
//!
//! In the other direction, all baggage goes to all servers that are called. For those beyond the boundary there
//! are [`ClientLayer::baggage`] and [`no_baggage`](ClientLayer::no_baggage), and for a single request
//! [`SendBaggage`](throughline::propagation::SendBaggage). Trace ids and `X-Request-ID` are sent to all: they say
//! nothing of the request but that it is one.
//!
//! # One id
//!
//! `X-Request-ID` and trace id are one. It is minted where a request first comes in, as 32 lower-case
//! hexadecimal digits, stands on the response, in the [extensions](http::Extensions) of the request and in
//! the context ([`RequestId::current`]), and client layers pass it on.
//!
//! | the request has | trace id | request id | attribute |
//! |---|---|---|---|
//! | neither | new | the trace id | |
//! | a valid `traceparent` | the caller's | the trace id | |
//! | an `X-Request-ID` that is a UUID or 32 digits | that | as it came | |
//! | another `X-Request-ID` | new | as it came | `http.request.header.x-request-id` |
//! | both | the caller's | as it came | the same, if the two differ |
//!
//! An id is never overwritten: not one that a request brings, nor one that a handler puts on its
//! response. Only one that cannot be passed on is replaced: longer than 256 bytes, or not visible ASCII
//! and blanks. Of several the first counts. To become a trace id it takes a tracer provider with
//! [`RequestIdGenerator`](https://docs.rs/throughline/latest/throughline/telemetry/struct.RequestIdGenerator.html) (feature `sdk`); with another generator
//! the third row is as the fourth, and a warning says so once. Public callers do not choose trace ids:
//! they could put all requests into one trace, or pick those that are sampled.
//!
//! # What is recorded
//!
//! By the [semantic conventions for HTTP spans][conventions].
//!
//! | | server | client |
//! |---|---|---|
//! | name | `GET /orders/{order_no}`: method and route, or the method | `GET`, or with a [`UrlTemplate`] |
//! | at start | `http.request.method` (`_original`), `http.route`, `url.path`, `url.query`, `url.scheme`, `server.address`, `server.port`, `network.protocol.version`, `user_agent.original`; with feature `axum` and connect info `network.peer.address`, `.port` and `client.address`, which behind [proxies](ServerLayer::proxies) is what they say | `http.request.method` (`_original`), `url.full` (or path and query, if the client is not given more), `url.template`, `server.address`, `server.port`, `http.request.resend_count` (see [`Attempts`]) |
//! | at the end | `http.response.status_code`, `error.type` | the same, and `network.protocol.version` |
//! | status Error | 500 and above, an error of the service or its body, a panic | 400 and above, an error of the client, a panic |
//!
//! Headers are recorded only where a layer names them. Texts are bounded by [`MAX_TEXT_BYTES`](throughline::MAX_TEXT_BYTES), and a method that the conventions do
//! not list is `_OTHER`, so that callers cannot blow up what is indexed. The environment variable
//! `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` takes the place of their list, for `PROPFIND` for example: all
//! methods that are known, separated by commas.
//!
//! **The route** is axum's template (feature `axum`), which is known to layers added with
//! `Router::layer`. For a layer around the router and for other frameworks, [`ServerLayer::route`] tells
//! it; or there are two layers, of which the inner one adds route and tags to the outer one's span.
//!
//! # Secrets in URLs
//!
//! User and password in front of a host become `REDACTED`, and so do the values of parameters that commonly
//! are secrets: those of the conventions (`sig`, `AWSAccessKeyId`, `X-Amz-Signature`, `X-Goog-Signature`), `token` and
//! all that ends with it (`access_token`, `csrfToken`), `password`, `passwd`, `pwd`, `secret`, `client_secret`, `api_key`,
//! `key`, `code`, `auth`, `session`, `sessionid`, `jwt`, `assertion`, `signature`, `otp`, `SAMLResponse` and their
//! like, and `state` beside one of them. Names are compared without regard to case, punctuation, brackets and
//! percent-encoding, in the query (parted by `&` or `;`), in the parameters of a path (`;jsessionid=1`) and in a
//! fragment. A value that is itself a URL, a query or JSON with such a parameter, encoded or not, goes as a
//! whole. [`redact`](ServerLayer::redact) adds names, [`reveal`](ServerLayer::reveal) takes some away. What no
//! name tells of is shown: a token that is a segment of the path, `/reset/4f9c…`, needs a route that keeps it
//! out of the path.
//!
//! # Failures
//!
//! A request that is answered with 500 or above, or with an error of the service, writes one `tracing` event
//! at level `ERROR`, sampled or not: target `throughline::http`, fields `http.request.method`, `http.route`,
//! `http.response.status_code` and `error`, in the context of the request; `trace_id`, `span_id` and `throughline.tags` are
//! fields too, unless a formatter of this crate writes them on each line. The `error` is the [`Cause`] that the handler names,
//! or else the last error that a span below the request's has recorded, which also becomes the
//! description of the server span's status. So the 502 of a proxy says `Connection refused`. In a trace that is
//! not sampled, only causes that are named and errors of HTTP clients are known.
//!
//! # When a span ends
//!
//! **Server**: with the body of the response, its trailers included, which for an empty body is with the
//! head. A client that hangs up marks it `throughline.cancelled`, before the response and in its midst. The context is
//! current while the handler and the body are polled, and when they are dropped. A connection that is
//! upgraded (`101`, `CONNECT`) lives on without the span, in a task where nothing is current: take a
//! [`Snapshot`](throughline::Snapshot) in the handler, and run the session in it,
//! `upgrade.on_upgrade(move |socket| snapshot.run_async(session(socket)))` with axum's web sockets.
//!
//! **Client**: with the head of the response. The conventions leave the body open, and forbid to wait for
//! a body that may be dropped unread. Each pass through the layer is a span, so inside of a retry layer
//! each attempt has its own. Dropping the future marks it `throughline.cancelled`.
//!
//! # What is sent
//!
//! The headers of the [`Propagator`](throughline::propagation::Propagator), `X-Request-ID`, and tags that
//! [travel](ClientLayer::tag_header). Trace headers and baggage that the request has already are replaced, also
//! where nothing takes their place: a proxy that hands on what it was sent would mix two traces, and
//! leak baggage. All else in the request is as it was. Without an identity, none is removed.
//!
//! # Errors, panics, cost
//!
//! The spans of clients describe an error with its causes, where they are known: those of `hyper-util`'s client,
//! of axum, `tonic` and `reqwest`, boxed ones, `std::io`'s, and those of types named with [`ClientLayer::causes_of`].
//!
//! Requests, responses, errors, readiness and panics pass unchanged; the body of a response is wrapped in
//! [`TracedBody`] and keeps its size hint. Whatever is in the headers, the request goes on.
//!
//! Neither layer boxes a future. A request that is not sampled, or without an SDK, takes some 25
//! allocations in the server layer and 10 to 16 in the client layer (`tests/allocations_http.rs`): the
//! contexts, the headers that are written, and what a sampler wants to see.
//!
//! [conventions]: https://opentelemetry.io/docs/specs/semconv/http/http-spans/

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

pub use body::TracedBody;
pub use cause::Cause;
pub use client::{Attempts, ClientFuture, ClientLayer, ClientService, Outgoing, Target, UrlTemplate};
pub use headers::{Headers, HeadersMut, Http};
pub use server::{ServerFuture, ServerLayer, ServerService};
pub use tag::RequestTag;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
