use std::sync::Arc;

use futures::executor::block_on;
use futures::stream::BoxStream;
use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlConnectOptions;
use throughline::testing::{Capture, FinishedSpan};
use throughline::{SpanBuilder, Value, in_span};

use super::*;
use crate::Server;

/// A server that answers a statement with this many empty results, and then an error.
#[derive(Debug)]
struct Answers(usize);

impl<'c> Executor<'c> for Answers {
    type Database = MySql;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step>>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        drop(query);
        in_span("connect", || ());
        let answers = std::iter::repeat_with(|| Ok(Either::Left(MySqlQueryResult::default())));
        let failed = std::iter::once_with(|| Err(Error::PoolTimedOut));
        stream::iter(answers.take(self.0).chain(failed)).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<MySqlRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, MySql>,
    {
        drop(query);
        Box::pin(future::ready(Ok(None)))
    }

    fn prepare_with<'e>(self, _: SqlStr, _: &'e [MySqlTypeInfo]) -> BoxFuture<'e, Result<MySqlStatement>>
    where
        'c: 'e,
    {
        Box::pin(future::ready(Err(Error::PoolClosed)))
    }

    fn describe<'e>(self, _: SqlStr) -> BoxFuture<'e, Result<Describe<MySql>>>
    where
        'c: 'e,
    {
        Box::pin(future::ready(Err(Error::PoolClosed)))
    }
}

fn traced(executor: Answers) -> TracedExecutor<Answers> {
    TracedExecutor { executor, server: Server { options: None, mariadb: true } }
}

fn number(span: &FinishedSpan, key: &str) -> Option<i64> {
    match span.attribute(key) {
        Some(Value::I64(number)) => Some(*number),
        _ => None,
    }
}

#[test]
fn a_stream_starts_its_span_when_it_is_polled() {
    let capture = Capture::new();
    capture.run(|| {
        let mut stream = traced(Answers(1)).execute_many(sqlx::query("DELETE FROM orders"));
        assert_eq!(capture.open(), 0);
        block_on(async {
            assert!(stream.next().await.is_some_and(|done| done.is_ok()));
            assert_eq!(capture.open(), 1);
            assert!(stream.next().await.is_some_and(|done| done.is_err()));
            assert_eq!(capture.open(), 0);
            assert!(stream.next().await.is_none());
        });
    });
    capture
        .assert_tree("DELETE orders [client] !error: pool timed out while waiting for an open connection\n└── connect");
    let span = capture.span("DELETE orders");
    assert_eq!(span.attribute("db.system.name"), Some(&"mariadb".into()));
    assert_eq!(span.attribute("error.type"), Some(&"PoolTimedOut".into()));
    assert_eq!(number(&span, THROUGHLINE_DB_AFFECTED_ROWS), Some(0));
}

#[test]
fn without_a_summary_a_span_is_named_after_the_database_or_the_server() {
    let name = |options: Option<MySqlConnectOptions>| {
        let capture = Capture::new();
        let server = Server { options: options.map(Arc::new), mariadb: false };
        capture.run(|| {
            let fetched = TracedExecutor { executor: Answers(0), server }.fetch_optional(sqlx::query("'"));
            block_on(fetched).expect("an answer");
        });
        let spans = capture.spans();
        assert_eq!(spans[0].attribute("db.query.summary"), None);
        spans[0].name.to_string()
    };
    let options = || MySqlConnectOptions::new().host("db.example");
    assert_eq!(name(Some(options().database("shop"))), "shop");
    assert_eq!(name(Some(options())), "db.example:3306");
    assert_eq!(name(Some(options().socket("/run/mysqld.sock"))), "mysql");
    assert_eq!(name(None), "mysql");
}

#[test]
fn a_stream_without_a_result_records_no_affected_rows() {
    let capture = Capture::new();
    capture.run(|| {
        let failed = block_on(traced(Answers(0)).execute_many(sqlx::query("DELETE FROM orders")).next());
        assert!(failed.is_some_and(|done| done.is_err()));
    });
    let span = capture.span("DELETE orders");
    assert!(span.is_error());
    assert_eq!(number(&span, THROUGHLINE_DB_AFFECTED_ROWS), None);

    drop(counted(capture.run(|| SpanBuilder::new("SELECT").start()), stream::pending::<Result<Step<()>>>));
    assert_eq!(number(&capture.span("SELECT"), THROUGHLINE_DB_AFFECTED_ROWS), None);
}

#[test]
fn operation_and_table_are_in_the_summary_alone() {
    let capture = Capture::new();
    let sql = AssertSqlSafe("SELECT sku FROM orders WHERE order_no = 7");
    let row = block_on(capture.run_async(traced(Answers(0)).fetch_optional(sqlx::query(sql))));
    assert!(row.is_ok_and(|row| row.is_none()));
    let span = capture.span("SELECT orders");
    assert_eq!(span.attribute("db.query.summary"), Some(&"SELECT orders".into()));
    assert_eq!(span.attribute("db.query.text"), Some(&"SELECT sku FROM orders WHERE order_no = ?".into()));
    assert_eq!(number(&span, DB_RESPONSE_RETURNED_ROWS), Some(0));
    assert_eq!((span.attribute("db.operation.name"), span.attribute("db.collection.name")), (None, None));
}

/// A stream of `()` for rows, which cannot be created without a server.
fn rows(capture: &Capture, rows: usize) -> Instrumented<impl futures::Stream<Item = Result<Step<()>>>, Rows> {
    let steps = std::iter::repeat_with(|| Ok(Either::Right(()))).take(rows);
    let end = std::iter::once_with(|| Ok(Either::Left(MySqlQueryResult::default())));
    capture.run(|| counted(SpanBuilder::new("SELECT").start(), || stream::iter(steps.chain(end))))
}

#[test]
fn a_stream_that_is_dropped_is_cancelled_with_its_rows() {
    let capture = Capture::new();
    let mut stream = rows(&capture, 3);
    block_on(async {
        assert!(stream.next().await.is_some());
        assert!(stream.next().await.is_some());
    });
    drop(stream);
    let span = capture.span("SELECT");
    assert!(span.is_cancelled());
    assert_eq!(number(&span, DB_RESPONSE_RETURNED_ROWS), Some(2));
    assert_eq!(number(&span, THROUGHLINE_DB_AFFECTED_ROWS), None);
}

#[test]
fn a_stream_counts_its_rows() {
    let capture = Capture::new();
    assert_eq!(block_on(rows(&capture, 3).count()), 4);
    let span = capture.span("SELECT");
    assert!(!span.is_cancelled() && !span.is_error());
    assert_eq!(number(&span, DB_RESPONSE_RETURNED_ROWS), Some(3));
    assert_eq!(number(&span, THROUGHLINE_DB_AFFECTED_ROWS), None);
}
