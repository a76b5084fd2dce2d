//! Published messages, and their confirmations.

use super::*;

#[tokio::test]
async fn confirmations_are_unchanged() {
    let Some(broker) = Broker::connect().await else { return };
    let channel = &broker.channel;
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    let capture = Capture::new();
    let publish = |key: &str| {
        let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        channel.basic_publish_traced("".into(), short(key), mandatory, b"x", BasicProperties::default())
    };
    let confirm = capture.run_async(publish(&broker.queue)).await.expect("sent");
    // The span has ended; the confirmation is lapin's own.
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
    // A confirmation that is not awaited is not lost.
    drop(capture.run_async(publish("nowhere")).await.expect("sent"));
    assert_eq!(channel.wait_for_confirms().await.expect("an answer").len(), 1);
    assert!(capture.spans().iter().all(|span| !span.is_error() && !span.is_cancelled()));
}

#[tokio::test]
async fn a_confirmed_publish_records_the_confirmation() {
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
async fn a_dropped_publish_is_cancelled() {
    let Some(broker) = Broker::connect().await else { return };
    broker.channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    let capture = Capture::new();
    let (options, none) = (BasicPublishOptions::default(), BasicProperties::default());
    let publish = broker.channel.basic_publish_confirmed_traced("".into(), short(&broker.queue), options, b"x", none);
    // The broker cannot have answered yet.
    assert!(capture.run_async(publish).now_or_never().is_none());
    let span = capture.span(&format!("publish {}", broker.queue));
    assert!(span.is_cancelled());
    // Only the result is lost, not the message.
    let delivery = next(&mut broker.consumer().await).await;
    assert_eq!(delivery.origin().span().span_context().span_id(), span.span_id());
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
