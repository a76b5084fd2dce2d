//! The services, traced with Throughline.

mod archive;
mod gateway;
mod messages;
mod orders;
mod pricing;
mod queues;

use throughline::SpanKind;
use throughline::propagation::Propagator;
use throughline::telemetry::{self, Telemetry};
use throughline_sqlx::Database;

use crate::config::Config;
use crate::facts::Step;
use crate::service::Service;
use crate::store::{Cache, Store};

/// Everything else is in the environment: the collector, and whether spans are recorded at all.
pub(crate) fn start(_: &Config, role: &str) -> Telemetry {
    let propagator = Propagator::default().baggage_as_tags(["tenant_id", "order_no"]);
    telemetry::builder().service_name(role).propagator(propagator).init().expect("the settings are valid")
}

pub(crate) async fn play(role: &str, service: Service) {
    match role {
        "gateway" => gateway::play(service).await,
        "pricing" => pricing::play(service).await,
        "orders" => orders::play(service).await,
        "stock" => queues::stock(service).await,
        "billing" => queues::billing(service).await,
        "shipping" => queues::shipping(service).await,
        "archive" => archive::play(service).await,
        "analytics" => queues::analytics(service).await,
        _ => panic!("no role `{role}`"),
    }
}

/// Stores the order in the database.
async fn insert(store: &Store, step: &Step, request: u64) {
    step.calls();
    match store {
        Store::MySql { pool, insert } => {
            let statement = sqlx::query(sqlx::AssertSqlSafe(insert.clone())).bind(request).bind(step.id);
            let stored = statement.execute(&Database::new(pool.clone()).mariadb()).await.expect("stored");
            assert_eq!(stored.rows_affected(), 1);
        }
        Store::Double(store) => throughline::span("INSERT").kind(SpanKind::Client).run_async(store.call()).await,
    }
}

/// Asks the cache.
async fn cached(cache: &Cache, step: &Step, key: &str) {
    step.calls();
    match cache {
        Cache::Redis(connection) => {
            let mut connection = throughline_redis::traced(connection.clone());
            let _: Option<String> = redis::AsyncCommands::get(&mut connection, key).await.expect("an answer");
        }
        Cache::Double(store) => throughline::span("GET").kind(SpanKind::Client).run_async(store.call()).await,
    }
}
