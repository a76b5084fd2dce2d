//! SQL with sqlx on MySQL or MariaDB: a span for each statement, with literals removed.
//!
//! ```text
//! mariadbd-safe --port=3306 &
//! cargo run --example sql --features sql                # or with DATABASE_URL=mysql://user@host:port/database
//! ```
//!
//! An order is inserted in a transaction, read back as a stream, and counted by a detached job. The second order has a
//! duplicate number: the trace shows the error code, but not the value that was rejected.

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use futures::TryStreamExt;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Executor};
use throughline::console::Console;
use throughline::telemetry::TracerProvider;
use throughline::{biz_tags, jobs, traced, traced_spawn};
use throughline_sqlx::Database;

#[tokio::main]
async fn main() -> ExitCode {
    let provider = TracerProvider::builder().with_span_processor(Console::stdout().hold()).build();
    throughline::install(&provider);

    let url = std::env::var("DATABASE_URL").unwrap_or_else(|_| "mysql://root@127.0.0.1:3306/test".into());
    let done = run(&url).await;
    let jobs = jobs::wait(Duration::from_secs(10)).await;
    let shown = provider.shutdown();
    match done {
        Ok(()) if jobs.is_ok() && shown.is_ok() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(sqlx::Error::Io(_)) => {
            eprintln!("no MySQL or MariaDB where DATABASE_URL says (without it, 127.0.0.1:3306): start `mariadbd`");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("the database says: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(url: &str) -> sqlx::Result<()> {
    let database = prepare(&MySqlConnectOptions::from_str(url)?).await?;
    place_order(&database, "acme", 1001).await?;
    // The same number again. The error is on the spans.
    let _ = place_order(&database, "globex", 1001).await;
    let read = list_orders(&database, "acme").await;
    let counted = count_orders(database.clone()).await;
    database.pool().execute("DROP TABLE throughline_orders").await?;
    assert_eq!(read?, 1, "the second order is rolled back");
    counted.unwrap_or(Ok(()))
}

/// Creates the database and the table, without tracing.
async fn prepare(options: &MySqlConnectOptions) -> sqlx::Result<Database> {
    if let Some(name) = options.get_database() {
        let mut connection = MySqlConnection::connect_with(&options.clone().database("information_schema")).await?;
        let name = name.replace('`', "``");
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE IF NOT EXISTS `{name}`"))).await?;
        connection.close().await?;
    }
    let pool = MySqlPoolOptions::new().connect_with(options.clone()).await?;
    pool.execute(
        "CREATE TABLE IF NOT EXISTS throughline_orders (order_no INT PRIMARY KEY, tenant VARCHAR(32), sku TEXT)",
    )
    .await?;
    // The driver cannot tell that the server is MariaDB.
    Ok(Database::new(pool).mariadb())
}

#[traced(kind = server)]
#[biz_tags(tenant_id, order_no)]
async fn place_order(database: &Database, tenant_id: &str, order_no: u32) -> sqlx::Result<()> {
    let mut transaction = database.begin().await?;
    sqlx::query("INSERT INTO throughline_orders (order_no, tenant, sku) VALUES (?, ?, 'keyboard')")
        .bind(order_no)
        .bind(tenant_id)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// A stream of rows: the span ends with the last one.
#[traced(kind = server)]
async fn list_orders(database: &Database, tenant_id: &str) -> sqlx::Result<usize> {
    let mut orders =
        sqlx::query_as::<_, (i32, String)>("SELECT order_no, sku FROM throughline_orders WHERE tenant = ?")
            .bind(tenant_id)
            .fetch(database);
    let mut count = 0;
    while let Some((order_no, sku)) = orders.try_next().await? {
        println!("order {order_no}: {sku}");
        count += 1;
    }
    Ok(count)
}

/// A detached job: its statement is in its trace, too.
#[traced_spawn]
async fn count_orders(database: Database) -> sqlx::Result<()> {
    let count: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM throughline_orders /* all of them */").fetch_one(&database).await?;
    println!("{count} in all");
    Ok(())
}
