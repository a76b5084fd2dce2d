//! RabbitMQ.

use futures::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use throughline::propagation::{self, Propagator};
use throughline::{biz_tags, in_span_async, traced};
use throughline_amqp::{self as amqp, ChannelExt as _};
use tokio::sync::watch;

use crate::Arguments;

pub(super) async fn play(role: &str, arguments: Arguments, _stop: watch::Receiver<bool>) {
    propagation::set(Propagator::default().baggage_as_tags(["tenant_id"]));
    let connection = Connection::connect(arguments.get("address"), ConnectionProperties::default());
    let connection = connection.await.expect("the broker answers");
    // Kept until the end: a dropped channel would close concurrently with the connection.
    let channel = connection.create_channel().await.expect("a channel");
    match role {
        "consume" => consume(&channel, &arguments).await,
        "consume-batch" => consume_batch(&channel, &arguments).await,
        "produce" => produce(&channel, &arguments, "acme").await,
        _ => panic!("no role `amqp-{role}`"),
    }
    connection.close(200, "done".into()).await.expect("the connection closes");
}

async fn consumer(channel: &Channel, arguments: &Arguments) -> Consumer {
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    channel.basic_consume(arguments.get("queue").into(), "".into(), options, none).await.expect("a consumer")
}

async fn next(consumer: &mut Consumer) -> Delivery {
    consumer.next().await.expect("the consumer goes on").expect("a message")
}

fn count(arguments: &Arguments) -> usize {
    arguments.get("count").parse().expect("the count is a number")
}

async fn consume(channel: &Channel, arguments: &Arguments) {
    let mut consumer = consumer(channel, arguments).await;
    in_span_async("loop", async {
        for _ in 0..count(arguments) {
            let delivery = next(&mut consumer).await;
            if delivery.data == b"hang" {
                assert!(bill(&delivery, arguments.get("queue")).now_or_never().is_none(), "the handler hangs");
                delivery.ack(BasicAckOptions::default()).await.expect("acknowledged");
            } else {
                let _ = bill(&delivery, arguments.get("queue")).await;
            }
        }
    })
    .await;
}

#[traced("process billing", kind = consumer, parent = amqp::Delivery::new(delivery).queue(queue))]
async fn bill(delivery: &Delivery, queue: &str) -> Result<(), String> {
    charge();
    match &*delivery.data {
        b"hang" => std::future::pending().await,
        // The first delivery is requeued.
        b"retry" if !delivery.redelivered => {
            let again = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            delivery.nack(again).await.map_err(|error| error.to_string())?;
            Err("the card reader is busy".into())
        }
        _ => delivery.ack(BasicAckOptions::default()).await.map(drop).map_err(|error| error.to_string()),
    }
}

#[traced(tags(baggage = tenant()))]
fn charge() {}

fn tenant() -> Option<String> {
    Context::current().baggage().get("tenant_id").map(ToString::to_string)
}

async fn consume_batch(channel: &Channel, arguments: &Arguments) {
    let mut consumer = consumer(channel, arguments).await;
    in_span_async("loop", async {
        let mut deliveries = Vec::new();
        for _ in 0..count(arguments) {
            deliveries.push(next(&mut consumer).await);
        }
        bill_slice(&deliveries, arguments.get("queue"));
        bill_all(deliveries).await;
    })
    .await;
}

#[traced("process slice", kind = consumer, links = deliveries.iter().map(|it| amqp::Delivery::new(it).queue(queue)))]
fn bill_slice(deliveries: &[Delivery], queue: &str) {}

#[traced("process batch", kind = consumer, links = deliveries)]
async fn bill_all(deliveries: Vec<Delivery>) {
    let last = deliveries.last().expect("a batch is not empty");
    last.ack(BasicAckOptions { multiple: true }).await.expect("acknowledged");
}

#[traced("request", kind = server)]
#[biz_tags(propagate(tenant_id))]
async fn produce(channel: &Channel, arguments: &Arguments, tenant_id: &str) {
    for order in 1..=count(arguments) {
        let payload = format!("order {order}");
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let queue = arguments.get("queue").into();
        let sent = channel.basic_publish_traced("".into(), queue, options, payload.as_bytes(), properties);
        sent.await.expect("sent").await.expect("no confirmation was requested");
    }
}
