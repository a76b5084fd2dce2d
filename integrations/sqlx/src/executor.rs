//! The implementations of `sqlx::Executor`.

use std::future;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::mysql::{MySqlQueryResult, MySqlRow, MySqlStatement, MySqlTypeInfo};
use sqlx::{Describe, Either, Error, Execute, Executor, MySql, SqlStr};
use throughline::semconv::{DB_RESPONSE_RETURNED_ROWS, THROUGHLINE_DB_AFFECTED_ROWS};
use throughline::{Instrumented, Observe, Observer, Outcome, Span};

use super::statement::{self, Query};
use super::{Database, TracedExecutor, Transaction, TransactionConnection, failure};

type Result<T> = std::result::Result<T, Error>;

impl<'c, X> Executor<'c> for TracedExecutor<X>
where
    X: Executor<'c, Database = MySql> + 'c,
{
    type Database = MySql;

    fn execute<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<MySqlQueryResult>>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        let query = Query::new(query);
        Box::pin(async move {
            let span = query.span(&self.server);
            span.run_async_with(
                || self.executor.execute(query),
                ended(|done| Outcome::ok().attribute(THROUGHLINE_DB_AFFECTED_ROWS, affected(done))),
            )
            .await
        })
    }

    fn execute_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<MySqlQueryResult>>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        steps(self, Query::new(query), Either::left)
    }

    fn fetch<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<MySqlRow>>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        steps(self, Query::new(query), Either::right)
    }

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step>>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        steps(self, Query::new(query), Some)
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Vec<MySqlRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        let query = Query::new(query);
        Box::pin(async move {
            let span = query.span(&self.server);
            span.run_async_with(|| self.executor.fetch_all(query), ended(|rows: &Vec<_>| returned(rows.len()))).await
        })
    }

    fn fetch_one<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<MySqlRow>>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        let query = Query::new(query);
        Box::pin(async move {
            let span = query.span(&self.server);
            let outcome = |result: &Result<MySqlRow>| match result {
                Err(Error::RowNotFound) => returned(0),
                other => ended(|_| returned(1))(other),
            };
            span.run_async_with(|| self.executor.fetch_one(query), outcome).await
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<MySqlRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        let query = Query::new(query);
        Box::pin(async move {
            let span = query.span(&self.server);
            let outcome = ended(|row: &Option<_>| returned(row.iter().len()));
            span.run_async_with(|| self.executor.fetch_optional(query), outcome).await
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [MySqlTypeInfo]) -> BoxFuture<'e, Result<MySqlStatement>>
    where
        'c: 'e,
    {
        Box::pin(async move {
            let span = statement::start(sql.as_str(), &self.server);
            span.run_async_with(|| self.executor.prepare_with(sql, parameters), ended(|_| Outcome::ok())).await
        })
    }

    /// Called by the macros of sqlx at compile time: no span.
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<MySql>>>
    where
        'c: 'e,
    {
        self.executor.describe(sql)
    }
}

macro_rules! through_traced {
    ($($method:ident -> $output:ident<$item:ty>),* $(,)?) => {$(
        fn $method<'e, 'q: 'e, E>(self, query: E) -> $output<'e, Result<$item>>
        where
            'c: 'e,
            E: 'q + Execute<'q, MySql>,
        {
            self.traced().$method(query)
        }
    )*};
}

macro_rules! executors {
    ($($executor:ty),* $(,)?) => {$(
        impl<'c> Executor<'c> for $executor {
            type Database = MySql;

            through_traced! {
                execute -> BoxFuture<MySqlQueryResult>,
                execute_many -> BoxStream<MySqlQueryResult>,
                fetch -> BoxStream<MySqlRow>,
                fetch_many -> BoxStream<Step>,
                fetch_all -> BoxFuture<Vec<MySqlRow>>,
                fetch_one -> BoxFuture<MySqlRow>,
                fetch_optional -> BoxFuture<Option<MySqlRow>>,
            }

            fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [MySqlTypeInfo]) -> BoxFuture<'e, Result<MySqlStatement>>
            where
                'c: 'e,
            {
                self.traced().prepare_with(sql, parameters)
            }

            fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<MySql>>>
            where
                'c: 'e,
            {
                self.traced().describe(sql)
            }
        }
    )*};
}

executors!(&'c Database, &'c mut Transaction<'_>, &'c mut TransactionConnection<'_>);

/// The outcome of a statement. `fine` returns that of a successful one.
pub(super) fn ended<T>(fine: impl FnOnce(&T) -> Outcome) -> impl FnOnce(&Result<T>) -> Outcome {
    |result| match result {
        Ok(value) => fine(value),
        Err(error) => failure::outcome(error),
    }
}

fn returned(rows: usize) -> Outcome {
    Outcome::ok().attribute(DB_RESPONSE_RETURNED_ROWS, i64::try_from(rows).unwrap_or(i64::MAX))
}

fn affected(done: &MySqlQueryResult) -> i64 {
    i64::try_from(done.rows_affected()).unwrap_or(i64::MAX)
}

/// What the server sends: a row, or the end of a result.
type Step<R = MySqlRow> = Either<MySqlQueryResult, R>;

/// The response to a statement as a stream, whose items `pick` selects. The span starts at the first poll.
fn steps<'c, 'e, X, T>(traced: TracedExecutor<X>, query: Query, pick: fn(Step) -> Option<T>) -> BoxStream<'e, Result<T>>
where
    'c: 'e,
    X: Executor<'c, Database = MySql> + 'e,
    T: Send + 'e,
{
    let start = async move {
        let span = query.span(&traced.server);
        counted(span, || traced.executor.fetch_many(query))
    };
    let steps = stream::once(start).flatten();
    steps.try_filter_map(move |step| future::ready(Ok(pick(step)))).boxed()
}

/// The stream that `make` returns, in a span that counts its rows.
fn counted<S>(span: Span, make: impl FnOnce() -> S) -> Instrumented<S, Rows> {
    span.instrument_with(make, Rows::default())
}

/// Counts the rows of a stream. They are recorded when it ends, fails or is dropped.
#[derive(Default)]
struct Rows {
    returned: i64,
    /// Unknown until the server has sent the end of a result.
    affected: Option<i64>,
}

impl Rows {
    /// The rows so far. Those affected are left out for a statement that only returns rows.
    fn counts(&self) -> impl Iterator<Item = (&'static str, i64)> + use<> {
        let affected = self.affected.filter(|&affected| affected > 0 || self.returned == 0);
        let affected = affected.map(|affected| (THROUGHLINE_DB_AFFECTED_ROWS, affected));
        std::iter::once((DB_RESPONSE_RETURNED_ROWS, self.returned)).chain(affected)
    }

    fn end(&self, span: &mut Span, outcome: impl FnOnce() -> Outcome) {
        span.end(|| self.counts().fold(outcome(), |outcome, (key, rows)| outcome.attribute(key, rows)));
    }
}

impl Observer for Rows {
    fn finished(&mut self, span: &mut Span) {
        self.end(span, Outcome::ok);
    }

    /// A stream that is dropped before its end leaves the span cancelled, with the rows so far.
    fn dropped(&mut self, span: &mut Span) {
        if span.is_recording() {
            for (key, rows) in self.counts() {
                span.record(key, rows);
            }
        }
    }
}

impl<R> Observe<Result<Step<R>>> for Rows {
    type Output = Result<Step<R>>;

    fn observe(&mut self, span: &mut Span, step: Result<Step<R>>) -> Result<Step<R>> {
        match &step {
            Ok(Either::Left(done)) => {
                self.affected = Some(self.affected.unwrap_or_default().saturating_add(affected(done)));
            }
            Ok(Either::Right(_)) => self.returned = self.returned.saturating_add(1),
            Err(error) => self.end(span, || failure::outcome(error)),
        }
        step
    }
}

#[cfg(test)]
mod tests;
