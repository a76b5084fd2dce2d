#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arguments;
mod blocking;
mod command;
mod failure;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use redis::{Client, Cmd, ConnectionAddr, Pipeline, RedisFuture, RedisResult, Value, aio};
use throughline::redact::add_redactor;
use throughline::{Span, SpanBuilder, SpanKind, enabled, semconv};

use self::command::Call;
pub use self::stream::{Delivery, Redis, StreamCommandsExt, fields, inject, inject_context};

/// A connection with a span for each command, pipeline and transaction. Created by [`traced`].
///
/// It implements the same `ConnectionLike` trait as the wrapped connection, asynchronous or blocking, and therefore all
/// commands of the `redis` crate. It is `Clone` if the wrapped connection is.
#[derive(Clone)]
pub struct TracedConnection<C> {
    inner: C,
    server: Option<Arc<Server>>,
    hide_keys: bool,
}

/// The server that commands are sent to.
#[derive(Debug)]
struct Server {
    address: String,
    port: Option<u16>,
}

/// Wraps a connection, so that each command has a span: a `MultiplexedConnection`, a `ConnectionManager`, a connection
/// of a cluster or a pool, or a blocking `Connection`.
///
/// Wrapping is free of cost. Wrap a connection once and clone the wrapper.
///
/// ```no_run
/// # async fn example() -> redis::RedisResult<()> {
/// use redis::AsyncCommands as _;
/// use throughline_redis::traced;
///
/// let client = redis::Client::open("redis://127.0.0.1:6379")?;
/// let mut connection = traced(client.get_multiplexed_async_connection().await?).client(&client);
/// let left: i64 = connection.decr("stock:keyboard", 1).await?;
/// # Ok(())
/// # }
/// ```
pub fn traced<C>(connection: C) -> TracedConnection<C> {
    add_redactor(failure::redact);
    TracedConnection { inner: connection, server: None, hide_keys: false }
}

impl<C> TracedConnection<C> {
    /// Sets the address of the server: `server.address` and `server.port`.
    #[must_use]
    pub fn server(mut self, address: impl Into<String>, port: u16) -> Self {
        self.server = Some(Arc::new(Server { address: address.into(), port: Some(port) }));
        self
    }

    /// Sets the address of the server from the client that created the connection. For a Unix socket, `server.address`
    /// is its path, and there is no `server.port`.
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

    /// Replaces keys and field names in `db.query.text` with `?`, like values. For keys that contain secrets or
    /// personal data, such as session IDs.
    #[must_use]
    pub fn hide_keys(mut self) -> Self {
        self.hide_keys = true;
        self
    }

    /// Returns a reference to the wrapped connection, for commands that should have no span.
    pub fn get_ref(&self) -> &C {
        &self.inner
    }

    /// Returns a mutable reference to the wrapped connection, for commands that should have no span.
    pub fn get_mut(&mut self) -> &mut C {
        &mut self.inner
    }

    /// Returns the wrapped connection.
    pub fn into_inner(self) -> C {
        self.inner
    }

    /// Starts the span that `call` describes. `call` is not called if nothing is recorded.
    fn start(&self, database: i64, call: impl FnOnce(bool) -> Call) -> Span {
        if !enabled() {
            return Span::none();
        }
        let call = call(!self.hide_keys);
        let name = call.span_name().unwrap_or("redis".into());
        SpanBuilder::new(name).kind(SpanKind::Client).start_with(|tags| {
            tags.attribute(semconv::DB_SYSTEM_NAME, "redis");
            tags.attribute(semconv::DB_NAMESPACE, database.to_string());
            if let Some(operation) = call.operation {
                tags.attribute(semconv::DB_OPERATION_NAME, operation);
            }
            if call.size > 1 {
                tags.attribute(semconv::DB_OPERATION_BATCH_SIZE, i64::try_from(call.size).unwrap_or(i64::MAX));
            }
            if !call.text.is_empty() {
                tags.attribute(semconv::DB_QUERY_TEXT, call.text);
            }
            if let Some(procedure) = call.procedure {
                tags.attribute(semconv::DB_STORED_PROCEDURE_NAME, procedure);
            }
            if let Some(server) = &self.server {
                tags.extend(semconv::server(server.address.clone(), server.port));
            }
        })
    }
}

impl<C> fmt::Debug for TracedConnection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedConnection").field("server", &self.server).finish_non_exhaustive()
    }
}

impl<C: aio::ConnectionLike> aio::ConnectionLike for TracedConnection<C> {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let span = self.start(self.inner.get_db(), |keys| Call::of_command(cmd, keys));
        if span.is_none() {
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
        let span = self.start(self.inner.get_db(), |keys| Call::of_pipeline(pipeline, keys));
        if span.is_none() {
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
