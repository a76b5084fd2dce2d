//! Redis streams and commands.

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamAutoClaimOptions, StreamAutoClaimReply, StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands as _, Client};
use throughline::{in_span_async, traced_spawn};
use throughline_redis::{Delivery, TracedConnection, traced};
use tokio::sync::watch;

use crate::Arguments;

/// How long the roles wait for an entry, in milliseconds.
const BLOCK: usize = 20_000;

pub(super) async fn play(role: &str, arguments: Arguments, _stop: watch::Receiver<bool>) {
    let stream = arguments.get("stream").to_owned();
    let client = Client::open(arguments.get("url")).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("redis runs");
    match role {
        "consume" => consume(&mut connection, &client, &stream).await,
        "batch" => batch(&mut connection, &stream, arguments.get("count").parse().expect("a number")).await,
        "crash" => drop(read(&mut connection, &stream, 1).await),
        "claim" => claim(&mut connection, &stream).await,
        _ => panic!("no role `redis-{role}`"),
    }
}

async fn read(connection: &mut MultiplexedConnection, stream: &str, count: usize) -> StreamReadReply {
    let options = StreamReadOptions::default().group("billing", "worker").block(BLOCK).count(count);
    connection.xread_options(&[stream], &[">"], &options).await.expect("an answer")
}

/// Handles entries one by one, up to the one that is marked as the last. The handler starts a detached job.
async fn consume(connection: &mut MultiplexedConnection, client: &Client, stream: &str) {
    for _ in 0..16 {
        let reply = read(connection, stream, 1).await;
        let entry = Delivery::all(&reply.keys[0]).next().expect("an entry").group("billing");
        handle(entry, traced(connection.clone()).client(client)).await;
        if entry.entry().contains_key("last") {
            return;
        }
    }
    panic!("no entry was the last");
}

#[throughline::traced("process", kind = consumer, parent = entry)]
async fn handle(entry: Delivery<'_>, mut connection: TracedConnection<MultiplexedConnection>) {
    let seen = Context::current().baggage().get("tenant_id").map(ToString::to_string).unwrap_or_default();
    Context::current().span().set_attribute(KeyValue::new("baggage seen", seen));
    let _: i64 = connection.xack(entry.stream(), "billing", &[&entry.entry().id]).await.expect("an answer");
    receipt(connection, entry.stream().to_owned()).await.expect("no panic");
}

#[traced_spawn]
async fn receipt(mut connection: TracedConnection<MultiplexedConnection>, stream: String) {
    in_span_async("print", async {
        let _: i64 = connection.incr(format!("{stream}:receipts"), 1).await.expect("an answer");
    })
    .await;
}

async fn batch(connection: &mut MultiplexedConnection, stream: &str, count: usize) {
    // All entries were added before this role started.
    let reply = read(connection, stream, count).await;
    let entries: Vec<_> = Delivery::all(&reply.keys[0]).map(|entry| entry.group("billing")).collect();
    handle_batch(&entries);
}

#[throughline::traced("process batch", kind = consumer, links = entries)]
fn handle_batch(entries: &[Delivery<'_>]) {
    assert!(!entries.is_empty());
}

async fn claim(connection: &mut MultiplexedConnection, stream: &str) {
    let options = StreamAutoClaimOptions::default().count(1);
    let reply: StreamAutoClaimReply =
        connection.xautoclaim_options(stream, "billing", "other", 0, "0", options).await.expect("an answer");
    let entry = &reply.claimed[0];
    let times = connection.xpending_count(stream, "billing", &entry.id, &entry.id, 1).await;
    let times: redis::streams::StreamPendingCountReply = times.expect("an answer");
    handle_claimed(Delivery::new(stream, entry).group("billing").claimed().deliveries(times.ids[0].times_delivered));
}

#[throughline::traced("process again", kind = consumer, parent = entry)]
fn handle_claimed(entry: Delivery<'_>) {
    assert!(!entry.entry().is_empty());
}
