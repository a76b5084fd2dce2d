//! RocketMQ without a broker: messages, and what is recorded when sending. The other tests are in `rocketmq/`.

#![cfg(feature = "rocketmq")]

use std::future::{Future as _, ready};
use std::sync::{Arc, Mutex};

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::Sampler;
use rocketmq_client_rust::{
    ClientError, ClientResult, LocalTransactionState, SendResult, SendStatus, TransactionSendResult,
};
use rocketmq_model::common::message::MessageTrait as _;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_model::common::message::message_single::Message;
use rocketmq_model::common::sys_flag::message_sys_flag::MessageSysFlag;
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Context, KeyValue, Origin, Snapshot, SpanKind, in_span, span};
use throughline_rocketmq::{Delivery, inject, inject_context, send, send_batch};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn order() -> Message {
    Message::builder().topic("orders").body_slice(b"1001").build_unchecked()
}

fn with(properties: &[(&str, &str)]) -> Message {
    let mut message = order();
    for (name, value) in properties {
        message.put_property((*name).into(), (*value).into());
    }
    message
}

fn received(properties: &[(&str, &str)]) -> MessageExt {
    MessageExt { message: with(properties), queue_id: 3, queue_offset: 42, ..MessageExt::default() }
}

fn answer() -> SendResult {
    let queue = rocketmq_model::common::message::message_queue::MessageQueue::from_parts("orders", "broker-a", 3);
    SendResult::new(SendStatus::SendOk, Some("ID".into()), None, Some(queue), 42)
}

fn parent_of<M>(message: &impl Origin<M>) -> Option<String> {
    let context = message.origin();
    let span = context.span();
    span.span_context().is_valid().then(|| span.span_context().span_id().to_string())
}

fn text(span: &FinishedSpan, key: &str) -> Option<String> {
    span.attribute(key).map(ToString::to_string)
}

/// The attributes of `message`, by key.
fn told<M>(message: &impl Origin<M>, key: &str) -> Option<String> {
    let mut attributes = Vec::new();
    message.describe(&mut attributes);
    let values: Vec<_> = attributes.iter().filter(|attribute| attribute.key.as_str() == key).collect();
    assert!(values.len() < 2, "{key} once");
    values.first().map(|attribute| attribute.value.to_string())
}

#[test]
fn what_does_not_fit_into_the_properties_is_left_out() {
    let (trace, span) = (TraceId::from(7), SpanId::from(7));
    let identity = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE);
    let context =
        Context::new().with_remote_span_context(identity).with_baggage([KeyValue::new("tenant_id", "a".repeat(200))]);
    let written = |filler: usize| {
        let mut message = with(&[("filler", &"x".repeat(filler)), ("Traceparent", PARENT), ("baggage", "old=1")]);
        inject_context(&context, &mut message);
        let ours = |name: &str| ["traceparent", "tracestate", "baggage"].contains(&&*name.to_ascii_lowercase());
        let mut names: Vec<_> = message.properties().as_map().keys().map(ToString::to_string).collect();
        names.retain(|name| ours(name));
        names.sort();
        names
    };
    assert_eq!(written(100), ["baggage", "traceparent"]);
    // Headers of another trace are removed in any case.
    assert_eq!(written(31_600), ["traceparent"]);
    assert!(written(31_735).is_empty());
    assert!(written(40_000).is_empty());
}

#[tokio::test]
async fn what_was_left_out_is_on_the_span() {
    let capture = Capture::new();
    let full = || with(&[("filler", &"x".repeat(31_735))]);
    let sending = async {
        send(order(), |_| ready(Ok(()))).await.unwrap();
        send(full(), |_| ready(Ok(()))).await.unwrap();
        send_batch(vec![order(), full(), full()], |_| ready(Ok(()))).await.unwrap();
    };
    capture.run_async(sending).await;
    let dropped: Vec<_> =
        capture.spans().iter().map(|span| text(span, "throughline.messaging.dropped_headers")).collect();
    let names = Some(r#"["traceparent"]"#.to_owned());
    assert_eq!(dropped, [None, names.clone(), names]);
}

#[test]
fn a_message_is_given_the_current_context() {
    let capture = Capture::new();
    let mut message = with(&[
        ("traceparent", PARENT),
        ("tracestate", "old=1"),
        ("TraceState", "old=2"),
        ("Baggage", "old=1"),
        ("color", "red"),
        ("TAGS", "new"),
    ]);
    capture.run(|| in_span("request", || inject(&mut message)));
    let request = capture.span("request");
    let expected = format!("00-{}-{}-0", request.trace_id(), request.span_id());
    assert!(message.property("traceparent").is_some_and(|header| header.starts_with(&expected)));
    let of_traces = |name: &str| ["traceparent", "tracestate", "baggage"].contains(&&*name.to_ascii_lowercase());
    let left: Vec<_> = message.properties().as_map().keys().filter(|name| of_traces(name)).collect();
    assert_eq!(left, ["traceparent"], "nothing is left of another trace");
    assert_eq!((message.property("color"), message.property("TAGS")), (Some("red"), Some("new")));
}

#[test]
fn without_a_context_a_message_keeps_its_headers() {
    let mut message = with(&[("traceparent", PARENT), ("tracestate", "vendor=1")]);
    inject(&mut message);
    assert_eq!((message.property("traceparent"), message.property("tracestate")), (Some(PARENT), Some("vendor=1")));
    let mut bare = order();
    inject(&mut bare);
    assert!(bare.property("traceparent").is_none());
}

#[test]
fn names_are_read_in_any_case_and_must_be_unambiguous() {
    assert_eq!(parent_of(&order()), None);
    assert_eq!(parent_of(&with(&[("traceparent", PARENT)])).as_deref(), Some("b7ad6b7169203331"));
    assert_eq!(parent_of(&with(&[("Traceparent", PARENT)])).as_deref(), Some("b7ad6b7169203331"));
    let other = PARENT.replace('b', "c");
    let exact = with(&[("traceparent", PARENT), ("TRACEPARENT", &other)]);
    assert_eq!(parent_of(&exact).as_deref(), Some("b7ad6b7169203331"), "the name as it is written comes first");
    assert_eq!(parent_of(&with(&[("TraceParent", PARENT), ("TRACEPARENT", &other)])), None, "two are none");
}

#[test]
fn an_invalid_context_starts_a_new_trace() {
    let long = "x".repeat(100_000);
    for header in ["", "00", "00--", "00-xyz", "\u{1}\u{2}", "ü", &long, "ff-0af7651916cd43dd8448eb211c80319c-1-01"] {
        let message = received(&[("traceparent", header), ("tracestate", header), ("baggage", header)]);
        assert_eq!(parent_of(&message), None);
        let capture = Capture::new();
        capture.run(|| span("process").parent(&message).run(|| ()));
        assert_eq!(capture.span("process").parent_id(), None);
    }
}

#[test]
fn a_received_message_describes_itself() {
    let message =
        received(&[("UNIQ_KEY", "ID"), ("TAGS", "new"), ("KEYS", " 1001  acme "), ("__SHARDINGKEY", "customer-7")]);
    let delivery = Delivery::new(&message).group("billing").namespace("shop");
    for (key, value) in [
        ("messaging.system", "rocketmq"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "orders"),
        ("messaging.destination.partition.id", "3"),
        ("messaging.message.id", "ID"),
        ("messaging.message.body.size", "4"),
        ("messaging.consumer.group.name", "billing"),
        ("messaging.rocketmq.namespace", "shop"),
        ("messaging.rocketmq.message.tag", "new"),
        ("messaging.rocketmq.message.keys", r#"["1001","acme"]"#),
        ("messaging.rocketmq.message.group", "customer-7"),
        ("messaging.rocketmq.message.type", "fifo"),
        ("throughline.rocketmq.queue_offset", "42"),
    ] {
        assert_eq!(told(&delivery, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(told(&delivery, "throughline.messaging.redelivered"), None);
    assert_eq!(told(&message, "messaging.consumer.group.name"), None);
    // Shared and borrowed ones are messages, too.
    assert_eq!(told(&Arc::new(&message), "messaging.message.id").as_deref(), Some("ID"));
    assert_eq!(told(&message.message, "messaging.message.id").as_deref(), Some("ID"));
    let unnamed = MessageExt { msg_id: "OFFSET".into(), ..received(&[]) };
    assert_eq!(told(&unnamed, "messaging.message.id").as_deref(), Some("OFFSET"));
}

#[test]
fn the_attributes_of_a_message_are_bounded() {
    let long = "k".repeat(30_000);
    let keys = "k ".repeat(1_000);
    let message = received(&[("UNIQ_KEY", &long), ("TAGS", &long), ("KEYS", &long), ("__SHARDINGKEY", &long)]);
    for key in ["message.id", "rocketmq.message.tag", "rocketmq.message.keys", "rocketmq.message.group"] {
        let told = told(&message, &format!("messaging.{key}")).expect("a text");
        assert!((1_000..1_100).contains(&told.len()), "{key}: {}", told.len());
    }
    let many = told(&received(&[("KEYS", &keys)]), "messaging.rocketmq.message.keys").expect("a list");
    assert_eq!(many.matches('k').count(), 32);
}

#[test]
fn a_redelivered_message_is_marked_and_has_its_first_topic() {
    let mut message = received(&[("RETRY_TOPIC", "orders")]);
    message.set_topic("%RETRY%billing".into());
    message.reconsume_times = 2;
    assert_eq!(told(&message, "messaging.destination.name").as_deref(), Some("orders"));
    assert_eq!(told(&message, "throughline.messaging.redelivered").as_deref(), Some("true"));
    assert_eq!(told(&message, "throughline.rocketmq.reconsume_times").as_deref(), Some("2"));
    message.clear_property("RETRY_TOPIC");
    assert_eq!(told(&message, "messaging.destination.name").as_deref(), Some("%RETRY%billing"));
}

#[test]
fn the_type_is_that_of_the_broker() {
    for (properties, expected) in [
        (&[][..], "normal"),
        (&[("__SHARDINGKEY", "7")], "fifo"),
        (&[("DELAY", "3")], "delay"),
        (&[("DELAY", "0")], "normal"),
        (&[("DELAY", "-1")], "normal"),
        (&[("DELAY", "soon")], "normal"),
        (&[("TIMER_DELAY_SEC", "3")], "delay"),
        (&[("TIMER_DELAY_MS", "3")], "delay"),
        (&[("TIMER_DELIVER_MS", "1700000000000")], "delay"),
        (&[("TRAN_MSG", "true"), ("DELAY", "3")], "transaction"),
        (&[("TRAN_MSG", "false")], "normal"),
    ] {
        let kind = told(&with(properties), "messaging.rocketmq.message.type");
        assert_eq!(kind.as_deref(), Some(expected), "{properties:?}");
    }
    let committed = MessageExt { sys_flag: MessageSysFlag::TRANSACTION_COMMIT_TYPE, ..received(&[]) };
    assert_eq!(told(&committed, "messaging.rocketmq.message.type").as_deref(), Some("transaction"));
    let delayed = with(&[("DELAY", "3"), ("TIMER_DELIVER_MS", "1700000000000")]);
    assert_eq!(told(&delayed, "messaging.rocketmq.message.delay_time_level").as_deref(), Some("3"));
    assert_eq!(told(&delayed, "messaging.rocketmq.message.delivery_timestamp").as_deref(), Some("1700000000000"));
}

#[tokio::test]
async fn a_send_is_a_span_whose_identity_is_in_the_message() {
    let capture = Capture::new();
    let taken = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&taken);
    let sending = send(order(), move |message| {
        // The client's code runs in the span.
        in_span("encode", || ());
        *keep.lock().unwrap() = Some(message);
        ready(Ok(Some(answer())))
    });
    let result = capture.run_async(throughline::in_span_async("request", sending)).await;
    assert_eq!(result.unwrap(), Some(answer()), "as the client gave it");
    capture.assert_tree("request\n└── send orders [producer]\n    └── encode");
    let span = capture.span("send orders");
    let message = taken.lock().unwrap().take().unwrap();
    assert_eq!(parent_of(&message), Some(span.span_id().to_string()));
    assert_eq!(span.span_kind, SpanKind::Producer);
    assert_eq!(text(&span, "messaging.message.id").as_deref(), Some("ID"));
    assert_eq!(text(&span, "messaging.destination.partition.id").as_deref(), Some("3"));
    assert_eq!(text(&span, "throughline.rocketmq.queue_offset").as_deref(), Some("42"));
    assert_eq!(text(&span, "throughline.rocketmq.send_status"), None);
}

#[tokio::test]
async fn the_offset_in_another_topic_is_left_out() {
    let capture = Capture::new();
    let transaction = TransactionSendResult {
        local_transaction_state: Some(LocalTransactionState::CommitMessage),
        send_result: Some(answer()),
    };
    let sending = async {
        send(with(&[("DELAY", "3")]), |_| ready(Ok(answer()))).await.unwrap();
        send(with(&[("TIMER_DELAY_MS", "1000")]), |_| ready(Ok(Some(answer())))).await.unwrap();
        send(order(), |_| ready(Ok(transaction))).await.unwrap();
        send(with(&[("__SHARDINGKEY", "customer-7")]), |_| ready(Ok(answer()))).await.unwrap();
    };
    capture.run_async(sending).await;
    let told: Vec<_> = capture
        .spans()
        .iter()
        .map(|span| {
            ["messaging.message.id", "throughline.rocketmq.queue_offset"]
                .map(|key| text(span, key))
                .map(|it| it.is_some())
        })
        .collect();
    assert_eq!(told, [[true, false], [true, false], [true, false], [true, true]]);
}

#[tokio::test]
async fn what_the_broker_says_of_a_message_is_told() {
    let capture = Capture::new();
    let late = SendResult { send_status: SendStatus::FlushSlaveTimeout, ..answer() };
    let transaction = TransactionSendResult {
        local_transaction_state: Some(LocalTransactionState::CommitMessage),
        send_result: Some(answer()),
    };
    let sending = async {
        send(with(&[("TAGS", "late")]), |_| ready(Ok(late))).await.unwrap();
        send(with(&[("TAGS", "transaction")]), |_| ready(Ok(transaction))).await.unwrap();
        send(with(&[("TAGS", "oneway")]), |_| ready(Ok(()))).await.unwrap();
        send_batch(vec![order(), order()], |_| ready(Ok(answer()))).await.unwrap();
        send_batch(Vec::<Message>::new(), |_| ready(Ok(()))).await.unwrap();
    };
    capture.run_async(sending).await;
    capture.assert_tree_with(
        &[
            "messaging.rocketmq.message.tag",
            "messaging.rocketmq.message.type",
            "throughline.rocketmq.send_status",
            "messaging.batch.message_count",
            "messaging.message.id",
        ],
        "
        send orders [producer] messaging.rocketmq.message.tag=late messaging.rocketmq.message.type=normal throughline.rocketmq.send_status=FLUSH_SLAVE_TIMEOUT messaging.message.id=ID
        send orders [producer] messaging.rocketmq.message.tag=transaction messaging.rocketmq.message.type=transaction messaging.message.id=ID
        send orders [producer] messaging.rocketmq.message.tag=oneway messaging.rocketmq.message.type=normal
        send orders [producer] messaging.batch.message_count=2
        ",
    );
}

#[tokio::test]
async fn the_result_of_a_transaction_is_recorded() {
    use LocalTransactionState::{CommitMessage, RollbackMessage, Unknown};
    let capture = Capture::new();
    let sending = async {
        for state in [Some(CommitMessage), Some(RollbackMessage), Some(Unknown), None] {
            let result = TransactionSendResult { local_transaction_state: state, send_result: Some(answer()) };
            send(order(), |_| ready(Ok(result))).await.unwrap();
        }
        send(order(), |_| ready(Ok(answer()))).await.unwrap();
    };
    capture.run_async(sending).await;
    let spans = capture.spans();
    let told: Vec<_> = spans.iter().map(|span| text(span, "throughline.rocketmq.transaction_state")).collect();
    assert_eq!(
        told,
        ["commit", "rollback", "unknown"]
            .map(|state| Some(state.to_owned()))
            .into_iter()
            .chain([None, None])
            .collect::<Vec<_>>()
    );
    assert!(spans.iter().all(|span| !span.is_error()), "none of them is a failure");
}

#[tokio::test]
async fn an_error_is_recorded_and_a_send_that_is_dropped_is_cancelled() {
    let capture = Capture::new();
    let refused = capture.run_async(send(order(), |_| ready(Err::<(), _>(ClientError::not_started())))).await;
    let error = refused.unwrap_err();
    let span = &capture.take()[0];
    assert!(span.is_error() && span.event("exception").is_some());
    assert_eq!(text(span, "error.type").as_deref(), Some(error.descriptor().code().as_str()));

    let mut sending = Box::pin(capture.run_async(send(order(), |_| std::future::pending::<ClientResult<()>>())));
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(sending.as_mut().poll(&mut task).is_pending());
    drop(sending);
    assert!(capture.span("send orders").is_cancelled());
}

#[tokio::test]
async fn an_unrecorded_context_is_propagated() {
    let quiet = SpanContext::new(TraceId::from(7), SpanId::from(8), TraceFlags::default(), true, TraceState::NONE);
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
    let context = capture.context().with_remote_span_context(quiet);
    let taken = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&taken);
    let sending = send_batch(vec![order(), order()], move |messages| {
        *keep.lock().unwrap() = messages;
        ready(Ok(()))
    });
    Snapshot::from_context(&context).run_async(sending).await.unwrap();
    assert!(capture.spans().is_empty());
    let messages = taken.lock().unwrap();
    assert_eq!(messages.len(), 2);
    for message in messages.iter() {
        let context = message.origin();
        let span = context.span();
        assert_eq!(span.span_context().trace_id(), TraceId::from(7));
        assert!(!span.span_context().is_sampled());
    }
}

#[test]
fn messages_are_linked_with_their_attributes() {
    let capture = Capture::new();
    let mut traced = received(&[("UNIQ_KEY", "ID")]);
    capture.run(|| in_span("request", || inject(&mut traced.message)));
    let messages = [traced, received(&[])];
    assert!(order().is_message() && messages[0].is_message() && Delivery::new(&messages[0]).is_message());
    capture.run(|| {
        let deliveries = messages.iter().map(|message| Delivery::new(message).group("billing"));
        throughline::SpanBuilder::new("all").kind(SpanKind::Consumer).links(deliveries).run(|| ());
    });
    capture.assert_tree_with(
        &["messaging.batch.message_count"],
        "
        request
        all [consumer] messaging.batch.message_count=2 ~> request
        ",
    );
    let link = &capture.span("all").links.links[0];
    let attribute = |key: &str| link.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    assert_eq!(attribute("messaging.message.id").map(|tag| tag.value.to_string()).as_deref(), Some("ID"));
    let group = attribute("messaging.consumer.group.name").map(|tag| tag.value.to_string());
    assert_eq!(group.as_deref(), Some("billing"));
}
