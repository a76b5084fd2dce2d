//! RocketMQ: produce here, consume in another process, through a real name server and broker.

#![cfg(feature = "rocketmq")]

mod transactions;

use std::sync::atomic::{AtomicU32, Ordering};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use rocketmq_client_rust::{ClientConfig, DefaultMQProducer, SendResult};
use rocketmq_model::common::message::MessageTrait;
use rocketmq_model::common::message::message_single::Message;
use throughline::testing::Capture;
use throughline::{biz_tags, in_span_async, traced};
use throughline_live::roles::rocketmq::Client;
use throughline_live::{Peer, SpanLine};
use throughline_rocketmq::{self as rocketmq, ProducerExt as _};
use tokio::sync::oneshot;

/// A name that no other test and no earlier run has used.
fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
    format!("{name}-{}-{count}-{now}", std::process::id())
}

/// A producer and a topic of its own.
struct Lab {
    namesrv: String,
    client: Client,
    producer: DefaultMQProducer,
    topic: String,
}

impl Lab {
    async fn open() -> Option<Self> {
        let namesrv = throughline_live::server("rocketmq-namesrv")?;
        let client = Client::new(&namesrv);
        let mut producer = client.producer(&unique("producers")).await;
        let topic = unique("orders");
        Client::create_topic(&mut producer, &topic).await;
        Some(Self { namesrv, client, producer, topic })
    }

    fn message(&self, body: &str) -> Message {
        Message::builder().topic(self.topic.as_str()).body_slice(body.as_bytes()).build_unchecked()
    }

    /// Sends like a producer that is not traced.
    async fn send_untraced(&self, message: Message) {
        Box::pin(self.producer.send(message)).await.expect("sent");
    }

    /// Starts another process that consumes the messages.
    fn consume(&self, role: &str, group: &str, deliveries: usize) -> Vec<SpanLine> {
        let deliveries = deliveries.to_string();
        let arguments =
            [("namesrv", &*self.namesrv), ("topic", &*self.topic), ("group", group), ("deliveries", &*deliveries)];
        Peer::start(env!("CARGO_BIN_EXE_peer"), role, &arguments).spans()
    }

    async fn close(mut self) {
        self.producer.shutdown().await;
        self.client.stop().await;
    }
}

/// The consumer's span of the message with this body.
fn processed<'a>(spans: &'a [SpanLine], body: &str) -> Vec<&'a SpanLine> {
    spans.iter().filter(|span| span.name == "process" && span.attribute("body") == Some(body)).collect()
}

fn only<T: Copy>(list: &[T]) -> T {
    assert_eq!(list.len(), 1);
    list[0]
}

fn attributes<'a>(span: &'a SpanLine, keys: &[&str]) -> Vec<Option<&'a str>> {
    keys.iter().map(|key| span.attribute(key)).collect()
}

#[biz_tags(propagate(tenant_id))]
#[traced("request", kind = server)]
async fn request(lab: &Lab, tenant_id: &str) -> SendResult {
    let mut order = lab.message("order");
    order.set_tags("new".into());
    order.set_keys("1001 acme".into());
    // From an earlier trace of the message, and must not be mixed with the new one.
    order.put_property("traceparent".into(), "00-11111111111111111111111111111111-2222222222222222-01".into());
    order.put_property("tracestate".into(), "old=1".into());
    order.put_property("color".into(), "red".into());
    lab.producer.send_traced(order).await.expect("sent").expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_takes_its_trace_to_another_process() {
    let Some(lab) = Lab::open().await else { return };
    let capture = Capture::new();
    let sent = capture.run_async(request(&lab, "acme")).await;
    // There is no current span, and the message has no trace headers.
    lab.send_untraced(lab.message("untraced")).await;
    let broken = {
        let mut message = lab.message("broken");
        message.put_property("traceparent".into(), "00-not-a-trace-01".into());
        message.put_property("baggage".into(), "=;=%".into());
        message
    };
    lab.send_untraced(broken).await;
    let spans = lab.consume("rocketmq-listen", "billing", 3);

    let (request, producer) = (capture.span("request"), capture.span(&format!("send {}", lab.topic)));
    let line = SpanLine::from(&producer);
    assert!(producer.is_child_of(&request));
    assert_eq!((&*line.kind, &*line.status), ("producer", "unset"));
    let id = sent.msg_id.expect("an id").to_string();
    for (key, expected) in [
        ("messaging.system", "rocketmq"),
        ("messaging.operation.name", "send"),
        ("messaging.operation.type", "send"),
        ("messaging.destination.name", &*lab.topic),
        ("messaging.destination.partition.id", "0"),
        ("messaging.message.id", &id),
        ("messaging.message.body.size", "5"),
        ("messaging.rocketmq.message.type", "normal"),
        ("messaging.rocketmq.message.tag", "new"),
        ("messaging.rocketmq.message.keys", r#"["1001","acme"]"#),
        ("throughline.rocketmq.queue_offset", "0"),
        ("tenant_id", "acme"),
    ] {
        assert_eq!(line.attribute(key), Some(expected), "{key} of the producer");
    }
    for key in
        ["throughline.rocketmq.send_status", "messaging.rocketmq.namespace", "error.type", "throughline.cancelled"]
    {
        assert_eq!(line.attribute(key), None, "{key} of the producer");
    }

    let order = only(&processed(&spans, "order"));
    assert!(order.is_child_of(&line), "{order:?}");
    assert_eq!((&*order.kind, &*order.status), ("consumer", "unset"));
    for (key, expected) in [
        ("messaging.system", "rocketmq"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", &*lab.topic),
        ("messaging.destination.partition.id", "0"),
        ("messaging.message.id", &id),
        ("messaging.message.body.size", "5"),
        ("messaging.consumer.group.name", "billing"),
        ("messaging.rocketmq.message.type", "normal"),
        ("messaging.rocketmq.message.tag", "new"),
        ("messaging.rocketmq.message.keys", r#"["1001","acme"]"#),
        ("throughline.rocketmq.queue_offset", "0"),
    ] {
        assert_eq!(order.attribute(key), Some(expected), "{key} of the consumer");
    }
    assert_eq!(order.attribute("throughline.messaging.redelivered"), None);
    // The span that was current where the listener was called, and nothing else.
    let listen: Vec<_> = spans.iter().filter(|span| span.name == "listen").collect();
    assert_eq!(order.links.len(), 1);
    assert!(listen.iter().any(|listen| order.is_linked_to(listen) && listen.trace_id != order.trace_id));
    let work = only(&spans.iter().filter(|span| span.name == "work" && span.is_child_of(order)).collect::<Vec<_>>());
    assert_eq!(work.attribute("tenant"), Some("acme"), "baggage");

    for body in ["untraced", "broken"] {
        let entry = only(&processed(&spans, body));
        assert_eq!((&entry.parent_id, &*entry.status, entry.links.len()), (&None, "unset", 1), "{body}");
        assert!(entry.trace_id != line.trace_id);
        assert_eq!(entry.attribute("messaging.destination.name"), Some(&*lab.topic), "{body} is described too");
    }
    lab.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redelivered_message_is_marked_and_keeps_its_parent() {
    let Some(lab) = Lab::open().await else { return };
    let capture = Capture::new();
    let message = {
        let mut message = lab.message("again");
        message.set_tags("retry".into());
        message
    };
    let sent = capture.run_async(in_span_async("request", lab.producer.send_traced(message))).await;
    let id = sent.expect("sent").and_then(|sent| sent.msg_id).expect("an id").to_string();
    let spans = lab.consume("rocketmq-listen", &unique("retrying"), 2);

    let producer = SpanLine::from(&capture.span(&format!("send {}", lab.topic)));
    let deliveries = processed(&spans, "again");
    assert_eq!(deliveries.len(), 2);
    let keys = [
        "throughline.messaging.redelivered",
        "throughline.rocketmq.reconsume_times",
        "messaging.destination.name",
        "messaging.message.id",
        "messaging.rocketmq.message.type",
    ];
    let topic = Some(&*lab.topic);
    assert_eq!(attributes(deliveries[0], &keys), [None, None, topic, Some(&*id), Some("normal")]);
    assert_eq!(attributes(deliveries[1], &keys), [Some("true"), Some("1"), topic, Some(&*id), Some("normal")]);
    for delivery in deliveries {
        assert!(delivery.is_child_of(&producer), "{delivery:?}");
    }
    lab.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_one_span_there_and_links_here() {
    let Some(lab) = Lab::open().await else { return };
    let capture = Capture::new();
    let sending = in_span_async("request", async {
        let batch = vec![lab.message("a"), lab.message("b")];
        lab.producer.send_batch_traced(batch).await.expect("sent");
        let none: Vec<Message> = Vec::new();
        assert!(lab.producer.send_batch_traced(none).await.is_err(), "the client's own answer");
        lab.producer.send_traced(lab.message("c")).await.expect("sent");
    });
    capture.run_async(sending).await;
    lab.send_untraced(lab.message("untraced")).await;
    let spans = lab.consume("rocketmq-poll", &unique("polling"), 4);

    let producers: Vec<_> = capture.named(&format!("send {}", lab.topic)).iter().map(SpanLine::from).collect();
    let [batch, single] = &producers[..] else { panic!("{producers:?}") };
    let keys = ["messaging.batch.message_count", "messaging.message.id", "messaging.destination.partition.id"];
    assert_eq!(attributes(batch, &keys), [Some("2"), None, Some("0")]);
    assert_eq!(batch.attribute("throughline.rocketmq.queue_offset"), None);

    let all = only(&spans.iter().filter(|span| span.name == "process all").collect::<Vec<_>>());
    let poll = only(&spans.iter().filter(|span| span.name == "poll").collect::<Vec<_>>());
    assert!(all.is_child_of(poll));
    assert_eq!(all.kind, "consumer");
    assert_eq!(all.attribute("bodies"), Some(r#"["a","b","c","untraced"]"#));
    assert_eq!(all.attribute("messaging.batch.message_count"), Some("4"));
    assert_eq!(all.attribute("messaging.system"), Some("rocketmq"));
    assert_eq!(all.attribute("messaging.destination.name"), Some(&*lab.topic));
    assert_eq!(all.attribute("messaging.message.body.size"), None, "that is of one message");
    let linked: Vec<_> = all.links.iter().map(|link| (&*link.trace_id, &*link.span_id)).collect();
    let to = |span: &'static str, producer: &SpanLine| (span, producer.trace_id.clone(), producer.span_id.clone());
    let expected = [to("a", batch), to("b", batch), to("c", single)];
    let expected: Vec<_> = expected.iter().map(|(_, trace, span)| (&**trace, &**span)).collect();
    assert_eq!(linked, expected, "the message without a context has no link");
    for (offset, link) in all.links.iter().enumerate() {
        let attribute = |key: &str| link.attributes.get(key).map(String::as_str);
        assert_eq!(attribute("messaging.destination.name"), Some(&*lab.topic));
        assert_eq!(attribute("throughline.rocketmq.queue_offset"), Some(&*offset.to_string()));
        assert!(attribute("messaging.message.id").is_some_and(|id| !id.is_empty()));
    }
    lab.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn properties_that_are_full_do_not_keep_a_message_from_being_sent() {
    let Some(lab) = Lab::open().await else { return };
    let capture = Capture::new();
    let mut message = lab.message("full");
    message.put_property("filler".into(), "x".repeat(32_600).into());
    let sending = in_span_async("request", lab.producer.send_traced(message));
    capture.run_async(sending).await.expect("sent").expect("an answer");
    let spans = lab.consume("rocketmq-listen", &unique("full"), 1);
    assert_eq!(only(&processed(&spans, "full")).parent_id, None, "there was no room for the context");
    lab.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_of_sending_is_a_producer() {
    let Some(lab) = Lab::open().await else { return };
    let capture = Capture::new();
    let fifo = {
        let mut message = lab.message("fifo");
        message.put_property("__SHARDINGKEY".into(), "customer-7".into());
        message
    };
    let delayed = {
        let mut message = lab.message("delayed");
        message.set_delay_time_level(1);
        message
    };
    let (called, call) = oneshot::channel();
    let called = std::sync::Mutex::new(Some(called));
    let sending = in_span_async("request", async {
        lab.producer.send_oneway_traced(lab.message("oneway")).await.expect("handed over");
        let callback = move |result: Option<&SendResult>, _: Option<&rocketmq_client_rust::ClientError>| {
            let current = Context::current().span().span_context().clone();
            let id = result.and_then(|result| result.msg_id.clone()).map(|id| id.to_string());
            if let Some(called) = called.lock().expect("no panic").take() {
                called.send((current, id)).expect("the test waits");
            }
        };
        lab.producer.send_with_callback_traced(lab.message("callback"), callback).await.expect("handed over");
        let first = |queues: &[_], _: &Message, (): &()| queues.first().cloned();
        rocketmq::send(fifo, |message| lab.producer.send_with_selector(message, first, ())).await.expect("sent");
        lab.producer.send_traced(delayed).await.expect("sent");
    });
    capture.run_async(sending).await;
    let (current, id) = call.await.expect("called back");
    let request = capture.span("request");
    assert_eq!(current.span_id(), request.span_id(), "the callback runs where it was given");

    let spans = lab.consume("rocketmq-listen", &unique("all-ways"), 4);
    let producers = capture.named(&format!("send {}", lab.topic));
    assert_eq!(producers.len(), 4);
    let of = |body: &str| {
        let consumer = only(&processed(&spans, body));
        let producer = producers.iter().map(SpanLine::from).find(|producer| consumer.is_child_of(producer));
        (producer.unwrap_or_else(|| panic!("`{body}` has a producer as its parent: {consumer:?}")), consumer)
    };
    assert!(producers.iter().all(|producer| producer.is_child_of(&request) && !producer.is_error()));
    assert!(producers.iter().all(|producer| !producer.is_cancelled()));
    assert_eq!(of("oneway").0.attribute("messaging.message.id"), None, "nobody has told");
    assert_eq!(of("callback").0.attribute("messaging.message.id"), id.as_deref());
    let (producer, consumer) = of("fifo");
    let keys = ["messaging.rocketmq.message.type", "messaging.rocketmq.message.group"];
    assert_eq!(attributes(&producer, &keys), [Some("fifo"), Some("customer-7")]);
    assert_eq!(attributes(consumer, &keys), [Some("fifo"), Some("customer-7")]);
    let keys = ["messaging.rocketmq.message.type", "messaging.rocketmq.message.delay_time_level"];
    assert_eq!(attributes(&of("delayed").0, &keys), [Some("delay"), Some("1")]);
    lab.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_that_is_not_sampled_is_passed_on() {
    let Some(lab) = Lab::open().await else { return };
    let trace = TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
    let quiet = SpanContext::new(trace, SpanId::from(7), TraceFlags::default(), true, TraceState::NONE);
    let capture = Capture::new();
    let context = capture.context().with_remote_span_context(quiet);
    let sending =
        throughline::Snapshot::from_context(&context).run_async(lab.producer.send_traced(lab.message("quiet")));
    sending.await.expect("sent");
    assert!(capture.spans().is_empty());
    // Only the consumer of the traced message is recorded, which comes after the quiet one.
    capture.run_async(in_span_async("request", lab.producer.send_traced(lab.message("loud")))).await.expect("sent");
    let spans = lab.consume("rocketmq-listen", &unique("quiet"), 2);
    assert!(processed(&spans, "quiet").is_empty());
    assert!(!spans.iter().any(|span| span.trace_id == trace.to_string()));
    assert_eq!(processed(&spans, "loud").len(), 1);
    lab.close().await;
}

/// Without a broker: the producer has not started.
#[tokio::test]
async fn the_namespace_is_that_of_the_producer() {
    let client = Client::new("127.0.0.1:9");
    for (namespace, namespace_v2, expected) in
        [(None, None, None), (Some("shop"), None, Some("shop")), (Some(""), Some("new"), Some("new"))]
    {
        let config = ClientConfig {
            namespace: namespace.map(Into::into),
            namespace_v2: namespace_v2.map(Into::into),
            ..ClientConfig::default()
        };
        let producer = DefaultMQProducer::builder(client.runtime()).client_config(config).build();
        let message = Message::builder().topic("orders").body_slice(b"x").build_unchecked();
        let capture = Capture::new();
        capture.run_async(producer.send_traced(message)).await.expect_err("nothing is sent");
        let namespace = capture.span("send orders").attribute("messaging.rocketmq.namespace").map(ToString::to_string);
        assert_eq!(namespace.as_deref(), expected);
    }
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_the_client_is_handed_on_and_recorded() {
    let Some(lab) = Lab::open().await else { return };
    let capture = Capture::new();
    let error = {
        let message = Message::builder().topic("no topic").body_slice(b"x").build_unchecked();
        let sending = in_span_async("request", lab.producer.send_traced(message));
        capture.run_async(sending).await.expect_err("the name is not valid")
    };
    let span = capture.span("send no topic");
    assert!(span.is_error() && span.event("exception").is_some());
    let kind = span.attribute("error.type").expect("a type").to_string();
    assert_eq!(kind, error.descriptor().code().as_str());
    assert_eq!(SpanLine::from(&span).status, format!("error: {error}"));

    let dropped = async {
        // A client that never responds: a response might already have arrived.
        let sending =
            rocketmq::send(lab.message("given up"), |_| std::future::pending::<Result<Option<SendResult>, _>>());
        let mut sending = std::pin::pin!(sending);
        assert!(futures::poll!(&mut sending).is_pending());
    };
    capture.run_async(dropped).await;
    assert!(capture.span(&format!("send {}", lab.topic)).is_cancelled());
    lab.close().await;
}
