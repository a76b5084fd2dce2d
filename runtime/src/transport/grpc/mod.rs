//! gRPC, with `tonic`.
//!
//! [`ServerLayer`] opens one server span for each call that comes in and continues the caller's
//! trace; [`ClientLayer`] opens one client span for each call that goes out and sends the context
//! along as metadata. Both are tower layers, and know all four kinds of methods: unary, client
//! streaming, server streaming and bidirectional. The span is current in the handler and while the
//! streams of messages are polled, and it ends when the call has ended: with the status in the
//! trailers, not with the first header.
//!
//! ```no_run
//! use throughline::grpc::{ClientLayer, ServerLayer};
//! use tonic::transport::{Endpoint, Server};
//! use tower::ServiceBuilder;
//!
//! # type Request = http::Request<tonic::body::Body>;
//! # type Response = http::Response<tonic::body::Body>;
//! # async fn example<S>(orders: S) -> Result<(), Box<dyn std::error::Error>>
//! # where
//! #     S: tower::Service<Request, Response = Response, Error = std::convert::Infallible>,
//! #     S: Clone + Send + 'static,
//! #     S::Future: Send,
//! # {
//! // The server: one layer around all its services.
//! let server = Server::builder()
//!     .layer(ServerLayer::new())
//!     // …with `.add_service(…)` for more than one
//!     .serve("127.0.0.1:50051".parse()?, orders);
//!
//! // The client: one layer around the channel. Generated clients take it in place of the channel,
//! // as in `OrdersClient::new(channel)`.
//! let endpoint = Endpoint::from_static("http://127.0.0.1:50051");
//! let layer = ClientLayer::new().server(endpoint.uri());
//! let channel = ServiceBuilder::new().layer(layer).service(endpoint.connect_lazy());
//! # let _ = channel;
//! # server.await?;
//! # Ok(())
//! # }
//! ```
//!
//! Without the layers: [`inject`] and [`intercept`] write the current context into metadata, and a
//! [`tonic::Request`] or a [`MetadataMap`](tonic::metadata::MetadataMap) can be the parent of a span,
//! as in `#[traced(kind = server, parent = request)]`. Use the one or the other: with both, a call
//! has two spans.
//!
//! # Spans
//!
//! They follow the [semantic conventions for gRPC], version 1.42.0. What was `rpc.system`,
//! `rpc.service` and `rpc.grpc.status_code` until version 1.37 is deprecated there, and not set. No
//! event is recorded for single messages.
//!
//! | | |
//! |---|---|
//! | name | `{package.Service}/{Method}`; `grpc`, if the method is not known |
//! | kind | server, client |
//! | `rpc.system.name` | `grpc` |
//! | `rpc.method` | `{package.Service}/{Method}`; `_OTHER`, if the method is not known |
//! | `rpc.method_original` | the path, if the method is not known |
//! | `rpc.response.status_code` | `OK`, `NOT_FOUND` … |
//! | `server.address`, `server.port` | server: what the caller has asked for; client: see [`ClientLayer::server`] |
//! | `network.peer.address`, `network.peer.port` | server: the other end of the connection, where `tonic` accepts it |
//! | `error.type` | the status code of a failed call |
//! | `throughline.cancelled` | `true`, if the call was given up half-way |
//!
//! On a client every status but `OK` is an error. On a server these are, because the others tell of
//! the caller's mistakes: `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE`,
//! `DATA_LOSS`. The description of the span's status is the message of the gRPC status, bounded by
//! [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES). A call that ends without a status has that of
//! gRPC's [mapping] from the HTTP status, also where a client has not read on because the answer is none
//! of gRPC: the page of a proxy, for example.
//!
//! # Cancellation, deadlines, panics
//!
//! A call that is given up has the status code `CANCELLED` and is marked `throughline.cancelled`: on the client
//! when its future or its stream is dropped, on the server when the caller has gone away. If that
//! happens when the time of the call (`grpc-timeout`) is over, the code is `DEADLINE_EXCEEDED`, on
//! both sides; `tonic` itself gives the caller `CANCELLED` then. The time that a server sets with
//! `Server::timeout` is not known here, and gives `CANCELLED`. So does a caller whose codec cannot take
//! an answer, because it is too large for example: it gives the rest up, and says why no further
//! down. A panic of a handler is recorded and
//! unwinds on.
//!
//! # Cost
//!
//! A call allocates for the span's name, the headers, and the attributes; on a client once more, to
//! have the context current in the stream of requests. Without an SDK, and in a trace that is not
//! sampled, no attribute is computed; the context is passed on all the same, with the flag that says
//! so.
//!
//! [mapping]: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
//! [semantic conventions for gRPC]: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/

mod call;
mod client;
mod metadata;
mod server;
mod status;
mod target;
#[cfg(test)]
mod tests;

pub use call::{ResponseBody, ResponseFuture};
pub use client::{ClientLayer, ClientService};
pub use metadata::{inject, intercept};
pub use server::{ServerLayer, ServerService};
