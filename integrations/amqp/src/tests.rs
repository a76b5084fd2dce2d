use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use lapin::protocol::{AMQPError, AMQPSoftError};
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use lapin::{BasicProperties, ChannelState, Confirmation, ErrorKind, message};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use throughline::testing::Capture;
use throughline::{Context, Origin, traced};

use crate::attributes::destination;
use crate::producer::confirmed;
use crate::{Delivery, inject, inject_context};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The context of [`PARENT`], with these flags.
fn context(flags: TraceFlags) -> Context {
    let (trace, span) = (TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c), SpanId::from(0xb7ad_6b71_6920_3331));
    Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, false, TraceState::NONE))
}

/// The attributes of `origin`, by name.
fn described<M>(origin: &impl Origin<M>) -> Vec<(String, String)> {
    let mut attributes = Vec::new();
    origin.describe(&mut attributes);
    let mut pairs: Vec<_> = attributes.iter().map(|it| (it.key.to_string(), it.value.to_string())).collect();
    pairs.sort();
    pairs
}

/// The expected attributes, sorted like those of [`described`].
fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = expected.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    pairs.sort();
    pairs
}

fn table(headers: &[(&str, AMQPValue)]) -> FieldTable {
    let headers = headers.iter().map(|(name, value)| (ShortString::from(*name), value.clone()));
    headers.collect::<BTreeMap<_, _>>().into()
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn delivery(exchange: &str, routing_key: &str, redelivered: bool) -> message::Delivery {
    message::Delivery::mock(7, exchange.into(), routing_key.into(), redelivered, b"abc".to_vec())
}

fn is_valid(headers: &FieldTable) -> bool {
    headers.origin().span().span_context().is_valid()
}

#[test]
fn injects_and_extracts() {
    for (flags, end) in [(TraceFlags::SAMPLED, "01"), (TraceFlags::NOT_SAMPLED, "00")] {
        let sent = context(flags).with_baggage([opentelemetry::KeyValue::new("tenant_id", "acme")]);
        let properties = inject_context(&sent, BasicProperties::default());
        let headers = properties.headers().clone().expect("headers");
        let Some(AMQPValue::LongString(written)) = headers.inner().get("traceparent") else { panic!("no header") };
        assert_eq!(written.to_string(), format!("{}{end}", &PARENT[..PARENT.len() - 2]));
        let received = properties.origin();
        assert_eq!(received.span().span_context().span_id(), sent.span().span_context().span_id());
        assert_eq!(received.span().span_context().trace_flags(), flags);
        assert!(received.span().span_context().is_remote());
        assert_eq!(received.baggage().get("tenant_id").map(ToString::to_string), Some("acme".to_owned()));
    }
}

#[test]
fn keeps_other_headers_and_replaces_those_of_another_trace() {
    let old = "00-11111111111111111111111111111111-2222222222222222-01";
    let before = table(&[
        ("x-retries", AMQPValue::LongInt(3)),
        ("TraceParent", text(old)),
        ("traceparent", text(old)),
        ("tracestate", text("old=1")),
        ("baggage", text("user=ada")),
    ]);
    let properties = BasicProperties::default().with_message_id("m".into()).with_headers(before);
    let after = inject_context(&context(TraceFlags::SAMPLED), properties);
    assert_eq!(
        after.headers().clone(),
        Some(table(&[("traceparent", text(PARENT)), ("x-retries", AMQPValue::LongInt(3))]))
    );
    assert_eq!(after.message_id().as_ref().map(ShortString::as_str), Some("m"));
}

#[test]
fn without_a_context_nothing_is_touched() {
    let properties = BasicProperties::default();
    assert_eq!(inject_context(&Context::new(), properties.clone()), properties);
    let forwarded = properties.with_headers(table(&[("traceparent", text(PARENT))]));
    assert_eq!(inject_context(&Context::new(), forwarded.clone()), forwarded);
}

#[test]
fn baggage_alone_leaves_the_trace_headers() {
    let properties =
        BasicProperties::default().with_headers(table(&[("traceparent", text(PARENT)), ("baggage", text("user=ada"))]));
    let sent = Context::new().with_baggage([opentelemetry::KeyValue::new("tenant_id", "acme")]);
    let after = inject_context(&sent, properties);
    let expected = table(&[("traceparent", text(PARENT)), ("baggage", text("tenant_id=acme"))]);
    assert_eq!(after.headers().clone(), Some(expected));
}

#[test]
fn only_text_is_valid() {
    let short = AMQPValue::ShortString(PARENT.into());
    assert!(is_valid(&table(&[("traceparent", text(PARENT))])));
    assert!(is_valid(&table(&[("TRACEPARENT", short.clone())])));
    let others = [
        AMQPValue::Void,
        AMQPValue::Boolean(true),
        AMQPValue::LongLongInt(1),
        AMQPValue::ByteArray(PARENT.as_bytes().into()),
        AMQPValue::FieldArray(FieldArray::from(vec![text(PARENT)])),
        AMQPValue::FieldTable(table(&[("traceparent", text(PARENT))])),
        AMQPValue::LongString(b"\xff\xfe".to_vec().into()),
        text(""),
    ];
    for other in others {
        assert!(!is_valid(&table(&[("traceparent", other.clone())])), "{other:?}");
        // It counts as present: next to a valid one, there are two.
        assert!(!is_valid(&table(&[("traceparent", short.clone()), ("Traceparent", other.clone())])), "{other:?}");
        // An unreadable trace state does not invalidate the trace.
        let state = table(&[("traceparent", short.clone()), ("tracestate", other)]);
        assert!(is_valid(&state));
        assert_eq!(state.origin().span().span_context().trace_state().header(), "");
    }
}

#[test]
fn a_delivery_without_headers_has_no_identity() {
    assert!(!delivery("", "q", false).origin().has_active_span());
    assert!(!BasicProperties::default().origin().has_active_span());
}

#[test]
fn destinations() {
    assert_eq!(destination("orders", "placed", None), "orders:placed");
    assert_eq!(destination("orders", "", None), "orders");
    assert_eq!(destination("", "billing", None), "billing");
    assert_eq!(destination("", "", None), "amq.default");
    assert_eq!(destination("orders", "placed", Some("billing")), "orders:placed:billing");
    assert_eq!(destination("orders", "billing", Some("billing")), "orders:billing");
    assert_eq!(destination("", "billing", Some("billing")), "billing");
    assert_eq!(destination("orders", "", Some("billing")), "orders:billing");
}

#[test]
fn a_delivery_describes_itself() {
    let mut delivery = delivery("orders", "placed", false);
    let common = [
        ("messaging.system", "rabbitmq"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.rabbitmq.destination.routing_key", "placed"),
        ("messaging.rabbitmq.message.delivery_tag", "7"),
        ("messaging.message.body.size", "3"),
    ];
    let mut expected = common.to_vec();
    expected.push(("messaging.destination.name", "orders:placed"));
    assert_eq!(described(&delivery), pairs(&expected));

    delivery.redelivered = true;
    delivery.properties = BasicProperties::default().with_message_id("m-1".into()).with_correlation_id("c-1".into());
    let mut expected = common.to_vec();
    expected.extend([
        ("messaging.destination.name", "orders:placed:billing"),
        ("messaging.message.id", "m-1"),
        ("messaging.message.conversation_id", "c-1"),
        ("throughline.messaging.redelivered", "true"),
    ]);
    assert_eq!(described(&Delivery::new(&delivery).queue("billing")), pairs(&expected));
    assert_eq!(
        described(&delivery.properties),
        pairs(&[
            ("messaging.system", "rabbitmq"),
            ("messaging.message.id", "m-1"),
            ("messaging.message.conversation_id", "c-1"),
        ])
    );
}

#[test]
fn a_message_that_comes_back_through_a_dead_letter_exchange_is_a_redelivery() {
    let death =
        |reason: &str, count: AMQPValue| AMQPValue::FieldTable(table(&[("reason", text(reason)), ("count", count)]));
    let long = AMQPValue::LongLongInt;
    let told = |deaths: AMQPValue| {
        let mut delivery = delivery("orders", "placed", false);
        delivery.properties = BasicProperties::default().with_headers(table(&[("x-death", deaths)]));
        let of = |key: &str| described(&delivery).into_iter().find(|(name, _)| name == key).map(|(_, value)| value);
        (of("throughline.messaging.redelivered"), of("throughline.rabbitmq.rejections"))
    };
    let array = |deaths: Vec<AMQPValue>| AMQPValue::FieldArray(FieldArray::from(deaths));
    let retried = [death("expired", long(3)), death("rejected", long(2)), death("rejected", long(1))];
    assert_eq!(told(array(retried.into())), (Some("true".into()), Some("3".into())));
    // Delayed in a queue without consumers, or a header that no broker writes.
    let others = [
        array(vec![death("expired", long(1))]),
        array(vec![death("rejected", long(-1)), death("rejected", AMQPValue::Void), text("rejected")]),
        array(Vec::new()),
        text("rejected"),
    ];
    for other in others {
        assert_eq!(told(other.clone()), (None, None), "{other:?}");
    }
}

#[test]
fn a_delivery_from_an_unnamed_queue_is_marked() {
    let marks = |delivery: &dyn Fn(&mut Vec<throughline::KeyValue>)| {
        let mut attributes = Vec::new();
        delivery(&mut attributes);
        let keys = ["messaging.destination.temporary", "messaging.destination.anonymous"];
        keys.map(|key| attributes.iter().any(|it| it.key.as_str() == key && it.value == true.into()))
    };
    let reply = delivery("", "amq.rabbitmq.reply-to.g1h2AA9yZXBs", false);
    assert_eq!(marks(&|attributes| reply.describe(attributes)), [true, true]);
    let fanned_out = delivery("prices", "eur", false);
    assert_eq!(marks(&|attributes| fanned_out.describe(attributes)), [false, false]);
    let from = |queue| Delivery::new(&fanned_out).queue(queue);
    assert_eq!(marks(&|attributes| from("amq.gen-Xa2").describe(attributes)), [true, true]);
    let uuid = "6f1d9c2e-0a3b-4c5d-8e7f-9a0b1c2d3e4f";
    for generated in ["spring.gen-9uXk2mQWTbSm1x3V5aZ7_A", "orders.anonymous.9uXk2mQWTbSm1x3V5aZ7-A", uuid] {
        assert_eq!(marks(&|attributes| from(generated).describe(attributes)), [true, true], "{generated}");
    }
    let uppercase = uuid.to_uppercase();
    for named in ["billing", "orders.anonymous.users", "orders.anonymous", "spring.orders", &uuid[1..], &uppercase] {
        assert_eq!(marks(&|attributes| from(named).describe(attributes)), [false, false], "{named}");
    }
    // With another exchange, the routing key is not the name of a queue.
    let topic = delivery("prices", "amq.gen-Xa2", false);
    assert_eq!(marks(&|attributes| topic.describe(attributes)), [false, false]);
}

#[test]
fn a_delivery_is_a_parent_and_a_link() {
    #[traced("process orders", kind = consumer, parent = delivery)]
    fn bill(delivery: &message::Delivery) {}

    #[traced("count orders", kind = consumer, links = deliveries)]
    fn count(deliveries: &[message::Delivery]) {}

    let capture = Capture::new();
    let mut delivery = delivery("orders", "placed", true);
    capture.run(|| {
        throughline::in_span("request", || delivery.properties = inject(BasicProperties::default()));
        bill(&delivery);
        count(std::slice::from_ref(&delivery));
    });
    capture.assert_tree_with(
        &["throughline.messaging.redelivered", "messaging.batch.message_count"],
        "
        request
        └── process orders [consumer] throughline.messaging.redelivered=true
        count orders [consumer] messaging.batch.message_count=1 ~> request
        ",
    );
}

#[test]
fn a_message_that_is_not_published_has_the_kind_of_its_error() {
    let closed = || io::ErrorKind::BrokenPipe.into();
    let soft = AMQPError::new(AMQPSoftError::NOTFOUND.into(), "no exchange".into());
    for (result, error_type) in [
        (Ok(Confirmation::Ack(None)), None),
        (Ok(Confirmation::NotRequested), None),
        (Ok(Confirmation::Nack(None)), Some("nack")),
        (Err(ErrorKind::ProtocolError(soft).into()), Some("NOT-FOUND")),
        (Err(ErrorKind::ChannelsLimitReached.into()), Some("ChannelsLimitReached")),
        (Err(ErrorKind::InvalidChannel(7).into()), Some("InvalidChannel")),
        (Err(ErrorKind::InvalidChannelState(ChannelState::Closed, "publish").into()), Some("InvalidChannelState")),
        (Err(ErrorKind::IOError(Arc::new(closed())).into()), Some("IOError")),
        (Err(ErrorKind::RuntimeShutdownError(Arc::new(closed())).into()), Some("RuntimeShutdownError")),
        (Err(ErrorKind::AuthProviderError("no token".into()).into()), Some("AuthProviderError")),
        (Err(ErrorKind::MissingHeartbeatError.into()), Some("MissingHeartbeatError")),
    ] {
        let capture = Capture::new();
        capture.run(|| throughline::span("publish").start()).end(|| confirmed(&result));
        let span = capture.span("publish");
        assert_eq!(span.is_error(), error_type.is_some());
        assert_eq!(span.attribute("error.type"), error_type.map(Into::into).as_ref());
    }
}
