//! What sqlx runs queries on.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use opentelemetry::KeyValue;
use opentelemetry::trace::TraceContextExt as _;
use sqlx::mysql::{MySqlQueryResult, MySqlRow, MySqlStatement, MySqlTypeInfo};
use sqlx::{Describe, Either, Error, Execute, Executor, MySql, SqlStr};

use super::statement::{self, Query};
use super::{Database, InTransaction, Traced, Transaction, failure};
use crate::span::handle::Span;
use crate::span::outcome::Outcome;

type BoxFuture<'e, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'e>>;
type BoxStream<'e, T> = Pin<Box<dyn Stream<Item = Result<T, Error>> + Send + 'e>>;

const RETURNED: &str = "db.response.returned_rows";
const AFFECTED: &str = "throughline.db.affected_rows";

impl<'c, X> Executor<'c> for Traced<X>
where
    X: Executor<'c, Database = MySql> + 'c,
{
    type Database = MySql;

    fn execute<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, MySqlQueryResult>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        let query = Query::new(query);
        Box::pin(async move {
            let span = query.span(&self.server);
            span.run_async_with(
                || self.executor.execute(query),
                ended(|done| Outcome::ok().attribute(AFFECTED, affected(done))),
            )
            .await
        })
    }

    fn execute_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, MySqlQueryResult>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        Steps::boxed(self, Query::new(query), Either::left)
    }

    fn fetch<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, MySqlRow>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        Steps::boxed(self, Query::new(query), Either::right)
    }

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Step>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        Steps::boxed(self, Query::new(query), Some)
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Vec<MySqlRow>>
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

    fn fetch_one<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, MySqlRow>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        let query = Query::new(query);
        Box::pin(async move {
            let span = query.span(&self.server);
            let outcome = |result: &Result<MySqlRow, Error>| match result {
                Err(Error::RowNotFound) => returned(0),
                other => ended(|_| returned(1))(other),
            };
            span.run_async_with(|| self.executor.fetch_one(query), outcome).await
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Option<MySqlRow>>
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

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [MySqlTypeInfo]) -> BoxFuture<'e, MySqlStatement>
    where
        'c: 'e,
    {
        Box::pin(async move {
            let span = statement::open(sql.as_str(), &self.server);
            span.run_async_with(|| self.executor.prepare_with(sql, parameters), ended(|_| Outcome::ok())).await
        })
    }

    /// What the macros of sqlx do when they are compiled: no span.
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Describe<MySql>>
    where
        'c: 'e,
    {
        self.executor.describe(sql)
    }
}

macro_rules! through_traced {
    ($($method:ident -> $output:ident<$item:ty>),* $(,)?) => {$(
        fn $method<'e, 'q: 'e, E>(self, query: E) -> $output<'e, $item>
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

            fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [MySqlTypeInfo]) -> BoxFuture<'e, MySqlStatement>
            where
                'c: 'e,
            {
                self.traced().prepare_with(sql, parameters)
            }

            fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Describe<MySql>>
            where
                'c: 'e,
            {
                self.traced().describe(sql)
            }
        }
    )*};
}

executors!(&'c Database, &'c mut Transaction<'_>, &'c mut InTransaction<'_>);

/// The outcome of what may have failed.
pub(super) fn ended<T>(fine: impl FnOnce(&T) -> Outcome) -> impl FnOnce(&Result<T, Error>) -> Outcome {
    |result| match result {
        Ok(value) => fine(value),
        Err(error) => failure::outcome(error),
    }
}

fn returned(rows: usize) -> Outcome {
    Outcome::ok().attribute(RETURNED, i64::try_from(rows).unwrap_or(i64::MAX))
}

fn affected(done: &MySqlQueryResult) -> i64 {
    i64::try_from(done.rows_affected()).unwrap_or(i64::MAX)
}

/// What the server sends: the end of a result, or a row.
type Step = Either<MySqlQueryResult, MySqlRow>;

/// Opens the span, and the stream in it.
type Start<'e> = Box<dyn FnOnce() -> (Span, BoxStream<'e, Step>) + Send + 'e>;

/// The answer to a statement as a stream. The span starts at the first poll.
struct Steps<'e, T> {
    start: Option<Start<'e>>,
    /// Taken out by the destructor, in the span.
    inner: Option<BoxStream<'e, Step>>,
    pick: fn(Step) -> Option<T>,
    span: Span,
    returned: i64,
    affected: i64,
}

impl<'e, T: 'e> Steps<'e, T> {
    fn boxed<'c: 'e, X>(traced: Traced<X>, query: Query, pick: fn(Step) -> Option<T>) -> BoxStream<'e, T>
    where
        X: Executor<'c, Database = MySql> + 'e,
    {
        let start: Start<'e> = Box::new(move || {
            let span = query.span(&traced.server);
            let attached = span.attach();
            let steps = traced.executor.fetch_many(query);
            drop(attached);
            (span, steps)
        });
        Box::pin(Self { start: Some(start), inner: None, pick, span: Span::none(), returned: 0, affected: 0 })
    }
}

impl<T> Steps<'_, T> {
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Step, Error>>> {
        if let Some(start) = self.start.take() {
            let (span, steps) = start();
            self.span = span;
            self.inner = Some(steps);
        }
        let Some(steps) = &mut self.inner else { return Poll::Ready(None) };
        let _attached = self.span.attach();
        steps.as_mut().poll_next(cx)
    }

    fn count(&mut self, step: &Step) {
        match step {
            Either::Left(done) => self.affected = self.affected.saturating_add(affected(done)),
            Either::Right(_) => self.returned += 1,
        }
    }

    /// The rows so far. Of a statement that gives no rows, or changes some, also how many it changed.
    fn rows(&self) -> impl Iterator<Item = (&'static str, i64)> + use<T> {
        let changed = self.affected > 0 || self.returned == 0;
        let affected = changed.then_some((AFFECTED, self.affected));
        std::iter::once((RETURNED, self.returned)).chain(affected)
    }

    fn end(&mut self, outcome: impl FnOnce() -> Outcome) {
        let rows = self.rows();
        self.span.end(|| rows.fold(outcome(), |outcome, (key, rows)| outcome.attribute(key, rows)));
    }
}

impl<T> Stream for Steps<'_, T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T, Error>>> {
        loop {
            return Poll::Ready(match ready!(self.poll_step(cx)) {
                None => {
                    self.end(Outcome::ok);
                    None
                }
                Some(Err(error)) => {
                    self.end(|| failure::outcome(&error));
                    Some(Err(error))
                }
                Some(Ok(step)) => {
                    self.count(&step);
                    match (self.pick)(step) {
                        Some(item) => Some(Ok(item)),
                        None => continue,
                    }
                }
            });
        }
    }
}

impl<T> Drop for Steps<'_, T> {
    fn drop(&mut self) {
        if self.span.is_recording() {
            // Given up half-way, as the span says when it is dropped.
            let context = self.span.context();
            for (key, rows) in self.rows() {
                context.span().set_attribute(KeyValue::new(key, rows));
            }
        }
        let _attached = self.span.attach();
        self.inner = None;
    }
}
