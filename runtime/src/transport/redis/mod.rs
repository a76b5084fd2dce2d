//! Redis with the `redis` crate: a span for each command, and streams that carry the context.
//!
//! # Commands
//!
//! [`traced`] goes around any connection, and is a connection itself: commands, pipelines, transactions,
//! scripts and cursors work on it as before. It is cloned as the connection is.
//!
//! ```no_run
//! # async fn example() -> redis::RedisResult<()> {
//! use redis::AsyncCommands;
//! use throughline::redis::traced;
//!
//! let client = redis::Client::open("redis://127.0.0.1:6379")?;
//! let connection = client.get_multiplexed_async_connection().await?;
//! let mut connection = traced(connection).client(&client);
//!
//! let _: () = connection.set("stock:keyboard", 20).await?;
//! let (left, seen): (i64, i64) =
//!     redis::pipe().atomic().decr("stock:keyboard", 1).incr("seen", 1).query_async(&mut connection).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The span is of kind client, a child of the current span, named by the command: `SET`. It follows the
//! OpenTelemetry [semantic conventions for Redis](https://opentelemetry.io/docs/specs/semconv/db/redis/).
//!
//! | attribute | value |
//! |---|---|
//! | `db.system.name` | `redis` |
//! | `db.operation.name` | the command as it is written; of a pipeline `PIPELINE`, of a transaction `MULTI`, with the command behind it if all are the same: `PIPELINE GET` |
//! | `db.operation.batch.size` | of a pipeline or transaction of two commands or more |
//! | `db.query.text` | the command with `?` for every value: `HSET cart:7 sku ?`; at most 1,024 bytes |
//! | `db.stored_procedure.name` | the digest or function of `EVALSHA`, `FCALL` and their like |
//! | `db.namespace` | the index of the database |
//! | `server.address`, `server.port` | if told by [`Traced::client`] or [`Traced::server`] |
//! | `db.response.status_code`, `error.type` | the prefix of the server's error, such as `WRONGTYPE` |
//!
//! As the conventions have it, keys and the names of fields are shown and values are not. What is not known to be
//! a key is taken for a value: the arguments of unknown commands, of `AUTH`, `EVAL` and `CONFIG`. Keys that hold
//! secrets or personal data, such as session ids, are left out as well after [`Traced::hide_keys`].
//!
//! The error reaches the caller as it is. On the span what the server quotes in its message is replaced. An
//! error of one command in a pipeline makes the span of the pipeline an error. A future that is dropped leaves
//! its span `throughline.cancelled`; the command may have been executed all the same.
//!
//! Blocking connections (`redis::Connection`) can be wrapped as well.
//!
//! # Streams
//!
//! An entry of a stream carries the context in its fields. [`StreamCommands`] adds them on `XADD`, in a
//! producer span; [`inject`] does it without one. A consumer names the entry as its parent, a batch links its
//! entries. What has no context becomes an entry span.
//!
//! ```no_run
//! use redis::streams::{StreamReadOptions, StreamReadReply};
//! use redis::{AsyncCommands, aio::MultiplexedConnection};
//! use throughline::redis::{Delivery, StreamCommands};
//! use throughline::traced;
//!
//! async fn produce(connection: &mut MultiplexedConnection) -> redis::RedisResult<String> {
//!     connection.xadd_traced("orders", "*", &[("order_no", "1001")]).await
//! }
//!
//! #[traced(kind = consumer, parent = entry)]
//! async fn handle(entry: Delivery<'_>) {}
//!
//! async fn consume(connection: &mut MultiplexedConnection) -> redis::RedisResult<()> {
//!     let options = StreamReadOptions::default().group("billing", "worker-1");
//!     let reply: StreamReadReply = connection.xread_options(&["orders"], &[">"], &options).await?;
//!     for stream in &reply.keys {
//!         for entry in Delivery::all(stream) {
//!             handle(entry.group("billing")).await;
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! The attributes follow the
//! [semantic conventions for messaging](https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/),
//! which do not list Redis among their systems.
//!
//! | attribute | on | value |
//! |---|---|---|
//! | `messaging.system` | both | `redis` |
//! | `messaging.operation.name`, `messaging.operation.type` | both | `send`; `process` |
//! | `messaging.destination.name` | both | the key of the stream |
//! | `messaging.message.id` | both | the id of the entry |
//! | `messaging.consumer.group.name` | consumer | from [`Delivery::group`] |
//! | `throughline.messaging.redelivered` | consumer | true if it was delivered before: [`Delivery::claimed`], [`Delivery::deliveries`] |
//! | `throughline.redis.delivery_count` | consumer | how often it was delivered, if that is known |
//!
//! The span of a batch has `messaging.batch.message_count` and, where they are the same for all, the system, the
//! operation, the stream and the group; the rest is on its links.
//!
//! A loop that waits for entries is best run on a connection that is not traced: each `XREADGROUP` that comes
//! back empty would be a trace of its own.
//!
//! # Cost
//!
//! A future more on the heap for each command, which is looked at only if its span is recorded. In a trace that is
//! not sampled the connection's own future is returned.

mod arguments;
mod blocking;
mod command;
mod failure;
mod stream;
#[cfg(all(test, feature = "testing"))]
mod tests;

use std::fmt;
use std::sync::Arc;

use opentelemetry::trace::SpanKind;
use redis::{Client, Cmd, ConnectionAddr, Pipeline, RedisFuture, RedisResult, Value, aio};

use self::command::Call;
pub use self::stream::{Delivery, StreamCommands, fields, inject};
use crate::context::current;
use crate::span::{
    builder::SpanBuilder,
    handle::{Span, is_off},
};

/// A connection with a span for each command. Made by [`traced`].
#[derive(Clone)]
pub struct Traced<C> {
    inner: C,
    server: Option<Arc<Server>>,
    hide_keys: bool,
}

/// Where commands go.
#[derive(Debug)]
struct Server {
    address: String,
    port: Option<u16>,
}

/// Wraps a connection: a `MultiplexedConnection`, a `ConnectionManager`, one of a cluster or of a pool, a
/// blocking one.
pub fn traced<C>(connection: C) -> Traced<C> {
    crate::redact::add_redactor(crate::transport::server_text::redis);
    Traced { inner: connection, server: None, hide_keys: false }
}

impl<C> Traced<C> {
    /// Says which server the connection leads to: `server.address` and `server.port`.
    #[must_use]
    pub fn server(mut self, address: impl Into<String>, port: u16) -> Self {
        self.server = Some(Arc::new(Server { address: address.into(), port: Some(port) }));
        self
    }

    /// The same, taken from the client that has made the connection.
    #[must_use]
    pub fn client(mut self, client: &Client) -> Self {
        let server = match client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Server { address: host.clone(), port: Some(*port) }
            }
            ConnectionAddr::Unix(path) => Server { address: path.to_string_lossy().into_owned(), port: None },
            _ => return self,
        };
        self.server = Some(Arc::new(server));
        self
    }

    /// Leaves keys and names of fields out of `db.query.text`, as values are.
    #[must_use]
    pub fn hide_keys(mut self) -> Self {
        self.hide_keys = true;
        self
    }

    /// The connection, for what is not to be traced.
    pub fn get_ref(&self) -> &C {
        &self.inner
    }

    /// The connection, for what is not to be traced.
    pub fn get_mut(&mut self) -> &mut C {
        &mut self.inner
    }

    /// Gives the connection back.
    pub fn into_inner(self) -> C {
        self.inner
    }

    /// Opens the span of what `call` describes. It is not called where nothing can be recorded.
    fn open(&self, database: i64, call: impl FnOnce(bool) -> Call) -> Span {
        if current::with(is_off) {
            return Span::none();
        }
        let call = call(!self.hide_keys);
        let builder = match &call.operation {
            Some(operation) => SpanBuilder::new(operation.clone()),
            None => SpanBuilder::new("redis"),
        };
        builder.kind(SpanKind::Client).start_with(|tags| {
            tags.attribute("db.system.name", "redis");
            tags.attribute("db.namespace", database.to_string());
            if let Some(operation) = call.operation {
                tags.attribute("db.operation.name", operation);
            }
            if call.size > 1 {
                tags.attribute("db.operation.batch.size", i64::try_from(call.size).unwrap_or(i64::MAX));
            }
            if !call.text.is_empty() {
                tags.attribute("db.query.text", call.text);
            }
            if let Some(procedure) = call.procedure {
                tags.attribute("db.stored_procedure.name", procedure);
            }
            if let Some(server) = &self.server {
                tags.attribute("server.address", server.address.clone());
                if let Some(port) = server.port {
                    tags.attribute("server.port", i64::from(port));
                }
            }
        })
    }
}

/// Whether there is nothing to do around the command.
fn is_nothing(span: &Span) -> bool {
    span.is_none()
}

impl<C> fmt::Debug for Traced<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traced").field("server", &self.server).finish_non_exhaustive()
    }
}

impl<C: aio::ConnectionLike> aio::ConnectionLike for Traced<C> {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let span = self.open(self.inner.get_db(), |keys| Call::of_command(cmd, keys));
        if is_nothing(&span) {
            return self.inner.req_packed_command(cmd);
        }
        Box::pin(span.run_async_with(
            || self.inner.req_packed_command(cmd),
            |result: &RedisResult<Value>| failure::outcome(result),
        ))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let span = self.open(self.inner.get_db(), |keys| Call::of_pipeline(pipeline, keys));
        if is_nothing(&span) {
            return self.inner.req_packed_commands(pipeline, offset, count);
        }
        Box::pin(span.run_async_with(
            || self.inner.req_packed_commands(pipeline, offset, count),
            |result: &RedisResult<Vec<Value>>| failure::outcome_of_all(result),
        ))
    }

    fn get_db(&self) -> i64 {
        self.inner.get_db()
    }
}
