//! Kafka.

use std::time::Duration;

use futures::FutureExt as _;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Message as _, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use throughline::propagation::{self, Propagator};
use throughline::{biz_tags, in_span_async, traced};
use throughline_kafka::{Delivery, FutureProducerExt as _};
use tokio::sync::watch;

use crate::{Arguments, ready};

pub(super) async fn play(role: &str, arguments: Arguments, _stop: watch::Receiver<bool>) {
    propagation::set(Propagator::default().baggage_as_tags(["tenant_id"]));
    match role {
        "consume" => consume(&arguments).await,
        "consume-batch" => consume_batch(&arguments).await,
        "produce" => produce(&arguments, "acme").await,
        _ => panic!("no role `kafka-{role}`"),
    }
}

fn consumer(arguments: &Arguments) -> StreamConsumer {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", arguments.get("brokers"))
        .set("group.id", "billing")
        .set("client.id", "billing-7")
        .set("enable.auto.commit", "false")
        .create()
        .expect("the configuration is valid");
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(arguments.get("topic"), 0, Offset::Beginning).expect("an offset");
    // Unlike `subscribe`, no waiting for a group to be formed.
    consumer.assign(&partitions).expect("the partition can be assigned");
    consumer
}

fn count(arguments: &Arguments) -> usize {
    arguments.get("count").parse().expect("the count is a number")
}

async fn consume(arguments: &Arguments) {
    let consumer = consumer(arguments);
    ready("");
    in_span_async("loop", async {
        for _ in 0..count(arguments) {
            let message = consumer.recv().await.expect("a message");
            if message.payload() == Some(b"hang") {
                assert!(bill(&message).now_or_never().is_none(), "the handler hangs");
            } else {
                let _ = bill(&message).await;
            }
        }
    })
    .await;
}

#[traced("process orders", kind = consumer, parent = Delivery::new(message).group("billing").client_id("billing-7"))]
async fn bill(message: &BorrowedMessage<'_>) -> Result<(), String> {
    charge();
    match message.payload() {
        Some(b"fail") => Err("the card was declined".into()),
        Some(b"hang") => std::future::pending().await,
        _ => Ok(()),
    }
}

#[traced(tags(baggage = tenant()))]
fn charge() {}

fn tenant() -> Option<String> {
    Context::current().baggage().get("tenant_id").map(ToString::to_string)
}

async fn consume_batch(arguments: &Arguments) {
    let consumer = consumer(arguments);
    ready("");
    in_span_async("loop", async {
        let mut messages = Vec::new();
        for _ in 0..count(arguments) {
            messages.push(consumer.recv().await.expect("a message").detach());
        }
        bill_slice(&messages);
        bill_all(messages).await;
    })
    .await;
}

#[traced("process slice", kind = consumer, links = messages.iter().map(|it| Delivery::new(it).group("billing")))]
fn bill_slice(messages: &[OwnedMessage]) {}

#[traced("process batch", kind = consumer, links = messages)]
async fn bill_all(messages: Vec<OwnedMessage>) {
    drop(messages);
}

#[traced("request", kind = server)]
#[biz_tags(propagate(tenant_id))]
async fn produce(arguments: &Arguments, tenant_id: &str) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", arguments.get("brokers"))
        .create()
        .expect("the configuration is valid");
    for order in 1..=count(arguments) {
        let (key, payload) = (format!("o-{order}"), format!("order {order}"));
        let record = FutureRecord::to(arguments.get("topic")).key(&key).payload(&payload).partition(0);
        producer.send_traced(record, Duration::from_secs(20)).await.expect("the message is delivered");
    }
}
