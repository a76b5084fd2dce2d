//! Statements on MariaDB.

use std::sync::atomic::{AtomicU32, Ordering};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use opentelemetry::Value;
use opentelemetry_sdk::trace::Sampler;
use sqlx::mysql::{MySqlConnection, MySqlPool, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _, SqlSafeStr as _};
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Carrier, in_span_async, traced_spawn};
use throughline_live::{Peer, SpanLine, server};
use throughline_sqlx::{Database, traced};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

fn url(address: &str, database: &str) -> String {
    format!("mysql://root@{address}/{database}")
}

/// A pool, and a table with three orders that is unique to this run.
async fn orders(address: &str) -> (MySqlPool, String) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut connection = MySqlConnection::connect(&url(address, "")).await.expect("the server runs");
    connection.execute("CREATE DATABASE IF NOT EXISTS test").await.expect("root may");
    connection.close().await.expect("an answer");

    let pool =
        MySqlPoolOptions::new().max_connections(4).connect(&url(address, "test")).await.expect("the server runs");
    let table = format!("orders_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let create = format!(
        "CREATE TABLE {table} (id BIGINT UNSIGNED PRIMARY KEY, sku VARCHAR(64) NOT NULL, \
         traceparent VARCHAR(64), done BOOLEAN NOT NULL DEFAULT 0)"
    );
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&pool).await.expect("the table is new");
    let insert = format!("INSERT INTO {table} (id, sku) VALUES (1, 'keyboard'), (2, 'monitor'), (3, 'mouse')");
    sqlx::raw_sql(AssertSqlSafe(insert)).execute(&pool).await.expect("the table is empty");
    (pool, table)
}

async fn drop_table(pool: &MySqlPool, table: &str) {
    sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {table}"))).execute(pool).await.expect("the table is there");
}

fn text(span: &FinishedSpan, key: &str) -> Option<String> {
    span.attribute(key).map(ToString::to_string)
}

fn number(span: &FinishedSpan, key: &str) -> Option<i64> {
    match span.attribute(key) {
        Some(Value::I64(number)) => Some(*number),
        _ => None,
    }
}

const RETURNED: &str = "db.response.returned_rows";
const AFFECTED: &str = "throughline.db.affected_rows";

#[tokio::test]
async fn a_statement_is_a_span_below_the_current_one() {
    let Some(address) = server("mariadb") else { return };
    let (pool, table) = orders(&address).await;
    let capture = Capture::new();
    let select = format!("SELECT id, sku /* secret */ FROM {table} WHERE id IN (1, 2, ?) AND sku <> 'secret'");
    let request = async {
        let query = sqlx::query_as::<_, (u64, String)>(AssertSqlSafe(select)).bind(3);
        query.fetch_all(traced(&pool).mariadb()).await.expect("an answer")
    };
    let found = capture.run_async(in_span_async("request", request)).await;
    assert_eq!(found.len(), 3);

    let name = format!("SELECT {table}");
    capture.assert_tree(&format!("request\n└── {name} [client]"));
    let span = capture.span(&name);
    let (host, port) = address.split_once(':').expect("host and port");
    for (key, expected) in [
        ("db.system.name", "mariadb"),
        ("db.query.summary", &name),
        ("db.query.text", &format!("SELECT id, sku FROM {table} WHERE id IN (?) AND sku <> ?")),
        ("db.namespace", "test"),
        ("server.address", host),
        ("server.port", port),
    ] {
        assert_eq!(text(&span, key).as_deref(), Some(expected), "{key}");
    }
    // By the conventions, neither is extracted from the text.
    assert_eq!((text(&span, "db.operation.name"), text(&span, "db.collection.name")), (None, None));
    assert_eq!(number(&span, RETURNED), Some(3));
    assert!(!format!("{span:?}").contains("secret"));
    drop_table(&pool, &table).await;
}

#[tokio::test]
async fn every_way_to_run_a_query_counts_its_rows() {
    let Some(address) = server("mariadb") else { return };
    let (pool, table) = orders(&address).await;
    let select = |condition: &str| AssertSqlSafe(format!("SELECT sku FROM {table} WHERE {condition}"));
    let rows = |capture: &Capture| {
        let spans = capture.take();
        assert_eq!(spans.len(), 1, "one span a statement: {spans:#?}");
        assert!(!spans[0].is_cancelled() && !spans[0].is_error(), "{spans:#?}");
        (number(&spans[0], RETURNED), number(&spans[0], AFFECTED))
    };

    let capture = Capture::new();
    let work = async {
        sqlx::query(select("id < 3")).fetch_all(traced(&pool)).await.expect("an answer");
        assert_eq!(rows(&capture), (Some(2), None));
        let first = sqlx::query(select("id > 0")).fetch_one(traced(&pool)).await.expect("an answer");
        assert_eq!(first.get::<String, _>(0), "keyboard");
        assert_eq!(rows(&capture), (Some(1), None));
        let none = sqlx::query(select("id > 9")).fetch_optional(traced(&pool)).await.expect("an answer");
        assert!(none.is_none());
        assert_eq!(rows(&capture), (Some(0), None));
        let missing = sqlx::query(select("id > 9")).fetch_one(traced(&pool)).await;
        assert!(matches!(missing, Err(sqlx::Error::RowNotFound)), "the caller sees the error");
        assert_eq!(rows(&capture), (Some(0), None));
        let all: Vec<_> = sqlx::query(select("id > 0")).fetch(traced(&pool)).try_collect().await.expect("rows");
        assert_eq!((all.len(), rows(&capture)), (3, (Some(3), None)));
        let skus: Vec<String> = sqlx::query_scalar(select("id > 1")).fetch_all(traced(&pool)).await.expect("rows");
        assert_eq!((skus.len(), rows(&capture)), (2, (Some(2), None)));
        let mapped = sqlx::query(select("id > 1")).map(|row: sqlx::mysql::MySqlRow| row.len());
        mapped.fetch_one(traced(&pool)).await.expect("a row");
        assert_eq!(rows(&capture), (Some(1), None));

        let insert = AssertSqlSafe(format!("INSERT INTO {table} (id, sku) VALUES (?, ?), (?, ?)"));
        let insert = sqlx::query(insert).bind(4).bind("a").bind(5).bind("b");
        assert_eq!(insert.execute(traced(&pool)).await.expect("an answer").rows_affected(), 2);
        assert_eq!(rows(&capture), (None, Some(2)));
        let several = format!("UPDATE {table} SET done = 1; SELECT sku FROM {table}; DELETE FROM {table} WHERE id = 5");
        let steps = sqlx::raw_sql(AssertSqlSafe(several)).fetch_many(traced(&pool));
        assert_eq!(steps.count().await, 3 + 5);
        assert_eq!(rows(&capture), (Some(5), Some(6)));
        traced(&pool).prepare(select("id = ?").into_sql_str()).await.expect("an answer");
        assert_eq!(rows(&capture), (None, None));
    };
    capture.run_async(work).await;
    drop_table(&pool, &table).await;
}

#[tokio::test]
async fn errors_have_their_number_and_no_values() {
    let Some(address) = server("mariadb") else { return };
    let (pool, table) = orders(&address).await;
    let capture = Capture::new();
    let duplicate = AssertSqlSafe(format!("INSERT INTO {table} (id, sku) VALUES (1, 'secret')"));
    let unfit = AssertSqlSafe(format!("UPDATE {table} SET id = 'secret'"));
    let broken = AssertSqlSafe(format!("SELECT 'secret' secret' FROM {table}"));
    let work = async {
        for sql in [duplicate.0, unfit.0, broken.0] {
            let failed = sqlx::raw_sql(AssertSqlSafe(sql)).execute(traced(&pool)).await;
            assert!(matches!(failed, Err(sqlx::Error::Database(_))), "the caller sees the error");
        }
        let none = sqlx::query("SELECT * FROM no_such_table").fetch_all(traced(&pool)).await;
        assert!(none.is_err());
    };
    capture.run_async(work).await;
    let spans = capture.spans();
    let numbers: Vec<_> = spans.iter().filter_map(|span| text(span, "db.response.status_code")).collect();
    assert_eq!(numbers.len(), 4, "{spans:#?}");
    assert_eq!((&*numbers[0], &*numbers[2], &*numbers[3]), ("1062", "1064", "1146"));
    for (span, number) in spans.iter().zip(&numbers) {
        assert!(span.is_error());
        assert_eq!(text(span, "error.type").as_ref(), Some(number));
        assert_eq!(span.events.iter().filter(|event| event.name == "exception").count(), 1);
    }
    assert_eq!(spans[2].name(), "SELECT", "nothing else is certain of a text with an open string");
    assert_eq!(text(&spans[2], "db.query.text"), None);
    assert!(!format!("{spans:?}").contains("secret"), "{spans:#?}");
    drop_table(&pool, &table).await;
}

#[tokio::test]
async fn a_dropped_stream_is_cancelled_with_its_rows() {
    let Some(address) = server("mariadb") else { return };
    let (pool, table) = orders(&address).await;
    let name = format!("SELECT {table}");
    let select = AssertSqlSafe(format!("SELECT sku FROM {table}"));
    let capture = Capture::new();
    let work = async {
        let mut rows = sqlx::query(select).fetch(traced(&pool));
        assert_eq!(capture.open(), 0, "a stream that is not polled does nothing");
        rows.next().await.expect("a row").expect("no error");
        rows.next().await.expect("a row").expect("no error");
        assert_eq!(capture.open(), 1);
    };
    capture.run_async(work).await;
    let span = capture.span(&name);
    assert!(span.is_cancelled());
    assert_eq!(number(&span, RETURNED), Some(2));

    // A future that waits for the server.
    capture.clear();
    capture
        .run_async(async {
            assert!(sqlx::query("SELECT SLEEP(5)").fetch_all(traced(&pool)).now_or_never().is_none());
        })
        .await;
    assert!(capture.span("SELECT").is_cancelled());
    drop_table(&pool, &table).await;
}

#[tokio::test]
async fn a_transaction_has_spans_for_its_ends() {
    let Some(address) = server("mariadb") else { return };
    let (pool, table) = orders(&address).await;
    let database = Database::new(pool.clone()).mariadb();
    let update = || AssertSqlSafe(format!("UPDATE {table} SET done = 1 WHERE id = 1"));
    let capture = Capture::new();
    let work = async {
        let mut transaction = database.begin().await?;
        // On `&mut *transaction`, as with sqlx's own transactions, and on `&mut transaction`.
        sqlx::query(update()).execute(&mut *transaction).await?;
        let mut savepoint = transaction.begin().await?;
        sqlx::query(update()).execute(&mut savepoint).await?;
        let mut inner = savepoint.traced().begin().await?;
        sqlx::query(update()).execute(inner.traced()).await?;
        inner.commit().await?;
        savepoint.rollback().await?;
        transaction.commit().await?;
        database.begin().await?.rollback().await
    };
    capture.run_async(in_span_async("request", work)).await.expect("answers");
    let update_name = format!("UPDATE {table}");
    capture.assert_tree(&format!(
        "request\n├── BEGIN [client]\n├── {update_name} [client]\n├── SAVEPOINT [client]\n├── {update_name} [client]\n\
         ├── SAVEPOINT [client]\n├── {update_name} [client]\n├── RELEASE [client]\n├── ROLLBACK [client]\n├── COMMIT [client]\n├── BEGIN [client]\n└── ROLLBACK [client]"
    ));
    for span in capture.spans().iter().filter(|span| span.name() != "request") {
        assert_eq!(text(span, "db.system.name").as_deref(), Some("mariadb"), "{}", span.name());
        assert_eq!(text(span, "db.namespace").as_deref(), Some("test"), "{}", span.name());
    }
    let done: i8 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT done FROM {table} WHERE id = 1")))
        .fetch_one(&database)
        .await
        .expect("a row");
    assert_eq!(done, 1);
    drop_table(&pool, &table).await;
}

#[tokio::test]
async fn connections_and_transactions_of_sqlx_can_be_traced() {
    let Some(address) = server("mariadb") else { return };
    let (pool, table) = orders(&address).await;
    let count = || AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    let capture = Capture::new();
    let work = async {
        let mut pooled = pool.acquire().await?;
        assert_eq!(sqlx::query_scalar::<_, i64>(count()).fetch_one(traced(&mut pooled)).await?, 3);
        assert_eq!(sqlx::query_scalar::<_, i64>(count()).fetch_one(traced(&mut *pooled)).await?, 3);
        let mut transaction = pool.begin().await?;
        let on = traced(&mut transaction).options(pool.connect_options());
        assert_eq!(sqlx::query_scalar::<_, i64>(count()).fetch_one(on).await?, 3);
        transaction.commit().await
    };
    capture.run_async(work).await.expect("answers");
    let spans = capture.named(&format!("SELECT {table}"));
    let namespaces: Vec<_> = spans.iter().map(|span| text(span, "db.namespace")).collect();
    assert_eq!(namespaces, [None, None, Some("test".into())]);
    assert_eq!(text(&spans[0], "db.system.name").as_deref(), Some("mysql"));
    drop_table(&pool, &table).await;
}

#[tokio::test]
async fn statements_of_detached_jobs_and_other_processes_are_in_their_traces() {
    #[traced_spawn]
    async fn job(database: Database) {
        sqlx::query("DO 1").execute(&database).await.expect("an answer");
    }

    let Some(address) = server("mariadb") else { return };
    let (pool, table) = orders(&address).await;
    let capture = Capture::new();
    let store = async {
        let update = AssertSqlSafe(format!("UPDATE {table} SET traceparent = ? WHERE id = 2"));
        let update = sqlx::query(update).bind(Carrier::capture().traceparent);
        update.execute(traced(&pool)).await.expect("an answer");
        Some(job(Database::new(pool.clone())))
    };
    // Waited for when the request has ended.
    let job = capture.run_async(in_span_async("request", store)).await;
    job.expect("it was started").await.expect("no panic");
    capture.assert_tree(&format!("request\n├── UPDATE {table} [client]\n└── job\n    └── DO [client]"));

    let spans = Peer::start(PEER, "sql-outbox", &[("url", &url(&address, "test")), ("table", &table)]).spans();
    let request = SpanLine::from(&capture.span("request"));
    let runs: Vec<_> = spans.iter().filter(|span| span.name == "run").collect();
    assert_eq!(runs.len(), 3);
    let continued: Vec<_> = runs.iter().filter(|run| run.is_child_of(&request)).collect();
    assert_eq!(continued.len(), 1);
    assert_eq!(runs.iter().filter(|run| run.parent_id.is_none()).count(), 2, "rows without a context");
    let update = spans.iter().find(|span| span.is_child_of(continued[0])).expect("the statement of the job");
    assert_eq!((&*update.name, &*update.kind), (&*format!("UPDATE {table}"), "client"));
    assert_eq!(update.attribute(AFFECTED), Some("1"));
    drop_table(&pool, &table).await;
}

#[tokio::test]
async fn a_trace_that_is_not_sampled_runs_the_same() {
    let Some(address) = server("mariadb") else { return };
    let (pool, table) = orders(&address).await;
    let capture = Capture::with_sampler(Sampler::AlwaysOff);
    let select = AssertSqlSafe(format!("SELECT sku FROM {table}"));
    let work = in_span_async("request", async {
        let rows: Vec<_> = sqlx::query(select).fetch(traced(&pool)).try_collect().await.expect("rows");
        rows.len()
    });
    assert_eq!(capture.run_async(work).await, 3);
    assert!(capture.spans().is_empty());
    drop_table(&pool, &table).await;
}
