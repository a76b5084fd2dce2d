//! Transactions with a span for their begin and their end.

use std::fmt;
use std::ops::{Deref, DerefMut};

use sqlx::mysql::{MySqlConnection, MySqlPool};
use sqlx::{Connection, MySql};

use super::executor::ended;
use super::{Server, Traced, statement};
use crate::outcome::Outcome;

/// A transaction, or a savepoint in one, whose begin and end have spans. Made by
/// [`Database::begin`](super::Database::begin) and [`Traced::begin`].
///
/// Its statements have spans when they run on `&mut transaction` or
/// [`transaction.traced()`](Self::traced). It dereferences to sqlx's connection: `&mut *transaction`, as
/// sqlx's own transactions want it, runs them without. Dropped without an end it is rolled back, without
/// a span.
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction<'c> {
    inner: sqlx::Transaction<'c, MySql>,
    savepoint: bool,
    server: Server,
}

impl<'c> Transaction<'c> {
    /// What a query of this transaction runs on, or a transaction in it begins on.
    pub fn traced(&mut self) -> Traced<&mut MySqlConnection> {
        Traced { executor: &mut self.inner, server: self.server.clone() }
    }

    /// Commits the transaction, or releases the savepoint, in a span.
    ///
    /// # Errors
    ///
    /// Those of [`sqlx::Transaction::commit`].
    pub async fn commit(self) -> sqlx::Result<()> {
        let sql = if self.savepoint { "RELEASE SAVEPOINT" } else { "COMMIT" };
        let span = statement::open(sql, &self.server);
        span.future(self.inner.commit(), ended(|()| Outcome::default())).await
    }

    /// Rolls the transaction back, or returns to the savepoint, in a span.
    ///
    /// # Errors
    ///
    /// Those of [`sqlx::Transaction::rollback`].
    pub async fn rollback(self) -> sqlx::Result<()> {
        let sql = if self.savepoint { "ROLLBACK TO SAVEPOINT" } else { "ROLLBACK" };
        let span = statement::open(sql, &self.server);
        span.future(self.inner.rollback(), ended(|()| Outcome::default())).await
    }

    /// sqlx's own transaction.
    pub fn into_inner(self) -> sqlx::Transaction<'c, MySql> {
        self.inner
    }
}

impl Deref for Transaction<'_> {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        &self.inner
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        &mut self.inner
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("server", &self.server).finish_non_exhaustive()
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
        let inner = span.future(self.executor.begin(), ended(|_| Outcome::default())).await?;
        Ok(Transaction { inner, savepoint: false, server: self.server })
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
        let inner = span.future(Connection::begin(self.executor), ended(|_| Outcome::default())).await?;
        Ok(Transaction { inner, savepoint, server: self.server })
    }
}
