//! SQL statements, in jobs of another process.

use sqlx::mysql::MySqlPool;
use throughline::{Carrier, traced_spawn};
use throughline_sqlx::Database;
use tokio::sync::watch;

use crate::Arguments;

pub(super) async fn play(role: &str, arguments: Arguments, _stop: watch::Receiver<bool>) {
    let pool = MySqlPool::connect(arguments.get("url")).await.expect("the server runs");
    match role {
        "outbox" => outbox(Database::new(pool).mariadb(), arguments.get("table")).await,
        _ => panic!("no role `sql-{role}`"),
    }
}

/// Runs the jobs in a table, each in the trace in which it was added.
async fn outbox(database: Database, table: &str) {
    let select = sqlx::AssertSqlSafe(format!("SELECT id, traceparent FROM {table}"));
    let jobs: Vec<(u64, Option<String>)> =
        sqlx::query_as(select).fetch_all(database.pool()).await.expect("there is such a table");
    for (id, traceparent) in jobs {
        let carrier = Carrier { traceparent, ..Carrier::default() };
        run(database.clone(), table.to_owned(), id, carrier).await.expect("no panic");
    }
}

#[traced_spawn(kind = consumer, parent = carrier)]
async fn run(database: Database, table: String, id: u64, carrier: Carrier) {
    let update = sqlx::AssertSqlSafe(format!("UPDATE {table} SET done = 1 WHERE id = ?"));
    let done = sqlx::query(update).bind(id).execute(&database).await.expect("an answer");
    assert_eq!(done.rows_affected(), 1);
}
