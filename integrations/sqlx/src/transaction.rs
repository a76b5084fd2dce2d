//! Transactions, with spans for `BEGIN`, `COMMIT`, `ROLLBACK` and savepoints.

use std::fmt;
use std::ops::{Deref, DerefMut};

use sqlx::mysql::{MySqlConnection, MySqlPool};
use sqlx::{Connection, MySql};
use throughline::Outcome;

use super::executor::ended;
use super::{Server, TracedExecutor, statement};

/// A transaction or savepoint that begins and ends in spans. Created by [`Database::begin`](super::Database::begin) and
/// [`TracedExecutor::begin`].
///
/// Use it like sqlx's own transaction: queries run on `&mut *transaction` or `&mut transaction`, and have spans. If it
/// is dropped before [`commit`](Self::commit) or [`rollback`](Self::rollback), sqlx rolls it back when the connection
/// is next used, without a span.
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction<'c> {
    connection: TransactionConnection<'c>,
    savepoint: bool,
}

/// The connection of a [`Transaction`]. `&mut TransactionConnection` is an [`Executor`](sqlx::Executor) with a span
/// for each statement; the [`MySqlConnection`] that it dereferences to has none.
pub struct TransactionConnection<'c> {
    inner: sqlx::Transaction<'c, MySql>,
    server: Server,
}

impl TransactionConnection<'_> {
    /// Returns the connection as a traced executor, on which savepoints can be set as well.
    pub fn traced(&mut self) -> TracedExecutor<&mut MySqlConnection> {
        TracedExecutor { executor: &mut self.inner, server: self.server.clone() }
    }

    /// Sets a savepoint, in a span named `SAVEPOINT`.
    ///
    /// # Errors
    ///
    /// Returns the error of [`sqlx::Connection::begin`].
    pub async fn begin(&mut self) -> sqlx::Result<Transaction<'_>> {
        self.traced().begin().await
    }
}

impl<'c> Transaction<'c> {
    fn new(inner: sqlx::Transaction<'c, MySql>, savepoint: bool, server: Server) -> Self {
        Self { connection: TransactionConnection { inner, server }, savepoint }
    }

    /// Commits the transaction or releases the savepoint, in a span.
    ///
    /// # Errors
    ///
    /// Returns the error of [`sqlx::Transaction::commit`].
    pub async fn commit(self) -> sqlx::Result<()> {
        let sql = if self.savepoint { "RELEASE SAVEPOINT" } else { "COMMIT" };
        let span = statement::start(sql, &self.connection.server);
        span.run_async(self.connection.inner.commit(), ended(|()| Outcome::ok())).await
    }

    /// Rolls back the transaction, or rolls back to the savepoint, in a span.
    ///
    /// # Errors
    ///
    /// Returns the error of [`sqlx::Transaction::rollback`].
    pub async fn rollback(self) -> sqlx::Result<()> {
        let sql = if self.savepoint { "ROLLBACK TO SAVEPOINT" } else { "ROLLBACK" };
        let span = statement::start(sql, &self.connection.server);
        span.run_async(self.connection.inner.rollback(), ended(|()| Outcome::ok())).await
    }

    /// Returns sqlx's own transaction. Its statements, and its commit or rollback, have no spans.
    pub fn into_inner(self) -> sqlx::Transaction<'c, MySql> {
        self.connection.inner
    }
}

impl<'c> Deref for Transaction<'c> {
    type Target = TransactionConnection<'c>;

    fn deref(&self) -> &TransactionConnection<'c> {
        &self.connection
    }
}

impl<'c> DerefMut for Transaction<'c> {
    fn deref_mut(&mut self) -> &mut TransactionConnection<'c> {
        &mut self.connection
    }
}

impl Deref for TransactionConnection<'_> {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        &self.inner
    }
}

impl DerefMut for TransactionConnection<'_> {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        &mut self.inner
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("server", &self.connection.server).finish_non_exhaustive()
    }
}

impl fmt::Debug for TransactionConnection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionConnection").field("server", &self.server).finish_non_exhaustive()
    }
}

impl TracedExecutor<&MySqlPool> {
    /// Begins a transaction, in a span named `BEGIN`.
    ///
    /// # Errors
    ///
    /// Returns the error of [`sqlx::Pool::begin`].
    pub async fn begin(self) -> sqlx::Result<Transaction<'static>> {
        let span = statement::start("BEGIN", &self.server);
        let inner = span.run_async(self.executor.begin(), ended(|_| Outcome::ok())).await?;
        Ok(Transaction::new(inner, false, self.server))
    }
}

impl<'c> TracedExecutor<&'c mut MySqlConnection> {
    /// Begins a transaction, in a span named `BEGIN`. Within a transaction, sets a savepoint instead, in a span named
    /// `SAVEPOINT`.
    ///
    /// # Errors
    ///
    /// Returns the error of [`sqlx::Connection::begin`].
    pub async fn begin(self) -> sqlx::Result<Transaction<'c>> {
        let savepoint = self.executor.is_in_transaction();
        let span = statement::start(if savepoint { "SAVEPOINT" } else { "BEGIN" }, &self.server);
        let inner = span.run_async(Connection::begin(self.executor), ended(|_| Outcome::ok())).await?;
        Ok(Transaction::new(inner, savepoint, self.server))
    }
}
