//! Messages that are not sent.

use super::*;

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

    // The returned message can be sent again, and then has the context of the second attempt.
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

    // The same with `send_result`, whose future returns the error.
    let record = FutureRecord::<str, str>::to("orders").payload("x");
    let delivery = capture.run(|| producer.send_result_traced(record)).map_err(|(error, _)| error).expect("queued");
    assert!(delivery.await.expect("the producer lives").is_err());
    let third = &capture.named("send orders")[2];
    assert_eq!(third.attribute("error.type"), Some(&"MessageTimedOut".into()));
}

pub(crate) async fn what_an_aborted_transaction_has_queued_is_an_error(cluster: Cluster) {
    let mut config = config(&cluster.brokers);
    // Nothing is sent before the end of a transaction.
    config.set("transactional.id", &cluster.topic).set("linger.ms", "20000");
    let producer: FutureProducer = config.create().expect("the configuration is valid");
    producer.init_transactions(LONG).expect("the broker answers");
    let capture = Capture::new();
    let begin_with = |payload| {
        producer.begin_transaction().expect("none has begun");
        let sent = capture.run(|| producer.send_result_traced(cluster.record("o-1", payload)));
        sent.map_err(|(error, _)| error).expect("queued")
    };
    let kept = begin_with("kept");
    producer.commit_transaction(LONG).expect("committed");
    assert!(kept.await.expect("the producer lives").is_ok());
    let given_up = begin_with("given up");
    producer.abort_transaction(LONG).expect("aborted");
    assert!(given_up.await.expect("the producer lives").is_err());

    let sent = capture.named(&format!("send {}", cluster.topic));
    let [kept, given_up] = &sent[..] else { panic!("{sent:?}") };
    assert!(!kept.is_error() && kept.attribute("messaging.kafka.offset").is_some());
    assert!(given_up.is_error() && !given_up.is_cancelled());
    assert_eq!(given_up.attribute("error.type"), Some(&"PurgeQueue".into()));
    assert_eq!(given_up.attribute("messaging.kafka.offset"), None);
    let message = next(&cluster.consumer()).detach();
    assert_eq!(message.payload(), Some(&b"kept"[..]));
    assert_eq!(message.origin().span().span_context().span_id(), kept.span_id());
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
async fn what_loses_its_baggage_and_then_waits_for_the_queue_is_reported() {
    // The first message fills the queue until it times out.
    let producer = nowhere(&[("message.max.bytes", "1000"), ("queue.buffering.max.messages", "1")]);
    let first = producer.send_result(FutureRecord::<str, str>::to("orders").payload("x")).map_err(|(error, _)| error);
    let first = first.expect("there is room");
    let capture = Capture::new();
    let context = capture.context().with_baggage([opentelemetry::KeyValue::new("note", "x".repeat(2_000))]);
    let record = FutureRecord::<str, str>::to("orders").payload("x");
    let sending = throughline::Snapshot::from_context(&context).run_async(producer.send_traced(record, LONG));
    let (error, message) = sending.await.expect_err("there is no broker");
    assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut), "it was queued");
    assert!(first.await.expect("the producer lives").is_err());
    let names: Vec<_> = message.headers().expect("headers").iter().map(|header| header.key).collect();
    assert_eq!(names, ["traceparent"]);
    let dropped = capture.span("send orders").attribute("throughline.messaging.dropped_headers").cloned();
    assert_eq!(dropped.map(|names| names.to_string()).as_deref(), Some("[\"baggage\"]"));
}

pub(crate) async fn what_only_the_trace_makes_too_large_is_sent_without_it(cluster: Cluster) {
    const LIMIT: usize = 1000;
    let mut config = config(&cluster.brokers);
    config.set("message.max.bytes", LIMIT.to_string());
    let producer: FutureProducer = config.create().expect("the configuration is valid");
    let base: BaseProducer = config.create().expect("the configuration is valid");
    let text = "x".repeat(LIMIT);
    let record = |length: usize| {
        let headers = OwnedHeaders::new().insert(Header { key: "kept", value: Some("1") });
        FutureRecord::<str, str>::to(&cluster.topic).payload(&text[..length]).headers(headers)
    };
    // The smallest size that is too large even without trace headers.
    let elsewhere = nowhere(&[("message.max.bytes", &LIMIT.to_string())]);
    let refused = |length| elsewhere.send_result(record(length)).is_err();
    let too_large = (0..=LIMIT).find(|&length| refused(length)).expect("there is a limit");
    let capture = Capture::new();
    let sent = |length| capture.run_async(request("acme", producer.send_traced(record(length), LONG)));
    for length in [100, too_large - 80, too_large - 1] {
        sent(length).await.expect("it is sent");
    }
    let (error, message) = sent(too_large).await.expect_err("it is too large");
    assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge));
    assert_eq!(message.payload().map(<[u8]>::len), Some(too_large));
    let again = |length| capture.run(|| in_span("request", || producer.send_result_traced(record(length))));
    assert!(again(too_large).is_err());
    let delivery = again(too_large - 1).map_err(|(error, _)| error).expect("it is queued");
    assert!(delivery.await.expect("the producer lives").is_ok());
    capture.run(|| {
        let record = || BaseRecord::<str, str>::to(&cluster.topic).payload(&text[..too_large]);
        in_span("request", || base.send_traced(record())).expect("it fits without headers of its own");
    });
    base.flush(LONG).expect("it is delivered");

    let spans = capture.named(&format!("send {}", cluster.topic));
    let dropped = |span: &FinishedSpan| {
        span.attribute("throughline.messaging.dropped_headers").map_or_else(String::new, ToString::to_string)
    };
    let dropped: Vec<_> = spans.iter().map(|span| (dropped(span), span.is_error())).collect();
    let baggage = r#"["baggage"]"#;
    let (both, one) = (r#"["baggage","traceparent"]"#, r#"["traceparent"]"#);
    let expected = [("", false), (baggage, false), (both, false), ("", true), ("", true), (one, false), (one, false)];
    assert_eq!(dropped, expected.map(|(names, is_error)| (names.to_owned(), is_error)));

    let consumer = cluster.consumer();
    let headers = |message: BorrowedMessage<'_>| {
        let names: Option<Vec<_>> =
            message.headers().map(|headers| headers.iter().map(|header| header.key.to_owned()).collect());
        names.unwrap_or_default().join(" ")
    };
    let received: Vec<_> = (0..5).map(|_| headers(next(&consumer))).collect();
    assert_eq!(received, ["kept traceparent baggage", "kept traceparent", "kept", "kept", ""]);
}
