//! The outbox pattern: a message is stored in the same transaction as the order, and a relay publishes it later. One
//! trace, from the request to the consumer.
//!
//! ```text
//! cargo run --example outbox
//! ```
//!
//! Needs no server. The outbox is a file of JSON lines, instead of a table in the database of the orders; the topic is
//! a channel. Points of interest:
//!
//! * `place_order` stores `Carrier::capture()` in the row. The relay does not know about the request, and uses the
//!   context in the row as the parent of the message that it publishes.
//! * `relay` runs in its own trace, because a poll does not belong to any request. Each `publish` is a child of the
//!   order that it publishes, and is linked to the poll that found it.
//! * A row written by a version of the service without tracing has no context. It is published like the others, and
//!   starts a new trace.

use std::collections::HashMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use throughline::console::Console;
use throughline::telemetry::TracerProvider;
use throughline::{Carrier, biz_tags, propagation, traced};
use tokio::sync::mpsc;
use tokio::time::sleep;

/// A message to publish.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    order_no: u64,
    payload: String,
    /// Missing in rows written by older versions.
    #[serde(default)]
    trace: Carrier,
}

/// A message in the topic.
#[derive(Debug)]
struct Message {
    headers: HashMap<String, String>,
    payload: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let console = Console::stdout().hold();
    let provider = TracerProvider::builder().with_span_processor(console).build();
    throughline::install(&provider);

    let path = std::env::temp_dir().join(format!("outbox-{}.jsonl", std::process::id()));
    let result = run(&path).await;
    let _ = fs::remove_file(&path);

    provider.shutdown()?;
    result
}

async fn run(outbox: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = File::create(outbox)?;
    place_order(&mut file, "acme", 1001)?;
    place_order(&mut file, "initech", 1002)?;
    writeln!(file, r#"{{"order_no":1000,"payload":"an old row"}}"#)?;

    // The relay, which runs later in a task or a process of its own.
    let path = outbox.to_owned();
    let (topic, mut inbox) = mpsc::channel(8);
    let relay = tokio::spawn(async move {
        sleep(Duration::from_millis(200)).await;
        relay(&path, &topic).await
    });

    // The consumer, until the relay closes the channel.
    while let Some(message) = inbox.recv().await {
        bill(&message);
    }
    relay.await??;
    Ok(())
}

/// A request. The order and its outbox row are written in one transaction.
#[traced(kind = server)]
#[biz_tags(propagate(tenant_id), order_no)]
fn place_order(outbox: &mut File, tenant_id: &str, order_no: u64) -> io::Result<()> {
    let row = Row { order_no, payload: format!("order {order_no}"), trace: Carrier::capture() };
    serde_json::to_writer(&mut *outbox, &row)?;
    writeln!(outbox)
}

/// A single poll of the outbox.
#[traced("poll outbox")]
async fn relay(outbox: &Path, topic: &mpsc::Sender<Message>) -> io::Result<()> {
    for line in fs::read_to_string(outbox)?.lines() {
        publish(serde_json::from_str(line)?, topic).await;
    }
    Ok(())
}

#[traced("publish orders", kind = producer, parent = row.trace, tags(order_no = row.order_no))]
async fn publish(row: Row, topic: &mpsc::Sender<Message>) {
    let mut headers = HashMap::new();
    propagation::inject(&mut headers);
    // The example ends when the consumer does.
    let _ = topic.send(Message { headers, payload: row.payload }).await;
}

#[traced("process orders", kind = consumer, parent = message.headers, tags(payload = message.payload.as_str()))]
fn bill(message: &Message) {}
