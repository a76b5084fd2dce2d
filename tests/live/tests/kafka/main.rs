//! Kafka: with `rdkafka`'s mock cluster, and with a broker if one is running.
#![cfg(feature = "kafka")]
#![expect(clippy::result_large_err, reason = "the errors of `rdkafka` give the record back")]

mod failures;
mod processes;
mod producers;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, Value};
use opentelemetry_sdk::trace::Sampler;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::{ClientConfig, FromClientConfig};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{
    BaseProducer, BaseRecord, DefaultProducerContext, FutureProducer, FutureRecord, Producer as _, ThreadedProducer,
};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use throughline::propagation::{self, Propagator};
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Origin as _, biz_tags, in_span, in_span_async, traced};
use throughline_kafka::{Delivery, FutureProducerExt as _, ProducerExt as _};
use throughline_live::{Peer, SpanLine, server};

use failures::{
    what_an_aborted_transaction_has_queued_is_an_error, what_only_the_trace_makes_too_large_is_sent_without_it,
};
use processes::{a_batch_is_linked, produced_here_consumed_there, produced_there_consumed_here};
use producers::{an_unsampled_context_is_propagated, headers_are_kept, producers_without_a_future};

const LONG: Duration = Duration::from_secs(20);

/// A cluster with an unshared topic of one partition.
struct Cluster {
    brokers: String,
    topic: String,
    _mock: Option<MockCluster<'static, DefaultProducerContext>>,
}

impl Cluster {
    /// A mock cluster in this process.
    fn mock() -> Self {
        let mock = MockCluster::new(1).expect("a cluster in this process");
        let topic = unique_topic();
        mock.create_topic(&topic, 1, 1).expect("the topic is created");
        Self { brokers: mock.bootstrap_servers(), topic, _mock: Some(mock) }
    }

    /// The real broker, if it is running.
    async fn real() -> Option<Self> {
        let brokers = server("kafka")?;
        let topic = unique_topic();
        let admin: AdminClient<_> = config(&brokers).create().expect("the configuration is valid");
        let new = NewTopic::new(&topic, 1, TopicReplication::Fixed(1));
        let made = admin.create_topics([&new], &AdminOptions::new()).await.expect("the broker answers");
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        Some(Self { brokers, topic, _mock: None })
    }

    fn producer<P: FromClientConfig>(&self) -> P {
        config(&self.brokers).create().expect("the configuration is valid")
    }

    fn record<'a>(&'a self, key: &'a str, payload: &'a str) -> FutureRecord<'a, str, str> {
        FutureRecord::to(&self.topic).key(key).payload(payload)
    }

    fn consumer(&self) -> BaseConsumer {
        let consumer: BaseConsumer =
            config(&self.brokers).set("group.id", "here").create().expect("the configuration is valid");
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(&self.topic, 0, Offset::Beginning).expect("an offset");
        consumer.assign(&partitions).expect("the partition can be assigned");
        consumer
    }

    fn peer(&self, role: &str, count: &str) -> Peer {
        let arguments = [("brokers", self.brokers.as_str()), ("topic", &self.topic), ("count", count)];
        Peer::start(env!("CARGO_BIN_EXE_peer"), role, &arguments)
    }
}

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

fn unique_topic() -> String {
    static TOPICS: AtomicUsize = AtomicUsize::new(0);
    format!("orders-{}-{}", std::process::id(), TOPICS.fetch_add(1, Ordering::Relaxed))
}

/// Waits for the next message.
fn next(consumer: &BaseConsumer) -> BorrowedMessage<'_> {
    consumer.poll(LONG).expect("a message in time").expect("no error")
}

/// Runs a scenario against both clusters.
macro_rules! on_both {
    ($($scenario:ident),* $(,)?) => {
        mod mock {
            $(#[tokio::test] async fn $scenario() {
                super::$scenario(super::Cluster::mock()).await;
            })*
        }

        mod broker {
            $(#[tokio::test] async fn $scenario() {
                let Some(cluster) = super::Cluster::real().await else { return };
                super::$scenario(cluster).await;
            })*
        }
    };
}

on_both!(
    produced_here_consumed_there,
    produced_there_consumed_here,
    a_batch_is_linked,
    an_unsampled_context_is_propagated,
    producers_without_a_future,
    headers_are_kept,
    what_an_aborted_transaction_has_queued_is_an_error,
    what_only_the_trace_makes_too_large_is_sent_without_it,
);

/// All attributes except those of the source code.
fn attributes(all: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    all.iter().map(|(key, value)| (key.as_str(), value.as_str())).filter(|(key, _)| !key.starts_with("code.")).collect()
}

/// The span, which must not have an attribute twice.
fn line(span: &FinishedSpan) -> SpanLine {
    let line = SpanLine::from(span);
    assert_eq!(line.attributes.len(), span.attributes.len(), "{:?}", span.attributes);
    line
}

fn expected<'a>(pairs: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, &'a str> {
    pairs.iter().copied().collect()
}

/// The expected attributes of a message that is sent or processed, with additional ones.
fn of_message<'a>(operation: &'a str, cluster: &'a Cluster, more: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, &'a str> {
    let mut all = expected(&[
        ("messaging.system", "kafka"),
        ("messaging.operation.name", operation),
        ("messaging.operation.type", operation),
        ("messaging.destination.name", &cluster.topic),
        ("messaging.destination.partition.id", "0"),
    ]);
    all.extend(more.iter().copied());
    all
}

#[traced("request", kind = server)]
#[biz_tags(propagate(tenant_id))]
async fn request<R>(tenant_id: &str, work: impl Future<Output = R>) -> R {
    work.await
}

fn tenant() -> Option<String> {
    Context::current().baggage().get("tenant_id").map(ToString::to_string)
}

#[traced(kind = consumer, parent = message)]
fn receive(message: &BorrowedMessage<'_>) -> Option<String> {
    tenant()
}

#[traced(kind = consumer, parent = message)]
fn receive_owned(message: &OwnedMessage) -> Option<String> {
    tenant()
}
