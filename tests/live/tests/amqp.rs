//! RabbitMQ.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, ErrorKind, ExchangeKind,
};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Sampler;
use throughline::propagation::{self, Propagator};
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Origin as _, biz_tags, in_span_async, traced};
use throughline_amqp::{self as amqp, ChannelExt as _};
use throughline_live::{Peer, SpanLine, server};

/// A connection with an unshared queue, and an exchange that is bound to it.
struct Broker {
    address: String,
    connection: Connection,
    channel: Channel,
    exchange: String,
    queue: String,
}

const KEY: &str = "order.placed";

impl Broker {
    async fn connect() -> Option<Self> {
        let address = format!("amqp://{}/%2f", server("rabbitmq")?);
        let connection = Connection::connect(&address, ConnectionProperties::default()).await;
        let connection = connection.expect("the broker answers");
        let channel = connection.create_channel().await.expect("a channel");
        let (exchange, queue) = (unique("orders"), unique("billing"));
        let none = FieldTable::default;
        let options = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
        let declared = channel.exchange_declare(short(&exchange), ExchangeKind::Topic, options, none());
        declared.await.expect("the exchange is declared");
        // Deleted when unused for a minute; with `exclusive`, the peer could not use it.
        let mut expires = FieldTable::default();
        expires.insert("x-expires".into(), AMQPValue::LongInt(60_000));
        let declared = channel.queue_declare(short(&queue), QueueDeclareOptions::default(), expires);
        declared.await.expect("the queue is declared");
        let bound =
            channel.queue_bind(short(&queue), short(&exchange), KEY.into(), QueueBindOptions::default(), none());
        bound.await.expect("the queue is bound");
        Some(Self { address, connection, channel, exchange, queue })
    }

    /// Publishes through the exchange.
    async fn publish(&self, payload: &str, properties: BasicProperties) {
        let sent = self.channel.basic_publish_traced(
            short(&self.exchange),
            KEY.into(),
            BasicPublishOptions::default(),
            payload.as_bytes(),
            properties,
        );
        assert_eq!(sent.await.expect("sent").await.expect("no confirm was asked for"), Confirmation::NotRequested);
    }

    async fn consumer(&self) -> Consumer {
        let (options, none) =
            (BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() }, FieldTable::default());
        self.channel.basic_consume(short(&self.queue), "".into(), options, none).await.expect("a consumer")
    }

    fn peer(&self, role: &str, count: &str) -> Peer {
        let arguments = [("address", self.address.as_str()), ("queue", &self.queue), ("count", count)];
        Peer::start(env!("CARGO_BIN_EXE_peer"), role, &arguments)
    }
}

fn unique(name: &str) -> String {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    format!("{name}-{}-{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed))
}

fn short(name: &str) -> ShortString {
    name.into()
}

async fn next(consumer: &mut Consumer) -> Delivery {
    let next = tokio::time::timeout(Duration::from_secs(20), consumer.next());
    next.await.expect("a message in time").expect("the consumer goes on").expect("a message")
}

/// Every attribute but those of the source code.
fn attributes(all: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    all.iter().map(|(key, value)| (key.as_str(), value.as_str())).filter(|(key, _)| !key.starts_with("code.")).collect()
}

fn expected<'a>(pairs: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, &'a str> {
    pairs.iter().copied().collect()
}

/// The spans of this name, none of which says anything twice.
fn lines(capture: &Capture, name: &str) -> Vec<SpanLine> {
    let line = |span: &FinishedSpan| {
        let line = SpanLine::from(span);
        assert_eq!(line.attributes.len(), span.attributes.len(), "{:?}", span.attributes);
        line
    };
    capture.named(name).iter().map(line).collect()
}

#[traced("request", kind = server)]
#[biz_tags(propagate(tenant_id))]
async fn request<R>(tenant_id: &str, work: impl Future<Output = R>) -> R {
    work.await
}

fn tenant() -> Option<String> {
    Context::current().baggage().get("tenant_id").map(ToString::to_string)
}

fn current_span() -> SpanContext {
    Context::current().span().span_context().clone()
}

#[traced(kind = consumer, parent = delivery)]
fn receive(delivery: &Delivery) -> (SpanContext, Option<String>) {
    (current_span(), tenant())
}

#[tokio::test]
async fn produced_here_consumed_there() {
    let Some(broker) = Broker::connect().await else { return };
    let capture = Capture::new();
    capture
        .run_async(request("acme", async {
            let properties = BasicProperties::default().with_message_id("m-1".into()).with_correlation_id("c-1".into());
            broker.publish("two keyboards", properties).await;
            broker.publish("hang", BasicProperties::default()).await;
        }))
        .await;
    // Of a producer that is not traced.
    let (options, none) = (BasicPublishOptions::default(), BasicProperties::default());
    let plain = broker.channel.basic_publish("".into(), short(&broker.queue), options, b"plain", none);
    plain.await.expect("sent").await.expect("no confirm was asked for");

    let request = &lines(&capture, "request")[0];
    let destination = format!("{}:{KEY}", broker.exchange);
    let sent = lines(&capture, &format!("publish {destination}"));
    assert_eq!(sent.len(), 2);
    let content = [
        vec![
            ("messaging.message.body.size", "13"),
            ("messaging.message.id", "m-1"),
            ("messaging.message.conversation_id", "c-1"),
        ],
        vec![("messaging.message.body.size", "4")],
    ];
    for (span, content) in sent.iter().zip(content.clone()) {
        assert!(span.is_child_of(request));
        assert_eq!((span.kind.as_str(), span.status.as_str(), span.links.len()), ("producer", "unset", 0));
        let mut all = expected(&[
            ("messaging.system", "rabbitmq"),
            ("messaging.operation.name", "publish"),
            ("messaging.operation.type", "send"),
            ("messaging.destination.name", &destination),
            ("messaging.rabbitmq.destination.routing_key", KEY),
            ("tenant_id", "acme"),
        ]);
        all.extend(content);
        assert_eq!(attributes(&span.attributes), all);
    }

    let there = broker.peer("amqp-consume", "3").spans();
    let ambient = there.iter().find(|span| span.name == "loop").expect("the loop");
    let processed: Vec<_> = there.iter().filter(|span| span.name == "process billing").collect();
    let charged: Vec<_> = there.iter().filter(|span| span.name == "charge").collect();
    assert_eq!((processed.len(), charged.len()), (3, 3));
    let ends = [vec![], vec![("throughline.cancelled", "true")]];
    for (at, (sent, (content, end))) in sent.iter().zip(content.into_iter().zip(ends)).enumerate() {
        let span = processed[at];
        assert!(span.is_child_of(sent), "{span:?}");
        assert_eq!((span.kind.as_str(), span.status.as_str()), ("consumer", "unset"));
        assert!(span.is_linked_to(ambient));
        assert_eq!(span.links.len(), 1);
        assert!(charged[at].is_child_of(span));
        assert_eq!(attributes(&charged[at].attributes), expected(&[("baggage", "acme"), ("tenant_id", "acme")]));
        let (tag, destination) = ((at + 1).to_string(), format!("{destination}:{}", broker.queue));
        let mut all = expected(&[
            ("messaging.system", "rabbitmq"),
            ("messaging.operation.name", "process"),
            ("messaging.operation.type", "process"),
            ("messaging.destination.name", &destination),
            ("messaging.rabbitmq.destination.routing_key", KEY),
            ("messaging.rabbitmq.message.delivery_tag", &tag),
            ("tenant_id", "acme"),
        ]);
        all.extend(content);
        all.extend(end);
        assert_eq!(attributes(&span.attributes), all);
    }
    let entry = processed[2];
    assert_eq!(entry.parent_id, None, "{entry:?}");
    assert_ne!(entry.trace_id, request.trace_id);
    assert_ne!(entry.trace_id, ambient.trace_id);
    assert!(entry.is_linked_to(ambient));
    assert_eq!(entry.attribute("messaging.destination.name"), Some(broker.queue.as_str()));
    assert_eq!(entry.attribute("tenant_id"), None);
}

#[tokio::test]
async fn produced_there_consumed_here() {
    let Some(broker) = Broker::connect().await else { return };
    propagation::set(Propagator::default().baggage_as_tags(["tenant_id"]));
    let there = broker.peer("amqp-produce", "2").spans();
    let sent: Vec<_> = there.iter().filter(|span| span.name == format!("publish {}", broker.queue)).collect();
    assert_eq!(sent.len(), 2);

    let capture = Capture::new();
    // One is got, one is delivered.
    let got = broker.channel.basic_get(short(&broker.queue), BasicGetOptions { no_ack: true }).await;
    let got = got.expect("an answer").expect("a message");
    assert_eq!(got.origin().span().span_context().span_id().to_string(), sent[0].span_id);
    let mut consumer = broker.consumer().await;
    let tenants = capture
        .run_async(in_span_async("loop", async {
            let delivery = next(&mut consumer).await;
            [receive(&got).1, receive(&delivery).1]
        }))
        .await;
    assert_eq!(tenants, [Some("acme".to_owned()), Some("acme".to_owned())]);
    let ambient = &lines(&capture, "loop")[0];
    let received = lines(&capture, "receive");
    assert_eq!(received.len(), 2);
    for (span, sent) in received.iter().zip(sent) {
        assert!(span.is_child_of(sent));
        assert!(span.is_linked_to(ambient));
        assert_eq!((span.links.len(), span.kind.as_str()), (1, "consumer"));
        let mut found = attributes(&span.attributes);
        assert!(found.remove("messaging.rabbitmq.message.delivery_tag").is_some());
        assert_eq!(
            found,
            expected(&[
                ("messaging.system", "rabbitmq"),
                ("messaging.operation.name", "process"),
                ("messaging.operation.type", "process"),
                ("messaging.destination.name", &broker.queue),
                ("messaging.rabbitmq.destination.routing_key", &broker.queue),
                ("messaging.message.body.size", "7"),
                ("tenant_id", "acme"),
            ])
        );
    }
}

#[tokio::test]
async fn a_redelivered_message_is_marked() {
    let Some(broker) = Broker::connect().await else { return };
    let capture = Capture::new();
    capture.run_async(request("acme", broker.publish("retry", BasicProperties::default()))).await;
    let sent = &lines(&capture, &format!("publish {}:{KEY}", broker.exchange))[0];

    let there = broker.peer("amqp-consume", "2").spans();
    let processed: Vec<_> = there.iter().filter(|span| span.name == "process billing").collect();
    let [first, second] = processed[..] else { panic!("{processed:?}") };
    for attempt in [first, second] {
        assert!(attempt.is_child_of(sent));
    }
    assert_eq!(first.attribute("throughline.messaging.redelivered"), None);
    assert_eq!(first.status, "error: the card reader is busy");
    assert_eq!(second.attribute("throughline.messaging.redelivered"), Some("true"));
    assert_eq!(second.attribute("messaging.rabbitmq.message.delivery_tag"), Some("2"));
    assert_eq!(second.status, "unset");
}

#[tokio::test]
async fn a_batch_is_linked() {
    let Some(broker) = Broker::connect().await else { return };
    let capture = Capture::new();
    for tenant in ["acme", "globex"] {
        capture.run_async(request(tenant, broker.publish("x", BasicProperties::default()))).await;
    }
    let (options, none) = (BasicPublishOptions::default(), BasicProperties::default());
    broker.channel.basic_publish("".into(), short(&broker.queue), options, b"plain", none).await.expect("sent");
    let destination = format!("{}:{KEY}", broker.exchange);
    let sent = lines(&capture, &format!("publish {destination}"));
    assert_ne!(sent[0].trace_id, sent[1].trace_id);

    let there = broker.peer("amqp-consume-batch", "3").spans();
    let ambient = there.iter().find(|span| span.name == "loop").expect("the loop");
    let with_queue = format!("{destination}:{}", broker.queue);
    for (name, destination) in [("process batch", &destination), ("process slice", &with_queue)] {
        let batch = there.iter().find(|span| span.name == name).expect("the batch");
        assert!(batch.is_child_of(ambient));
        assert_eq!(batch.kind, "consumer");
        // The third has no context, and is a message all the same.
        // It went to another exchange, too.
        assert_eq!(
            attributes(&batch.attributes),
            expected(&[
                ("messaging.batch.message_count", "3"),
                ("messaging.system", "rabbitmq"),
                ("messaging.operation.name", "process"),
                ("messaging.operation.type", "process"),
            ])
        );
        assert_eq!(batch.links.len(), 2);
        for (at, (link, sent)) in batch.links.iter().zip(&sent).enumerate() {
            assert_eq!((&link.trace_id, &link.span_id), (&sent.trace_id, &sent.span_id));
            assert_eq!(
                attributes(&link.attributes),
                expected(&[
                    ("messaging.system", "rabbitmq"),
                    ("messaging.operation.name", "process"),
                    ("messaging.operation.type", "process"),
                    ("messaging.destination.name", destination),
                    ("messaging.rabbitmq.destination.routing_key", KEY),
                    ("messaging.rabbitmq.message.delivery_tag", &(at + 1).to_string()),
                    ("messaging.message.body.size", "1"),
                ])
            );
        }
    }
}

#[tokio::test]
async fn not_sampled_goes_on() {
    let Some(broker) = Broker::connect().await else { return };
    let off = Capture::with_sampler(Sampler::AlwaysOff);
    let sender = off
        .run_async(request("acme", async {
            broker.publish("x", BasicProperties::default()).await;
            current_span()
        }))
        .await;
    assert!(off.spans().is_empty());

    let delivery = next(&mut broker.consumer().await).await;
    let traceparent = header(&delivery, "traceparent").expect("a parent");
    assert!(traceparent.starts_with(&format!("00-{}-", sender.trace_id())), "{traceparent}");
    assert!(traceparent.ends_with("-00"), "{traceparent}");
    // The decision holds there too, and is passed on from there.
    let capture = Capture::new();
    let (there, tenant) = capture.run(|| receive(&delivery));
    assert!(capture.spans().is_empty());
    assert_eq!((there.trace_id(), there.is_sampled()), (sender.trace_id(), false));
    assert_eq!(tenant.as_deref(), Some("acme"));
}

fn header(delivery: &Delivery, name: &str) -> Option<String> {
    let headers = delivery.properties.headers().as_ref()?;
    match headers.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        other => panic!("`{name}` is {other:?}"),
    }
}

#[tokio::test]
async fn headers_are_kept() {
    let Some(broker) = Broker::connect().await else { return };
    let mut headers = FieldTable::default();
    headers.insert("x-retries".into(), AMQPValue::LongInt(3));
    headers.insert("tracestate".into(), AMQPValue::LongString("old=1".into()));
    headers.insert(
        "traceparent".into(),
        AMQPValue::LongString("00-11111111111111111111111111111111-2222222222222222-01".into()),
    );
    let capture = Capture::new();
    capture.run_async(broker.publish("x", BasicProperties::default().with_headers(headers).with_priority(3))).await;
    let delivery = next(&mut broker.consumer().await).await;
    let sent = &lines(&capture, &format!("publish {}:{KEY}", broker.exchange))[0];
    let parent = format!("00-{}-{}-01", sent.trace_id, sent.span_id);
    let mut expected = FieldTable::default();
    expected.insert("x-retries".into(), AMQPValue::LongInt(3));
    expected.insert("traceparent".into(), AMQPValue::LongString(parent.into()));
    assert_eq!(delivery.properties.headers().as_ref(), Some(&expected));
    assert_eq!(delivery.properties.priority(), &Some(3));
    assert_eq!(delivery.data, b"x");
}

#[tokio::test]
async fn confirms_come_as_before() {
    let Some(broker) = Broker::connect().await else { return };
    let channel = &broker.channel;
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    let capture = Capture::new();
    let publish = |key: &str| {
        let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        channel.basic_publish_traced("".into(), short(key), mandatory, b"x", BasicProperties::default())
    };
    let confirm = capture.run_async(publish(&broker.queue)).await.expect("sent");
    // The span has ended; what is left is lapin's own.
    assert_eq!(capture.open(), 0);
    assert_eq!(confirm.await.expect("an answer"), Confirmation::Ack(None));
    let confirm = capture.run_async(publish("nowhere")).await.expect("sent");
    let returned = confirm.await.expect("an answer").take_message().expect("it is returned");
    assert_eq!(returned.reply_code, 312);
    // A returned message has the context of its span.
    assert_eq!(
        lines(&capture, "publish nowhere")[0].span_id,
        returned.origin().span().span_context().span_id().to_string()
    );
    // One that is not awaited is not lost.
    drop(capture.run_async(publish("nowhere")).await.expect("sent"));
    assert_eq!(channel.wait_for_confirms().await.expect("an answer").len(), 1);
    assert!(capture.spans().iter().all(|span| !span.is_error() && !span.is_cancelled()));
}

#[tokio::test]
async fn a_confirmed_publish_tells_what_became_of_it() {
    let Some(broker) = Broker::connect().await else { return };
    let channel = &broker.channel;
    let capture = Capture::new();
    let publish = |exchange: &str, key: &str| {
        let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let none = BasicProperties::default();
        capture.run_async(channel.basic_publish_confirmed_traced(short(exchange), short(key), mandatory, b"x", none))
    };
    assert_eq!(publish("", &broker.queue).await.expect("sent"), Confirmation::NotRequested);
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    assert_eq!(publish("", &broker.queue).await.expect("sent"), Confirmation::Ack(None));
    assert!(publish("", "nowhere").await.expect("sent").take_message().is_some());
    // The broker closes the channel.
    let missing = unique("missing");
    let error = publish(&missing, "").await.expect_err("there is no such exchange");
    assert!(matches!(error.kind(), ErrorKind::ProtocolError(_)), "{error:?}");
    let closed = publish("", &broker.queue).await.expect_err("the channel is closed");
    assert!(matches!(closed.kind(), ErrorKind::InvalidChannelState(..)), "{closed:?}");

    let spans = capture.spans();
    let [plain, acked, returned, refused, late] = &spans[..] else { panic!("{spans:?}") };
    for fine in [plain, acked] {
        assert!(!fine.is_error() && fine.attribute("error.type").is_none());
    }
    let status = |span| SpanLine::from(span).status;
    assert_eq!(returned.attribute("error.type"), Some(&"NO-ROUTE".into()));
    assert_eq!(status(returned), "error: NO_ROUTE");
    assert!(returned.event("exception").is_none(), "an answer is no exception");
    assert_eq!(refused.name(), format!("publish {missing}"));
    assert_eq!(refused.attribute("error.type"), Some(&"NOT-FOUND".into()));
    assert_eq!(status(refused), format!("error: {error}"));
    assert!(refused.event("exception").is_some());
    assert_eq!(late.attribute("error.type"), Some(&"InvalidChannelState".into()));
}

#[tokio::test]
async fn what_cannot_be_sent_is_an_error() {
    let Some(broker) = Broker::connect().await else { return };
    broker.channel.close(200, "done".into()).await.expect("the channel closes");
    let capture = Capture::new();
    let publish = || {
        let (options, none) = (BasicPublishOptions::default(), BasicProperties::default());
        broker.channel.basic_publish_traced("".into(), "q".into(), options, b"x", none)
    };
    let error = capture.run_async(publish()).await.expect_err("the channel is closed");
    let span = capture.span("publish q");
    assert_eq!(SpanLine::from(&span).status, format!("error: {error}"));
    assert_eq!(span.attribute("error.type"), Some(&"InvalidChannelState".into()));
    // Nothing happens before the first poll, as with `basic_publish`.
    drop(capture.run(publish));
    assert_eq!(capture.spans().len(), 1);
}

#[tokio::test]
async fn a_publish_that_is_given_up_is_cancelled() {
    let Some(broker) = Broker::connect().await else { return };
    broker.channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    let capture = Capture::new();
    let (options, none) = (BasicPublishOptions::default(), BasicProperties::default());
    let publish = broker.channel.basic_publish_confirmed_traced("".into(), short(&broker.queue), options, b"x", none);
    // The answer of the broker cannot be there yet.
    assert!(capture.run_async(publish).now_or_never().is_none());
    let span = capture.span(&format!("publish {}", broker.queue));
    assert!(span.is_cancelled());
    // Given up is the result, and not the message.
    let delivery = next(&mut broker.consumer().await).await;
    assert_eq!(delivery.origin().span().span_context().span_id(), span.span_id());
}

#[tokio::test]
async fn replies_to_unnamed_queues_have_one_name() {
    let Some(broker) = Broker::connect().await else { return };
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = broker.channel.queue_declare("".into(), options, FieldTable::default()).await.expect("a queue");
    let capture = Capture::new();
    let (options, none) = (BasicPublishOptions::default(), BasicProperties::default());
    let sent = broker.channel.basic_publish_traced("".into(), queue.name().clone(), options, b"x", none);
    capture.run_async(sent).await.expect("sent");
    let span = capture.span("publish (temporary)");
    assert_eq!(span.attribute("messaging.destination.name"), Some(&queue.name().to_string().into()));
    assert_eq!(span.attribute("messaging.destination.temporary"), Some(&true.into()));
    assert_eq!(span.attribute("messaging.destination.anonymous"), Some(&true.into()));
}

#[tokio::test]
async fn publishing_can_be_spawned() {
    let Some(broker) = Broker::connect().await else { return };
    let capture = Capture::new();
    let channel = broker.channel.clone();
    let job = capture.run_async(in_span_async("job", async move {
        let (options, none) = (BasicPublishOptions::default(), BasicProperties::default());
        channel.basic_publish_traced("".into(), "q".into(), options, b"x", none).await.expect("sent");
    }));
    tokio::spawn(job).await.expect("no panic");
    capture.assert_tree("job\n└── publish q [producer]");
    broker.connection.close(200, "done".into()).await.expect("the connection closes");
}

/// Without a broker: `lapin` can make up deliveries.
#[test]
fn a_made_up_delivery_is_an_origin() {
    let capture = Capture::new();
    let sent = capture.run(|| throughline::in_span("send", || amqp::inject(BasicProperties::default())));
    let mut delivery = Delivery::mock(1, "".into(), "q".into(), true, b"x".to_vec());
    delivery.properties = sent;
    capture.run(|| receive(&delivery));
    let received = capture.span("receive");
    assert!(received.is_child_of(&capture.span("send")));
    assert!(received.attributes.contains(&KeyValue::new("throughline.messaging.redelivered", true)));
}
