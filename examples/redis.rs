//! Redis: a span for each command, and a stream whose entries continue the trace.
//!
//! ```text
//! redis-server --port 6379 --save '' &
//! cargo run --example redis --features redis            # or with REDIS_URL=redis://host:port
//! ```
//!
//! An order reserves stock in a transaction and is added to a stream. A worker with its own connection reads it from
//! there; the worker's spans are part of the order's trace, and so is the detached job that it starts.

use std::process::ExitCode;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands, Client, RedisResult};
use throughline::console::Console;
use throughline::telemetry::TracerProvider;
use throughline::{biz_tags, jobs, traced, traced_spawn};
use throughline_redis::{Delivery, StreamCommandsExt, TracedConnection, traced};

#[tokio::main]
async fn main() -> ExitCode {
    let provider = TracerProvider::builder().with_span_processor(Console::stdout().hold()).build();
    throughline::install(&provider);

    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".into());
    let done = run(&url).await;
    let jobs = jobs::wait(Duration::from_secs(10)).await;
    let shown = provider.shutdown();
    match done {
        Ok(()) if jobs.is_ok() && shown.is_ok() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) if error.is_io_error() => {
            eprintln!("no Redis at {url}: start `redis-server --port 6379`, or set REDIS_URL");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("Redis says: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(url: &str) -> RedisResult<()> {
    let client = Client::open(url)?;
    let connection = client.get_multiplexed_async_connection().await?;
    // Wrapped once; every clone is traced.
    let mut shop = traced(connection.clone()).client(&client);
    let stream = format!("orders:{}", std::process::id());

    place_order("acme", 1001, &mut shop, &stream).await?;
    // A string key is not a list: the error is recorded on the span.
    let _ = place_order("acme", 1002, &mut shop, "stock").await;

    work(connection, shop, &stream).await
}

#[traced(kind = server)]
#[biz_tags(propagate(tenant_id), order_no)]
async fn place_order(
    tenant_id: &str,
    order_no: u32,
    shop: &mut TracedConnection<MultiplexedConnection>,
    stream: &str,
) -> RedisResult<()> {
    // One span for the transaction.
    let (_, left): (String, i64) =
        redis::pipe().atomic().set("stock", 20).decr("stock", 2).query_async(&mut *shop).await?;
    // The context is added to the entry, after its fields.
    let fields = [("order_no", order_no.to_string()), ("left", left.to_string())];
    shop.xadd_traced(stream, "*", &fields).await
}

/// Reads orders from the stream. The read itself is not traced, because it does not belong to an order.
async fn work(
    mut connection: MultiplexedConnection,
    shop: TracedConnection<MultiplexedConnection>,
    stream: &str,
) -> RedisResult<()> {
    let _: () = connection.xgroup_create(stream, "billing", "0").await?;
    let options = StreamReadOptions::default().group("billing", "worker-1").count(10);
    let reply: StreamReadReply = connection.xread_options(&[stream], &[">"], &options).await?;
    for entry in reply.keys.iter().flat_map(Delivery::all) {
        bill(entry.group("billing"), shop.clone()).await?;
    }
    let _: i64 = connection.del(&[stream, "stock"]).await?;
    Ok(())
}

/// The parent is the entry, that is, the span that added it, in whichever process.
#[traced(kind = consumer, parent = entry)]
async fn bill(entry: Delivery<'_>, mut shop: TracedConnection<MultiplexedConnection>) -> RedisResult<()> {
    let order_no: String = entry.entry().get("order_no").unwrap_or_default();
    let _: i64 = shop.xack(entry.stream(), "billing", &[&entry.entry().id]).await?;
    send_bill(order_no, shop);
    Ok(())
}

/// A detached job: its command is part of the trace, too.
#[traced_spawn]
async fn send_bill(order_no: String, mut shop: TracedConnection<MultiplexedConnection>) -> RedisResult<()> {
    shop.set_ex(format!("bill:{order_no}"), "sent", 60).await
}
