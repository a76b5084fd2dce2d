//! Orders through RabbitMQ: a publisher, a consumer that bills them one by one, and a consumer that counts them in
//! batches.
//!
//! ```text
//! cargo run --example amqp --features amqp                                # amqp://127.0.0.1:5672
//! AMQP_ADDR=amqp://127.0.0.1:5673 cargo run --example amqp --features amqp
//! ```
//!
//! * `place_order` publishes the message in the span of its request, and waits for the broker's confirmation there; the
//!   tenant is propagated in the baggage.
//! * `bill` is a child of the producer's span, although only the message connects them, and has the tenant. It is
//!   linked to the span of the consumer's loop. The first attempt at the second order fails: its span has the error,
//!   and the span of the second delivery is marked as a redelivery.
//! * `count` handles a batch: a child of the loop's span, with a link to each producer.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use futures::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use throughline::console::Console;
use throughline::propagation::{self, Propagator};
use throughline::telemetry::TracerProvider;
use throughline::{biz_tags, in_span_async, traced};
use throughline_amqp::{self as amqp, ChannelExt as _};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

#[traced(kind = server)]
#[biz_tags(propagate(tenant_id), order_no)]
async fn place_order(channel: &Channel, queue: &ShortString, tenant_id: &str, order_no: &str) -> lapin::Result<()> {
    channel
        .basic_publish_confirmed_traced(
            "".into(), // the default exchange, which routes to the queue of that name
            queue.clone(),
            BasicPublishOptions::default(),
            b"two keyboards",
            BasicProperties::default().with_message_id(order_no.into()),
        )
        .await?;
    Ok(())
}

#[traced("process orders", kind = consumer, parent = amqp::Delivery::new(delivery).queue(queue))]
#[biz_tags(order_no = delivery.properties.message_id().as_ref().map(ShortString::as_str))]
async fn bill(delivery: &Delivery, queue: &str) -> Result<(), Box<dyn Error>> {
    if let Err(error) = charge(delivery).await {
        delivery.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await?;
        return Err(error.into());
    }
    delivery.ack(BasicAckOptions::default()).await?;
    Ok(())
}

#[traced(kind = client)]
async fn charge(delivery: &Delivery) -> Result<(), String> {
    if delivery.delivery_tag == 2 { Err("the bank does not answer".to_owned()) } else { Ok(()) }
}

#[traced("count orders", kind = consumer, links = deliveries)]
fn count(deliveries: &[Delivery]) -> usize {
    deliveries.len()
}

async fn run(connection: &Connection) -> Result<(), Box<dyn Error>> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    // Named by the program, exclusive to this connection, and deleted with it.
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = format!("orders-{}", std::process::id()).into();
    let queue = channel.queue_declare(queue, options, FieldTable::default()).await?.name().clone();

    place_order(&channel, &queue, "acme", "1001").await?;
    place_order(&channel, &queue, "globex", "1002").await?;

    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = channel.basic_consume(queue.clone(), "billing".into(), options, none).await?;
    in_span_async("consumer loop", async {
        let mut billed = Vec::new();
        while billed.len() < 2 {
            let delivery = timeout(PATIENCE, consumer.next()).await?.ok_or("the consumer was cancelled")??;
            // The error is on its span; the message is redelivered.
            if bill(&delivery, queue.as_str()).await.is_ok() {
                billed.push(delivery);
            }
        }
        count(&billed);
        Ok(())
    })
    .await
}

#[tokio::main]
async fn main() -> ExitCode {
    let provider = TracerProvider::builder().with_span_processor(Console::stdout().hold()).build();
    throughline::install(&provider);
    // The baggage member with this name becomes a tag.
    propagation::set(Propagator::default().accept_baggage(["tenant_id"]).baggage_as_tags(["tenant_id"]));

    let address = std::env::var("AMQP_ADDR").unwrap_or_else(|_| "amqp://127.0.0.1:5672".to_owned());
    // lapin 4.12 connects on a thread of its own. If that thread fails before the caller has begun to wait, the future
    // never resolves, which happened to eight of 25,000 refused connections.
    let connected = timeout(PATIENCE, Connection::connect(&address, ConnectionProperties::default())).await;
    let connection = match connected.map_err(Box::<dyn Error>::from).and_then(|connection| Ok(connection?)) {
        Ok(connection) => connection,
        Err(error) => {
            eprintln!("no RabbitMQ at {address} ({error}); start one there, or name another in AMQP_ADDR");
            return ExitCode::FAILURE;
        }
    };
    let result = run(&connection).await;
    let _ = connection.close(200, "done".into()).await;
    let _ = provider.shutdown();
    if let Err(error) = result {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
