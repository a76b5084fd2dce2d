#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod executor;
mod failure;
mod lexer;
mod message;
mod parse;
mod statement;
mod summary;
#[cfg(test)]
mod tests;
mod text;
mod transaction;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPool};
use sqlx::pool::PoolConnection;
use sqlx::{Executor, MySql};

use throughline::redact::add_redactor;
use throughline::{Tags, semconv};

pub use self::transaction::{Transaction, TransactionConnection};

/// An [`Executor`] with a span for each statement. Created by [`traced`].
#[derive(Clone)]
pub struct TracedExecutor<E> {
    executor: E,
    server: Server,
}

/// Wraps an executor, so that each statement has a span: `&pool`, `&mut connection` or `&mut transaction`.
///
/// This is cheap: it copies the reference and, for a pool, clones the [`Arc`] of its options.
///
/// ```no_run
/// # async fn example(pool: sqlx::MySqlPool) -> sqlx::Result<()> {
/// use throughline_sqlx::traced;
///
/// sqlx::query("DELETE FROM orders WHERE order_no = ?").bind(7).execute(traced(&pool)).await?;
/// let mut connection = pool.acquire().await?;
/// sqlx::query("OPTIMIZE TABLE orders").execute(traced(&mut connection)).await?;
/// # Ok(())
/// # }
/// ```
pub fn traced<'c, T: Target<'c>>(target: T) -> TracedExecutor<T::Executor> {
    add_redactor(message::redact);
    let (executor, options) = target.into_parts();
    TracedExecutor { executor, server: Server { options, mariadb: false } }
}

impl<E> TracedExecutor<E> {
    /// Records `mariadb` as `db.system.name`, instead of `mysql`. The driver does not report which of the two the
    /// server is.
    #[must_use]
    pub fn mariadb(mut self) -> Self {
        self.server.mariadb = true;
        self
    }

    /// Sets the options from which `server.address`, `server.port` and `db.namespace` are taken. Not needed for a pool,
    /// which provides its own options; connections and transactions do not expose theirs.
    #[must_use]
    pub fn options(mut self, options: Arc<MySqlConnectOptions>) -> Self {
        self.server.options = Some(options);
        self
    }
}

impl<E> fmt::Debug for TracedExecutor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedExecutor").field("server", &self.server).finish_non_exhaustive()
    }
}

/// An executor that can be [`traced`].
///
/// This trait is sealed. It is implemented for `&MySqlPool`, `&mut MySqlConnection`, `&mut PoolConnection<MySql>` and
/// `&mut Transaction<'_, MySql>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a MySQL executor",
    label = "expected `&MySqlPool`, `&mut MySqlConnection`, `&mut PoolConnection<MySql>` or `&mut Transaction<'_, MySql>`"
)]
pub trait Target<'c>: sealed::Target {
    /// The executor that runs the statements.
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

/// A traced pool, for example for the state of an application. `&Database` is an [`Executor`].
///
/// Cloning is cheap, and all clones share the pool.
#[derive(Debug, Clone)]
pub struct Database {
    pool: MySqlPool,
    mariadb: bool,
}

impl Database {
    /// Wraps `pool`, so that each statement that runs on it has a span.
    pub fn new(pool: MySqlPool) -> Self {
        add_redactor(message::redact);
        Self { pool, mariadb: false }
    }

    /// Records `mariadb` as `db.system.name`, instead of `mysql`.
    #[must_use]
    pub fn mariadb(mut self) -> Self {
        self.mariadb = true;
        self
    }

    /// Returns the pool, for statements that should have no span.
    pub fn pool(&self) -> &MySqlPool {
        &self.pool
    }

    /// Begins a transaction, in a span named `BEGIN`.
    ///
    /// # Errors
    ///
    /// Returns the error of [`sqlx::Pool::begin`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, the span is marked `throughline.cancelled`.
    pub async fn begin(&self) -> sqlx::Result<Transaction<'static>> {
        self.traced().begin().await
    }

    fn traced(&self) -> TracedExecutor<&MySqlPool> {
        let mut traced = traced(&self.pool);
        traced.server.mariadb = self.mariadb;
        traced
    }
}

/// The server of the statements.
#[derive(Clone)]
struct Server {
    options: Option<Arc<MySqlConnectOptions>>,
    mariadb: bool,
}

impl Server {
    fn system(&self) -> &'static str {
        if self.mariadb { "mariadb" } else { "mysql" }
    }

    /// The name of the span of a statement without a summary: the database, or else the server.
    fn target(&self) -> Cow<'static, str> {
        match &self.options {
            Some(options) => match options.get_database() {
                Some(database) => database.to_owned().into(),
                None if options.get_socket().is_none() => {
                    format!("{}:{}", options.get_host(), options.get_port()).into()
                }
                None => self.system().into(),
            },
            None => self.system().into(),
        }
    }

    fn describe(&self, tags: &mut Tags) {
        tags.attribute(semconv::DB_SYSTEM_NAME, self.system());
        let Some(options) = &self.options else { return };
        if let Some(database) = options.get_database() {
            tags.attribute(semconv::DB_NAMESPACE, database.to_owned());
        }
        if let Some(socket) = options.get_socket() {
            tags.extend(semconv::server(socket.to_string_lossy().into_owned(), None));
        } else {
            tags.extend(semconv::server(options.get_host().to_owned(), Some(options.get_port())));
        }
    }
}

impl fmt::Debug for Server {
    /// Without the options, which include the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.options.as_ref().map(|options| (options.get_host(), options.get_port()));
        f.debug_struct("Server").field("system", &self.system()).field("address", &address).finish_non_exhaustive()
    }
}
