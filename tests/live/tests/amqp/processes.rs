//! Messages between processes.

use super::*;

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
    // From a producer that is not traced.
    let (options, none) = (BasicPublishOptions::default(), BasicProperties::default());
    let plain = broker.channel.basic_publish("".into(), short(&broker.queue), options, b"plain", none);
    plain.await.expect("sent").await.expect("no confirmation was requested");

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
    // One message is polled, and one is delivered.
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
