//! Kafka: with `rdkafka`'s mock cluster, and with a broker if one is running.
#![cfg(feature = "kafka")]
#![expect(clippy::result_large_err, reason = "the errors of `rdkafka` give the record back")]

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

const LONG: Duration = Duration::from_secs(20);

/// A cluster with an unshared topic of one partition.
struct Cluster {
    brokers: String,
    topic: String,
    _mock: Option<MockCluster<'static, DefaultProducerContext>>,
}

impl Cluster {
    /// In this process.
    fn mock() -> Self {
        let mock = MockCluster::new(1).expect("a cluster in this process");
        let topic = unique_topic();
        mock.create_topic(&topic, 1, 1).expect("the topic is created");
        Self { brokers: mock.bootstrap_servers(), topic, _mock: Some(mock) }
    }

    /// The one that runs.
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
    not_sampled_goes_on,
    producers_without_a_future,
    headers_are_kept,
);

/// Every attribute but those of the source code.
fn attributes(all: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    all.iter().map(|(key, value)| (key.as_str(), value.as_str())).filter(|(key, _)| !key.starts_with("code.")).collect()
}

/// The span, which says nothing twice.
fn line(span: &FinishedSpan) -> SpanLine {
    let line = SpanLine::from(span);
    assert_eq!(line.attributes.len(), span.attributes.len(), "{:?}", span.attributes);
    line
}

fn expected<'a>(pairs: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, &'a str> {
    pairs.iter().copied().collect()
}

#[traced("request", kind = server)]
#[biz_tags(propagate(tenant_id))]
async fn request<R>(tenant_id: &str, work: impl Future<Output = R>) -> R {
    work.await
}

async fn produced_here_consumed_there(cluster: Cluster) {
    let producer: FutureProducer = cluster.producer();
    let capture = Capture::new();
    capture
        .run_async(request("acme", async {
            let delivery = producer.send_traced(cluster.record("o-1", "two keyboards").partition(0), LONG).await;
            assert_eq!(delivery.expect("delivered").offset, 0);
            producer.send_traced(cluster.record("o-2", "fail"), LONG).await.expect("delivered");
            producer.send_traced(cluster.record("o-3", "hang"), LONG).await.expect("delivered");
            let tombstone = FutureRecord::<str, str>::to(&cluster.topic).key("o-4");
            producer.send_traced(tombstone, LONG).await.expect("delivered");
        }))
        .await;
    // Of a producer that is not traced.
    producer.send(cluster.record("o-5", "plain"), LONG).await.expect("delivered");

    let request = line(&capture.span("request"));
    let name = format!("send {}", cluster.topic);
    let sent: Vec<_> = capture.named(&name).iter().map(line).collect();
    assert_eq!(sent.len(), 4);
    let content = [
        ("messaging.message.body.size", "13"),
        ("messaging.message.body.size", "4"),
        ("messaging.message.body.size", "4"),
        ("messaging.kafka.message.tombstone", "true"),
    ];
    for (at, (span, content)) in sent.iter().zip(content).enumerate() {
        assert!(span.is_child_of(&request));
        assert_eq!((span.kind.as_str(), span.status.as_str(), span.links.len()), ("producer", "unset", 0));
        let (offset, key) = (at.to_string(), format!("o-{}", at + 1));
        assert_eq!(
            attributes(&span.attributes),
            expected(&[
                ("messaging.system", "kafka"),
                ("messaging.operation.name", "send"),
                ("messaging.operation.type", "send"),
                ("messaging.destination.name", &cluster.topic),
                ("messaging.destination.partition.id", "0"),
                ("messaging.kafka.offset", &offset),
                ("messaging.kafka.message.key", &key),
                ("tenant_id", "acme"),
                content,
            ])
        );
    }

    let there = cluster.peer("kafka-consume", "5").spans();
    let ambient = there.iter().find(|span| span.name == "loop").expect("the loop");
    let processed: Vec<_> = there.iter().filter(|span| span.name == "process orders").collect();
    let charged: Vec<_> = there.iter().filter(|span| span.name == "charge").collect();
    assert_eq!((processed.len(), charged.len()), (5, 5));
    let ends = [
        ("unset", vec![]),
        ("error: the card was declined", vec![("error.type", "alloc::string::String")]),
        ("unset", vec![("throughline.cancelled", "true")]),
        ("unset", vec![]),
    ];
    for (at, (sent, (status, end))) in sent.iter().zip(ends).enumerate() {
        let span = processed[at];
        assert!(span.is_child_of(sent), "{span:?}");
        assert_eq!((span.kind.as_str(), span.status.as_str()), ("consumer", status));
        assert!(span.is_linked_to(ambient));
        assert_eq!(span.links.len(), 1);
        assert!(charged[at].is_child_of(span));
        assert_eq!(attributes(&charged[at].attributes), expected(&[("baggage", "acme"), ("tenant_id", "acme")]));
        let (offset, key) = (at.to_string(), format!("o-{}", at + 1));
        let mut all = expected(&[
            ("messaging.system", "kafka"),
            ("messaging.operation.name", "process"),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", &cluster.topic),
            ("messaging.destination.partition.id", "0"),
            ("messaging.kafka.offset", &offset),
            ("messaging.kafka.message.key", &key),
            ("messaging.consumer.group.name", "billing"),
            ("messaging.client.id", "billing-7"),
            ("tenant_id", "acme"),
            content[at],
        ]);
        all.extend(end);
        assert_eq!(attributes(&span.attributes), all);
    }
    let entry = processed[4];
    assert_eq!(entry.parent_id, None, "{entry:?}");
    assert_ne!(entry.trace_id, request.trace_id);
    assert_ne!(entry.trace_id, ambient.trace_id);
    assert!(entry.is_linked_to(ambient));
    assert_eq!(entry.attribute("messaging.kafka.offset"), Some("4"));
    assert_eq!(entry.attribute("tenant_id"), None);
}

async fn produced_there_consumed_here(cluster: Cluster) {
    propagation::set(Propagator::default().baggage_as_tags(["tenant_id"]));
    let there = cluster.peer("kafka-produce", "2").spans();
    let sent: Vec<_> = there.iter().filter(|span| span.name.starts_with("send ")).collect();
    assert_eq!(sent.len(), 2);

    let capture = Capture::new();
    let consumer = cluster.consumer();
    let baggage = capture.run(|| {
        in_span("loop", || {
            let owned = next(&consumer).detach();
            let first = receive_owned(&owned);
            let second = next(&consumer);
            [first, receive(&second)]
        })
    });
    assert_eq!(baggage, [Some("acme".to_owned()), Some("acme".to_owned())]);
    let ambient = line(&capture.span("loop"));
    for (at, (name, sent)) in ["receive_owned", "receive"].into_iter().zip(sent).enumerate() {
        let span = line(&capture.span(name));
        assert!(span.is_child_of(sent));
        assert!(span.is_linked_to(&ambient));
        assert_eq!((span.links.len(), span.kind.as_str()), (1, "consumer"));
        assert_eq!(
            attributes(&span.attributes),
            expected(&[
                ("messaging.system", "kafka"),
                ("messaging.operation.name", "process"),
                ("messaging.operation.type", "process"),
                ("messaging.destination.name", &cluster.topic),
                ("messaging.destination.partition.id", "0"),
                ("messaging.kafka.offset", &at.to_string()),
                ("messaging.kafka.message.key", &format!("o-{}", at + 1)),
                ("messaging.message.body.size", "7"),
                ("tenant_id", "acme"),
            ])
        );
    }
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

async fn a_batch_is_linked(cluster: Cluster) {
    let producer: FutureProducer = cluster.producer();
    let capture = Capture::new();
    for (tenant, key) in [("acme", "o-1"), ("globex", "o-2")] {
        let sent = capture.run_async(request(tenant, producer.send_traced(cluster.record(key, "x"), LONG))).await;
        sent.expect("delivered");
    }
    producer.send(cluster.record("o-3", "plain"), LONG).await.expect("delivered");
    let sent: Vec<_> = capture.named(&format!("send {}", cluster.topic)).iter().map(line).collect();
    assert_ne!(sent[0].trace_id, sent[1].trace_id);

    let there = cluster.peer("kafka-consume-batch", "3").spans();
    let ambient = there.iter().find(|span| span.name == "loop").expect("the loop");
    for (name, group) in [("process batch", None), ("process slice", Some("billing"))] {
        let batch = there.iter().find(|span| span.name == name).expect("the batch");
        assert!(batch.is_child_of(ambient));
        assert_eq!(batch.kind, "consumer");
        // The third has no context, and is a message all the same.
        let mut common = expected(&[
            ("messaging.batch.message_count", "3"),
            ("messaging.system", "kafka"),
            ("messaging.operation.name", "process"),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", &cluster.topic),
            ("messaging.destination.partition.id", "0"),
        ]);
        common.extend(group.map(|group| ("messaging.consumer.group.name", group)));
        assert_eq!(attributes(&batch.attributes), common);
        assert_eq!(batch.links.len(), 2);
        for (at, (link, sent)) in batch.links.iter().zip(&sent).enumerate() {
            assert_eq!((&link.trace_id, &link.span_id), (&sent.trace_id, &sent.span_id));
            let (offset, key) = (at.to_string(), format!("o-{}", at + 1));
            let mut all = expected(&[
                ("messaging.system", "kafka"),
                ("messaging.operation.name", "process"),
                ("messaging.operation.type", "process"),
                ("messaging.destination.name", &cluster.topic),
                ("messaging.destination.partition.id", "0"),
                ("messaging.kafka.offset", &offset),
                ("messaging.kafka.message.key", &key),
                ("messaging.message.body.size", "1"),
            ]);
            all.extend(group.map(|group| ("messaging.consumer.group.name", group)));
            assert_eq!(attributes(&link.attributes), all);
        }
    }
}

async fn not_sampled_goes_on(cluster: Cluster) {
    let producer: FutureProducer = cluster.producer();
    let off = Capture::with_sampler(Sampler::AlwaysOff);
    let sender = off
        .run_async(request("acme", async {
            producer.send_traced(cluster.record("o-1", "x"), LONG).await.expect("delivered");
            current_span()
        }))
        .await;
    assert!(off.spans().is_empty());

    let consumer = cluster.consumer();
    let message = next(&consumer);
    let headers = message.headers().expect("a context");
    let traceparent = headers.iter().find(|header| header.key == "traceparent").and_then(|header| header.value);
    let traceparent = std::str::from_utf8(traceparent.expect("a parent")).expect("text");
    assert!(traceparent.starts_with(&format!("00-{}-", sender.trace_id())), "{traceparent}");
    assert!(traceparent.ends_with("-00"), "{traceparent}");
    // The decision holds there too, and is passed on from there.
    let capture = Capture::new();
    let (there, tenant) = capture.run(|| relay(&message));
    assert!(capture.spans().is_empty());
    assert_eq!((there.trace_id(), there.is_sampled()), (sender.trace_id(), false));
    assert_eq!(tenant.as_deref(), Some("acme"));
}

fn current_span() -> SpanContext {
    Context::current().span().span_context().clone()
}

#[traced(kind = consumer, parent = Delivery::new(message))]
fn relay(message: &BorrowedMessage<'_>) -> (SpanContext, Option<String>) {
    (current_span(), tenant())
}

async fn producers_without_a_future(cluster: Cluster) {
    let capture = Capture::new();
    let base: BaseProducer = cluster.producer();
    let threaded: ThreadedProducer<_> = cluster.producer();
    let future: FutureProducer = cluster.producer();
    // One after the other, so that the offsets are known.
    let record = |key| BaseRecord::to(&cluster.topic).key(key).payload("x").partition(0);
    capture.run(|| in_span("base", || base.send_traced(record("o-1")))).map_err(|(error, _)| error).expect("queued");
    base.flush(LONG).expect("sent");
    let sent = capture.run(|| in_span("threaded", || threaded.send_traced(record("o-2"))));
    sent.map_err(|(error, _)| error).expect("queued");
    threaded.flush(LONG).expect("sent");
    let sent = capture.run(|| in_span("waited", || future.send_result_traced(cluster.record("o-3", "x"))));
    let delivery = sent.map_err(|(error, _)| error).expect("queued").await;
    assert_eq!(delivery.expect("the producer lives").expect("delivered").offset, 2);
    let sent = capture.run(|| in_span("forgotten", || future.send_result_traced(cluster.record("o-4", "x"))));
    drop(sent.map_err(|(error, _)| error).expect("queued"));
    future.flush(LONG).expect("sent");

    let consumer = cluster.consumer();
    let sent = capture.named(&format!("send {}", cluster.topic));
    assert_eq!((sent.len(), capture.open()), (4, 0));
    for (at, (caller, sent)) in ["base", "threaded", "waited", "forgotten"].into_iter().zip(&sent).enumerate() {
        assert!(sent.is_child_of(&capture.span(caller)));
        assert!(!sent.is_cancelled() && !sent.is_error(), "{sent:?}");
        let message = next(&consumer);
        assert_eq!(message.offset(), i64::try_from(at).expect("small"));
        let there = Capture::new();
        there.run(|| receive(&message));
        let received = there.span("receive");
        assert!(received.is_child_of(sent));
        // Only of the third the result was waited for.
        let offset = (caller == "waited").then_some(Value::I64(2));
        assert_eq!(sent.attribute("messaging.kafka.offset"), offset.as_ref());
        let partition = (caller != "forgotten").then_some(Value::from("0"));
        assert_eq!(sent.attribute("messaging.destination.partition.id"), partition.as_ref());
    }
}

async fn headers_are_kept(cluster: Cluster) {
    let producer: FutureProducer = cluster.producer();
    let capture = Capture::new();
    let headers = OwnedHeaders::new()
        .insert(Header { key: "content-type", value: Some("text/plain") })
        .insert(Header { key: "traceparent", value: Some("00-11111111111111111111111111111111-2222222222222222-01") })
        .insert(Header { key: "tracestate", value: Some("old=1") })
        .insert(Header { key: "retry", value: Some(&[0xff, 0x00][..]) });
    let record = cluster.record("o-1", "x").headers(headers);
    capture.run_async(producer.send_traced(record, LONG)).await.expect("delivered");
    let consumer = cluster.consumer();
    let message = next(&consumer);
    let sent = capture.span(&format!("send {}", cluster.topic));
    let parent = format!("00-{}-{}-01", sent.trace_id(), sent.span_id());
    let found: Vec<_> =
        message.headers().expect("headers").iter().map(|it| (it.key, it.value.map(<[u8]>::to_vec))).collect();
    let expected = [
        ("content-type", Some(b"text/plain".to_vec())),
        ("retry", Some(vec![0xff, 0x00])),
        ("traceparent", Some(parent.into_bytes())),
    ];
    assert_eq!(found, expected);
}

/// A producer whose broker does not exist.
fn nowhere(more: &[(&str, &str)]) -> FutureProducer {
    let mut config = config("127.0.0.1:1");
    config.set("message.timeout.ms", "300").set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
    for (key, value) in more {
        config.set(*key, *value);
    }
    config.create().expect("the configuration is valid")
}

#[tokio::test]
async fn what_cannot_be_delivered_is_an_error() {
    let producer = nowhere(&[]);
    let capture = Capture::new();
    let record = FutureRecord::to("orders").key("o-1").payload("x");
    let (error, message) = capture.run_async(producer.send_traced(record, LONG)).await.expect_err("there is no broker");
    assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut));
    let span = capture.span("send orders");
    assert!(span.is_error());
    assert_eq!(line(&span).status, format!("error: {error}"));
    assert_eq!(span.attribute("error.type"), Some(&"MessageTimedOut".into()));
    assert_eq!(span.attribute("messaging.kafka.offset"), None);
    let event = span.event("exception").expect("an exception");
    assert!(event.attributes.iter().any(|it| it.key.as_str() == "exception.message"));

    // What came back can be sent again, and then belongs to the second attempt.
    let again = FutureRecord::to("orders")
        .key(message.key().expect("a key"))
        .payload(message.payload().expect("a payload"))
        .headers(message.headers().expect("headers").clone());
    let (_, message) = capture.run_async(producer.send_traced(again, LONG)).await.expect_err("there is no broker");
    let parents: Vec<_> = message.headers().expect("headers").iter().filter(|it| it.key == "traceparent").collect();
    assert_eq!(parents.len(), 1);
    let second = &capture.named("send orders")[1];
    let written = std::str::from_utf8(parents[0].value.expect("a value")).expect("text");
    assert!(written.contains(&second.span_id().to_string()), "{written}");

    // The same of `send_result`, whose error comes with its future.
    let record = FutureRecord::<str, str>::to("orders").payload("x");
    let delivery = capture.run(|| producer.send_result_traced(record)).map_err(|(error, _)| error).expect("queued");
    assert!(delivery.await.expect("the producer lives").is_err());
    let third = &capture.named("send orders")[2];
    assert_eq!(third.attribute("error.type"), Some(&"MessageTimedOut".into()));
}

#[tokio::test]
async fn what_cannot_be_queued_is_an_error() {
    let producer = nowhere(&[("message.max.bytes", "1000")]);
    let capture = Capture::new();
    let large = "x".repeat(5000);
    let record = || FutureRecord::<str, str>::to("orders").payload(&large);
    let (error, message) = capture.run_async(producer.send_traced(record(), LONG)).await.expect_err("it is too large");
    assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge));
    assert_eq!(message.payload().map(<[u8]>::len), Some(5000));
    let Err((error, record)) = capture.run(|| producer.send_result_traced(record())) else { panic!("it is too large") };
    assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge));
    assert_eq!(record.payload.map(str::len), Some(5000));
    let base: BaseProducer = {
        let mut config = config("127.0.0.1:1");
        config.set("message.max.bytes", "1000").set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
        config.create().expect("the configuration is valid")
    };
    let record = BaseRecord::<str, str>::to("orders").payload(&large);
    assert!(capture.run(|| base.send_traced(record)).is_err());
    let spans = capture.named("send orders");
    assert_eq!(spans.len(), 3);
    for span in spans {
        assert_eq!(span.attribute("error.type"), Some(&"MessageSizeTooLarge".into()));
        assert!(span.is_error());
    }
    let record = FutureRecord::<str, str>::to("or\0ders").payload("x");
    assert!(capture.run_async(producer.send_traced(record, LONG)).await.is_err());
    assert_eq!(capture.spans()[3].attribute("error.type"), Some(&"Nul".into()));
}

#[tokio::test]
async fn a_send_that_is_given_up_is_cancelled() {
    let cluster = Cluster::mock();
    let producer: FutureProducer = cluster.producer();
    let capture = Capture::new();
    // Nothing happens before the first poll, as with `send`.
    drop(capture.run(|| producer.send_traced(cluster.record("o-1", "x"), LONG)));
    assert!(capture.spans().is_empty());
    assert!(capture.run_async(producer.send_traced(cluster.record("o-2", "x"), LONG)).now_or_never().is_none());
    let sent = capture.span(&format!("send {}", cluster.topic));
    assert!(sent.is_cancelled());
    // Given up is the result, and not the message.
    producer.flush(LONG).expect("sent");
    let consumer = cluster.consumer();
    let message = next(&consumer);
    assert_eq!(message.key(), Some(&b"o-2"[..]));
    assert_eq!(message.origin().span().span_context().span_id(), sent.span_id());
}

#[tokio::test]
async fn sending_can_be_spawned() {
    let cluster = Cluster::mock();
    let producer: FutureProducer = cluster.producer();
    let capture = Capture::new();
    let topic = cluster.topic.clone();
    let job = capture.run_async(in_span_async("job", async move {
        producer.send_traced(FutureRecord::<str, str>::to(&topic).payload("x"), LONG).await.expect("delivered");
    }));
    tokio::spawn(job).await.expect("no panic");
    capture.assert_tree(&format!("job\n└── send {} [producer]", cluster.topic));
}

#[tokio::test]
async fn without_an_sdk_the_message_is_the_same() {
    let cluster = Cluster::mock();
    let producer: FutureProducer = cluster.producer();
    producer.send_traced(cluster.record("o-1", "x"), LONG).await.expect("delivered");
    let consumer = cluster.consumer();
    assert!(next(&consumer).headers().is_none());
}
