//! Producers of each kind, and what they write.

use super::*;

pub(crate) async fn an_unsampled_context_is_propagated(cluster: Cluster) {
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
    // The sampling decision also applies to the consumer, which propagates it.
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

pub(crate) async fn producers_without_a_future(cluster: Cluster) {
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
        // Only the result of the third was awaited.
        let offset = (caller == "waited").then_some(Value::I64(2));
        assert_eq!(sent.attribute("messaging.kafka.offset"), offset.as_ref());
        let partition = (caller != "forgotten").then_some(Value::from("0"));
        assert_eq!(sent.attribute("messaging.destination.partition.id"), partition.as_ref());
    }
}

pub(crate) async fn headers_are_kept(cluster: Cluster) {
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

#[tokio::test]
async fn a_dropped_send_is_cancelled() {
    let cluster = Cluster::mock();
    let producer: FutureProducer = cluster.producer();
    let capture = Capture::new();
    // Nothing happens before the first poll, as with `send`.
    drop(capture.run(|| producer.send_traced(cluster.record("o-1", "x"), LONG)));
    assert!(capture.spans().is_empty());
    assert!(capture.run_async(producer.send_traced(cluster.record("o-2", "x"), LONG)).now_or_never().is_none());
    let sent = capture.span(&format!("send {}", cluster.topic));
    assert!(sent.is_cancelled());
    // Only the result is lost, not the message.
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
