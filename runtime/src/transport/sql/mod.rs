//! SQL statements with `sqlx` on MySQL and MariaDB: one span for each.
//!
//! [`traced`] goes around what a query runs on, and is itself what a query runs on: a pool, a
//! connection, a transaction. Queries, their types and their errors stay as they are, those of
//! `query!` and `query_as!` too.
//!
//! ```no_run
//! # async fn example() -> sqlx::Result<()> {
//! use sqlx::mysql::MySqlPool;
//! use throughline::sql::{self, traced};
//!
//! let pool = MySqlPool::connect("mysql://root@127.0.0.1:3306/test").await?;
//! let orders: Vec<(u64, String)> = sqlx::query_as("SELECT order_no, sku FROM orders WHERE tenant_id = ?")
//!     .bind("acme")
//!     .fetch_all(traced(&pool))
//!     .await?;
//!
//! // What is the same for every statement is said once.
//! let database = sql::Database::new(pool).mariadb();
//! let mut transaction = database.begin().await?;
//! sqlx::query("DELETE FROM orders WHERE order_no = ?").bind(7).execute(&mut *transaction).await?;
//! transaction.commit().await?;
//! sqlx::query("OPTIMIZE TABLE orders").execute(&database).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # The span
//!
//! Of kind client, a child of the current span, named by the summary of the statement: `SELECT orders`. It
//! follows the OpenTelemetry semantic conventions for
//! [SQL databases](https://opentelemetry.io/docs/specs/semconv/db/sql/) and
//! [MySQL](https://opentelemetry.io/docs/specs/semconv/db/mysql/).
//!
//! | attribute | value |
//! |---|---|
//! | `db.system.name` | `mysql`, or `mariadb` if told so ([`Traced::mariadb`]): the driver does not tell which of the two answers |
//! | `db.query.text` | the statement with `?` for every literal, `IN (?)` for a list of values, without comments; at most 2,048 bytes |
//! | `db.query.summary` | operations and tables, at most 255 bytes |
//! | `db.operation.name` | the operation as it is written, if there is one statement |
//! | `db.collection.name` | the table, if there is exactly one |
//! | `db.namespace`, `server.address`, `server.port` | from the options of the pool; for a connection see [`Traced::options`] |
//! | `db.response.returned_rows` | rows that were received, for everything that fetches |
//! | `throughline.db.affected_rows` | rows that were changed, for everything that executes |
//! | `db.response.status_code`, `error.type` | the number of the server's error, such as `1062` |
//!
//! Bound arguments are never recorded. A text is only recorded if it is certain what in it is a literal: one
//! with an unterminated string, with a `/*! … */` comment, or that means something else under
//! `NO_BACKSLASH_ESCAPES` or `ANSI_QUOTES` leaves `db.query.text` out. In double quotes stands a literal, unless
//! the server runs with `ANSI_QUOTES`; such a name is replaced, too.
//!
//! # Errors
//!
//! The error reaches the caller as it is. On the span the values that MySQL puts into its messages
//! (`Duplicate entry 'ada@example.com' for key 'email'`) are replaced, and names stay: `Duplicate entry '?' for key
//! 'email'`. The spans around it show the same: in the text of an error that has sqlx's in it, through `Display` or
//! `Debug`, what the server has said is replaced likewise. That holds for what is recorded and logged by
//! Throughline; what the application writes into its own log lines is its own. Not replaced is what other
//! errors of sqlx quote on the spans around (of decoding a value, for example); choose
//! [`ErrorText::type_only`](crate::ErrorText::type_only) where that must not be seen. No row for
//! `fetch_one` is no failure of the statement: the span has 0 returned rows.
//!
//! # Time, cancellation
//!
//! The span starts when the future or stream is first polled, so it has the wait for a connection of the
//! pool in it. It ends with the last row. A future or stream that is dropped before that leaves it
//! `throughline.cancelled`, which is not an error, with the rows so far: with `fetch` the one who takes ten rows of
//! thousands and stops. `fetch_one` and `fetch_optional` read one row and are complete. A transaction that is
//! dropped is rolled back by the next use of its connection, which has no span.
//!
//! # Cost
//!
//! One pass over the first 64 KiB of the statement, and a few allocations more than sqlx has. In a trace that is
//! not sampled the statement is not looked at.

mod executor;
mod failure;
mod lexer;
mod parse;
mod statement;
mod summary;
#[cfg(test)]
mod tests;
mod text;
mod transaction;

use std::fmt;
use std::sync::Arc;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPool};
use sqlx::pool::PoolConnection;
use sqlx::{Executor, MySql};

pub use self::transaction::{InTransaction, Transaction};
use crate::tags::set::Tags;

/// What a query runs on, with a span for each statement. Made by [`traced`].
#[derive(Clone)]
pub struct Traced<E> {
    executor: E,
    server: Server,
}

/// Wraps what a query runs on: `&pool`, `&mut connection`, `&mut transaction`.
pub fn traced<'c, T: Target<'c>>(target: T) -> Traced<T::Executor> {
    crate::redact::add_redactor(crate::transport::server_text::mysql);
    let (executor, options) = target.into_parts();
    Traced { executor, server: Server { options, mariadb: false } }
}

impl<E> Traced<E> {
    /// Says that the server is a MariaDB: `db.system.name` is then `mariadb`.
    #[must_use]
    pub fn mariadb(mut self) -> Self {
        self.server.mariadb = true;
        self
    }

    /// Says where a connection leads, which sqlx does not tell of it: `server.address`,
    /// `server.port` and `db.namespace`. A pool knows.
    #[must_use]
    pub fn options(mut self, options: Arc<MySqlConnectOptions>) -> Self {
        self.server.options = Some(options);
        self
    }
}

impl<E> fmt::Debug for Traced<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traced").field("server", &self.server).finish_non_exhaustive()
    }
}

/// What can be [`traced`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that statements of MySQL run on",
    label = "expected `&MySqlPool`, `&mut MySqlConnection`, `&mut PoolConnection<MySql>` or `&mut Transaction<'_, MySql>`"
)]
pub trait Target<'c>: sealed::Target {
    /// What runs the statements.
    type Executor: Executor<'c, Database = MySql>;

    #[doc(hidden)]
    fn into_parts(self) -> (Self::Executor, Option<Arc<MySqlConnectOptions>>);
}

mod sealed {
    pub trait Target {}

    impl Target for &sqlx::mysql::MySqlPool {}
    impl Target for &mut sqlx::mysql::MySqlConnection {}
    impl Target for &mut sqlx::pool::PoolConnection<sqlx::MySql> {}
    impl Target for &mut sqlx::Transaction<'_, sqlx::MySql> {}
}

impl<'c> Target<'c> for &'c MySqlPool {
    type Executor = Self;

    fn into_parts(self) -> (Self, Option<Arc<MySqlConnectOptions>>) {
        (self, Some(self.connect_options()))
    }
}

impl<'c> Target<'c> for &'c mut MySqlConnection {
    type Executor = Self;

    fn into_parts(self) -> (Self, Option<Arc<MySqlConnectOptions>>) {
        (self, None)
    }
}

impl<'c> Target<'c> for &'c mut PoolConnection<MySql> {
    type Executor = &'c mut MySqlConnection;

    fn into_parts(self) -> (Self::Executor, Option<Arc<MySqlConnectOptions>>) {
        (&mut **self, None)
    }
}

impl<'c> Target<'c> for &'c mut sqlx::Transaction<'_, MySql> {
    type Executor = &'c mut MySqlConnection;

    fn into_parts(self) -> (Self::Executor, Option<Arc<MySqlConnectOptions>>) {
        (&mut **self, None)
    }
}

/// A pool whose statements are traced, for the state of an application: `&database` is what a query
/// runs on. Cloning is cheap, and the clone is the same pool.
#[derive(Debug, Clone)]
pub struct Database {
    pool: MySqlPool,
    mariadb: bool,
}

impl Database {
    /// A database behind `pool`.
    pub fn new(pool: MySqlPool) -> Self {
        Self { pool, mariadb: false }
    }

    /// Says that the server is a MariaDB: `db.system.name` is then `mariadb`.
    #[must_use]
    pub fn mariadb(mut self) -> Self {
        self.mariadb = true;
        self
    }

    /// The pool, for what is not to be traced.
    pub fn pool(&self) -> &MySqlPool {
        &self.pool
    }

    /// Begins a transaction, in a span.
    ///
    /// # Errors
    ///
    /// Those of [`sqlx::Pool::begin`].
    pub async fn begin(&self) -> sqlx::Result<Transaction<'static>> {
        self.traced().begin().await
    }

    fn traced(&self) -> Traced<&MySqlPool> {
        let mut traced = traced(&self.pool);
        traced.server.mariadb = self.mariadb;
        traced
    }
}

/// Where statements go.
#[derive(Clone)]
struct Server {
    options: Option<Arc<MySqlConnectOptions>>,
    mariadb: bool,
}

impl Server {
    fn system(&self) -> &'static str {
        if self.mariadb { "mariadb" } else { "mysql" }
    }

    fn describe(&self, tags: &mut Tags) {
        tags.attribute("db.system.name", self.system());
        let Some(options) = &self.options else { return };
        if let Some(database) = options.get_database() {
            tags.attribute("db.namespace", database.to_owned());
        }
        if let Some(socket) = options.get_socket() {
            tags.attribute("server.address", socket.to_string_lossy().into_owned());
        } else {
            tags.attribute("server.address", options.get_host().to_owned());
            tags.attribute("server.port", i64::from(options.get_port()));
        }
    }
}

impl fmt::Debug for Server {
    /// The options hold the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.options.as_ref().map(|options| (options.get_host(), options.get_port()));
        f.debug_struct("Server").field("system", &self.system()).field("address", &address).finish_non_exhaustive()
    }
}
