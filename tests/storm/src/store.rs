//! The database and the cache, without any tracing: see [`ours`](crate::ours) and `peer` for how they are called.

use ::redis::aio::MultiplexedConnection;
use sqlx::mysql::{MySqlPool, MySqlPoolOptions};

use crate::brokers::{double, redis};
use crate::config::{Config, System};

/// A table of orders.
pub(crate) enum Store {
    MySql { pool: MySqlPool, insert: String },
    Double(double::Store),
}

async fn pool(address: &str) -> MySqlPool {
    let options = MySqlPoolOptions::new().max_connections(16);
    options.connect(&format!("mysql://root@{address}/throughline")).await.expect("the server runs")
}

pub(crate) async fn create_table(address: &str, run: &str) {
    let create = sqlx::AssertSqlSafe(format!("CREATE TABLE `{run}` (order_no BIGINT, step BIGINT)"));
    sqlx::query(create).execute(&pool(address).await).await.expect("the table is new");
}

/// Removes the table of the run.
pub(crate) async fn drop_table(address: &str, run: &str) {
    let drop = sqlx::AssertSqlSafe(format!("DROP TABLE `{run}`"));
    sqlx::query(drop).execute(&pool(address).await).await.expect("the table is there");
}

impl Store {
    pub(crate) async fn connect(config: &Config) -> Self {
        match config.server(System::MySql) {
            Some(address) => Self::MySql {
                pool: pool(address).await,
                insert: format!("INSERT INTO `{}` (order_no, step) VALUES (?, ?)", config.run),
            },
            None => Self::Double(double::Store::connect(&config.double).await),
        }
    }
}

/// A cache of prices.
pub(crate) enum Cache {
    Redis(MultiplexedConnection),
    Double(double::Store),
}

impl Cache {
    pub(crate) async fn connect(config: &Config) -> Self {
        match config.server(System::Redis) {
            Some(address) => Self::Redis(redis::connect(address).await),
            None => Self::Double(double::Store::connect(&config.double).await),
        }
    }
}
