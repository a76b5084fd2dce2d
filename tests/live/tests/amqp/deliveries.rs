//! What arrives: redelivered messages, batches, headers.

use super::*;

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
async fn a_retry_through_a_dead_letter_exchange_is_marked() {
    let Some(broker) = Broker::connect().await else { return };
    let text = |text: &str| AMQPValue::LongString(text.into());
    let declare = |name: String, dead_letters: String| {
        let mut arguments = FieldTable::default();
        arguments.insert("x-expires".into(), AMQPValue::LongInt(60_000));
        arguments.insert("x-dead-letter-exchange".into(), text(""));
        arguments.insert("x-dead-letter-routing-key".into(), text(&dead_letters));
        broker.channel.queue_declare(short(&name), QueueDeclareOptions::default(), arguments)
    };
    // Each of the two queues is the dead-letter queue of the other.
    let (orders, wait) = (unique("orders"), unique("wait"));
    declare(orders.clone(), wait.clone()).await.expect("a queue");
    declare(wait.clone(), orders.clone()).await.expect("a queue");
    let capture = Capture::new();
    let (options, none) = (BasicPublishOptions::default(), BasicProperties::default());
    let sent = broker.channel.basic_publish_traced("".into(), short(&orders), options, b"x", none);
    capture.run_async(request("acme", sent)).await.expect("sent");
    let consume = |queue: &str| {
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        broker.channel.basic_consume(short(queue), "".into(), options, none)
    };
    let mut consumers = [consume(&orders).await.expect("a consumer"), consume(&wait).await.expect("a consumer")];
    for attempt in 0..4 {
        let delivery = next(&mut consumers[attempt % 2]).await;
        assert!(!delivery.redelivered, "by the broker");
        capture.run(|| receive(&delivery));
        delivery.reject(BasicRejectOptions { requeue: false }).await.expect("rejected");
    }
    let receive = |attempt: &str| format!("    ├── receive [consumer]{attempt}\n");
    capture.assert_tree_with(
        &["throughline.messaging.redelivered", "throughline.rabbitmq.rejections"],
        &format!(
            "request [server]\n└── publish {orders} [producer]\n{}{}{}    └── receive [consumer]{}",
            receive(""),
            receive(" throughline.messaging.redelivered=true throughline.rabbitmq.rejections=1"),
            receive(" throughline.messaging.redelivered=true throughline.rabbitmq.rejections=2"),
            " throughline.messaging.redelivered=true throughline.rabbitmq.rejections=3",
        ),
    );
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
        // The third message counts, although it has no context. It was sent to another exchange, too.
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
async fn an_unsampled_context_is_propagated() {
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
    // The sampling decision also applies to the consumer, which propagates it.
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
async fn a_reply_continues_the_trace_of_its_request() {
    #[traced(kind = consumer, parent = delivery)]
    async fn serve(delivery: &Delivery, channel: &Channel) {
        let to = delivery.properties.reply_to().clone().expect("an address for the reply");
        let (options, properties) = (BasicPublishOptions::default(), delivery.properties.clone());
        channel.basic_publish_traced("".into(), to, options, b"taken", properties).await.expect("sent");
    }

    let Some(broker) = Broker::connect().await else { return };
    let caller = broker.connection.create_channel().await.expect("a channel");
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let replies = caller.basic_consume("amq.rabbitmq.reply-to".into(), "".into(), options, FieldTable::default());
    let mut replies = replies.await.expect("a consumer");
    let properties =
        BasicProperties::default().with_reply_to("amq.rabbitmq.reply-to".into()).with_correlation_id("c-1".into());
    let capture = Capture::new();
    let options = BasicPublishOptions::default();
    let call = caller.basic_publish_traced("".into(), short(&broker.queue), options, b"order", properties);
    capture.run_async(in_span_async("call", call)).await.expect("sent");
    let asked = next(&mut broker.consumer().await).await;
    capture.run_async(serve(&asked, &broker.channel)).await;
    let reply = next(&mut replies).await;
    capture.run(|| receive(&reply));

    let marks = ["messaging.destination.temporary", "messaging.message.conversation_id"];
    capture.assert_tree_with(
        &marks,
        &format!(
            "
            call
            └── publish {} [producer] messaging.message.conversation_id=c-1
                └── serve [consumer] messaging.message.conversation_id=c-1
                    └── publish (temporary) [producer] messaging.destination.temporary=true messaging.message.conversation_id=c-1
                        └── receive [consumer] messaging.destination.temporary=true messaging.message.conversation_id=c-1
            ",
            broker.queue
        ),
    );
}

/// Without a broker: `lapin` can mock deliveries.
#[test]
fn a_mock_delivery_is_an_origin() {
    let capture = Capture::new();
    let sent = capture.run(|| throughline::in_span("send", || amqp::inject(BasicProperties::default())));
    let mut delivery = Delivery::mock(1, "".into(), "q".into(), true, b"x".to_vec());
    delivery.properties = sent;
    capture.run(|| receive(&delivery));
    let received = capture.span("receive");
    assert!(received.is_child_of(&capture.span("send")));
    assert!(received.attributes.contains(&KeyValue::new("throughline.messaging.redelivered", true)));
}
