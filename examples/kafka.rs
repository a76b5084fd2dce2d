//! Orders through Kafka: a producer, a consumer that bills them one by one, and a consumer that counts them in batches.
//!
//! ```text
//! cargo run --example kafka --features kafka                              # a cluster in this process
//! KAFKA_BROKERS=127.0.0.1:9092 cargo run --example kafka --features kafka # yours
//! ```
//!
//! * `place_order` sends the message in the span of its request; the tenant is propagated in the baggage.
//! * `bill` is a child of the producer's span, although only the message connects them, and has the tenant. It is
//!   linked to the span of the consumer's loop. The second order fails.
//! * `count` handles a batch: a child of the loop's span, with a link to each producer.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message, OwnedMessage};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use throughline::console::Console;
use throughline::propagation::{self, Propagator};
use throughline::telemetry::TracerProvider;
use throughline::{biz_tags, in_span_async, traced};
use throughline_kafka::{Delivery, FutureProducerExt as _};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

#[traced(kind = server)]
#[biz_tags(propagate(tenant_id), order_no)]
async fn place_order(
    producer: &FutureProducer,
    topic: &str,
    tenant_id: &str,
    order_no: &str,
) -> Result<(), KafkaError> {
    let record = FutureRecord::to(topic).key(order_no).payload("two keyboards");
    producer.send_traced(record, PATIENCE).await.map_err(|(error, _record)| error)?;
    Ok(())
}

#[traced("process orders", kind = consumer, parent = Delivery::new(message).group("billing"))]
#[biz_tags(order_no = String::from_utf8_lossy(message.key().unwrap_or_default()))]
async fn bill(message: &BorrowedMessage<'_>) -> Result<(), String> {
    charge(message.offset()).await
}

#[traced(kind = client)]
async fn charge(attempt: i64) -> Result<(), String> {
    if attempt % 2 == 1 { Err("the card was declined".to_owned()) } else { Ok(()) }
}

#[traced("count orders", kind = consumer, links = messages)]
fn count(messages: &[OwnedMessage]) -> usize {
    messages.len()
}

/// A topic for this run only, for brokers that do not create topics automatically.
async fn create(topic: &str, config: &ClientConfig) -> Result<(), Box<dyn Error>> {
    let admin: AdminClient<_> = config.create()?;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE / 2));
    admin.create_topics([&NewTopic::new(topic, 1, TopicReplication::Fixed(1))], &options).await?;
    Ok(())
}

async fn run(config: &ClientConfig, topic: &str) -> Result<(), Box<dyn Error>> {
    let producer: FutureProducer = config.create()?;
    let consumer: StreamConsumer = config.create()?;

    place_order(&producer, topic, "acme", "1001").await?;
    place_order(&producer, topic, "globex", "1002").await?;

    // A real service subscribes. Assigning a partition does not need a group, which takes time.
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&partitions)?;
    in_span_async("consumer loop", async {
        let mut batch = Vec::new();
        while batch.len() < 2 {
            let message = timeout(PATIENCE, consumer.recv()).await??;
            // The error is on its span; the loop continues.
            let _ = bill(&message).await;
            batch.push(message.detach());
        }
        count(&batch);
        Ok(())
    })
    .await
}

/// With `rdkafka`'s mock cluster.
async fn run_in_process(config: &mut ClientConfig, topic: &str) -> Result<(), Box<dyn Error>> {
    let cluster = MockCluster::new(1)?;
    cluster.create_topic(topic, 1, 1)?;
    run(config.set("bootstrap.servers", cluster.bootstrap_servers()), topic).await
}

#[tokio::main]
async fn main() -> ExitCode {
    let provider = TracerProvider::builder().with_span_processor(Console::stdout().hold()).build();
    throughline::install(&provider);
    // The baggage member with this name becomes a tag.
    propagation::set(Propagator::default().accept_baggage(["tenant_id"]).baggage_as_tags(["tenant_id"]));

    let topic = format!("orders-{}", std::process::id());
    let mut config = ClientConfig::new();
    config.set("group.id", "billing").set_log_level(RDKafkaLogLevel::Emerg);
    let result = if let Ok(brokers) = std::env::var("KAFKA_BROKERS") {
        config.set("bootstrap.servers", &brokers);
        if let Err(error) = create(&topic, &config).await {
            eprintln!("no Kafka at {brokers} ({error}); start one there, or unset KAFKA_BROKERS to do without");
            return ExitCode::FAILURE;
        }
        run(&config, &topic).await
    } else {
        run_in_process(&mut config, &topic).await
    };
    let _ = provider.shutdown();
    if let Err(error) = result {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
