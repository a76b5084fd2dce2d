//! Transactions with a span for their begin and their end.

use std::fmt;
use std::ops::{Deref, DerefMut};

use sqlx::mysql::{MySqlConnection, MySqlPool};
use sqlx::{Connection, MySql};

use super::executor::ended;
use super::{Server, Traced, statement};
use crate::span::outcome::Outcome;

/// A transaction, or a savepoint in one, whose begin and end have spans. Made by
/// [`Database::begin`](super::Database::begin) and [`Traced::begin`].
///
/// It is used like sqlx's own: queries run on `&mut *transaction`, or `&mut transaction`, and have their
/// spans. Dropped without an end it is rolled back, without a span.
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction<'c> {
    connection: InTransaction<'c>,
    savepoint: bool,
}

/// The connection of a [`Transaction`], on which statements have spans. It dereferences to sqlx's own,
/// where they have none.
pub struct InTransaction<'c> {
    inner: sqlx::Transaction<'c, MySql>,
    server: Server,
}

impl InTransaction<'_> {
    /// What a query runs on, or a transaction in this one begins on.
    pub fn traced(&mut self) -> Traced<&mut MySqlConnection> {
        Traced { executor: &mut self.inner, server: self.server.clone() }
    }

    /// Sets a savepoint, in a span.
    ///
    /// # Errors
    ///
    /// Those of [`sqlx::Connection::begin`].
    pub async fn begin(&mut self) -> sqlx::Result<Transaction<'_>> {
        self.traced().begin().await
    }
}

impl<'c> Transaction<'c> {
    fn new(inner: sqlx::Transaction<'c, MySql>, savepoint: bool, server: Server) -> Self {
        Self { connection: InTransaction { inner, server }, savepoint }
    }

    /// Commits the transaction, or releases the savepoint, in a span.
    ///
    /// # Errors
    ///
    /// Those of [`sqlx::Transaction::commit`].
    pub async fn commit(self) -> sqlx::Result<()> {
        let sql = if self.savepoint { "RELEASE SAVEPOINT" } else { "COMMIT" };
        let span = statement::open(sql, &self.connection.server);
        span.run_async(self.connection.inner.commit(), ended(|()| Outcome::ok())).await
    }

    /// Rolls the transaction back, or returns to the savepoint, in a span.
    ///
    /// # Errors
    ///
    /// Those of [`sqlx::Transaction::rollback`].
    pub async fn rollback(self) -> sqlx::Result<()> {
        let sql = if self.savepoint { "ROLLBACK TO SAVEPOINT" } else { "ROLLBACK" };
        let span = statement::open(sql, &self.connection.server);
        span.run_async(self.connection.inner.rollback(), ended(|()| Outcome::ok())).await
    }

    /// sqlx's own transaction.
    pub fn into_inner(self) -> sqlx::Transaction<'c, MySql> {
        self.connection.inner
    }
}

impl<'c> Deref for Transaction<'c> {
    type Target = InTransaction<'c>;

    fn deref(&self) -> &InTransaction<'c> {
        &self.connection
    }
}

impl<'c> DerefMut for Transaction<'c> {
    fn deref_mut(&mut self) -> &mut InTransaction<'c> {
        &mut self.connection
    }
}

impl Deref for InTransaction<'_> {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        &self.inner
    }
}

impl DerefMut for InTransaction<'_> {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        &mut self.inner
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("server", &self.connection.server).finish_non_exhaustive()
    }
}

impl fmt::Debug for InTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InTransaction").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Traced<&MySqlPool> {
    /// Begins a transaction, in a span.
    ///
    /// # Errors
    ///
    /// Those of [`sqlx::Pool::begin`].
    pub async fn begin(self) -> sqlx::Result<Transaction<'static>> {
        let span = statement::open("BEGIN", &self.server);
        let inner = span.run_async(self.executor.begin(), ended(|_| Outcome::ok())).await?;
        Ok(Transaction::new(inner, false, self.server))
    }
}

impl<'c> Traced<&'c mut MySqlConnection> {
    /// Begins a transaction in a span, or sets a savepoint if there is one already.
    ///
    /// # Errors
    ///
    /// Those of [`sqlx::Connection::begin`].
    pub async fn begin(self) -> sqlx::Result<Transaction<'c>> {
        let savepoint = self.executor.is_in_transaction();
        let span = statement::open(if savepoint { "SAVEPOINT" } else { "BEGIN" }, &self.server);
        let inner = span.run_async(Connection::begin(self.executor), ended(|_| Outcome::ok())).await?;
        Ok(Transaction::new(inner, savepoint, self.server))
    }
}
