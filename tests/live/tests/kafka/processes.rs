//! Messages between processes.

use super::*;

pub(crate) async fn produced_here_consumed_there(cluster: Cluster) {
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
    // From a producer that is not traced.
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
            of_message(
                "send",
                &cluster,
                &[
                    ("messaging.kafka.offset", &offset),
                    ("messaging.kafka.message.key", &key),
                    ("tenant_id", "acme"),
                    content,
                ]
            )
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
        let mut all = of_message(
            "process",
            &cluster,
            &[
                ("messaging.kafka.offset", &offset),
                ("messaging.kafka.message.key", &key),
                ("messaging.consumer.group.name", "billing"),
                ("messaging.client.id", "billing-7"),
                ("tenant_id", "acme"),
                content[at],
            ],
        );
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

pub(crate) async fn produced_there_consumed_here(cluster: Cluster) {
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
            of_message(
                "process",
                &cluster,
                &[
                    ("messaging.kafka.offset", &at.to_string()),
                    ("messaging.kafka.message.key", &format!("o-{}", at + 1)),
                    ("messaging.message.body.size", "7"),
                    ("tenant_id", "acme"),
                ]
            )
        );
    }
}

pub(crate) async fn a_batch_is_linked(cluster: Cluster) {
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
        // The third message counts, although it has no context.
        let mut common = of_message("process", &cluster, &[("messaging.batch.message_count", "3")]);
        common.extend(group.map(|group| ("messaging.consumer.group.name", group)));
        assert_eq!(attributes(&batch.attributes), common);
        assert_eq!(batch.links.len(), 2);
        for (at, (link, sent)) in batch.links.iter().zip(&sent).enumerate() {
            assert_eq!((&link.trace_id, &link.span_id), (&sent.trace_id, &sent.span_id));
            let (offset, key) = (at.to_string(), format!("o-{}", at + 1));
            let mut all = of_message(
                "process",
                &cluster,
                &[
                    ("messaging.kafka.offset", &offset),
                    ("messaging.kafka.message.key", &key),
                    ("messaging.message.body.size", "1"),
                ],
            );
            all.extend(group.map(|group| ("messaging.consumer.group.name", group)));
            assert_eq!(attributes(&link.attributes), all);
        }
    }
}
