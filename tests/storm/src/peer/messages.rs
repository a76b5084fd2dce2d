//! Sending to a queue, and continuing from it.

use std::collections::HashMap;
#[cfg(feature = "kafka")]
use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use opentelemetry::{Context, global};
use tracing::{Instrument as _, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::brokers::{Message, Producer};
use crate::facts::{Order, Step};

/// The context of a span, as headers.
pub(super) fn headers_of(span: &Span) -> HashMap<String, String> {
    let mut headers = HashMap::new();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&span.context(), &mut headers));
    headers
}

/// The context in headers.
pub(super) fn context_in(headers: &HashMap<String, String>) -> Context {
    global::get_text_map_propagator(|propagator| propagator.extract(headers))
}

/// Sends the order on, with `step` as its cause.
pub(super) async fn send(producer: &Producer, step: &Step, order: Order) {
    let body = order.from(step.calls()).to_text();
    let span = info_span!("send", otel.kind = "producer");
    let headers = headers_of(&span);
    publish(producer, body, headers).instrument(span).await;
}

async fn publish(producer: &Producer, body: String, headers: HashMap<String, String>) {
    match producer {
        Producer::Amqp(producer) => {
            let mut table = FieldTable::default();
            for (name, value) in headers {
                table.insert(name.into(), AMQPValue::LongString(value.into()));
            }
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            let (queue, properties) = (producer.queue.as_str().into(), properties.with_headers(table));
            let sent = producer.channel.basic_publish("".into(), queue, options, body.as_bytes(), properties);
            sent.await.expect("sent").await.expect("no confirmation was requested");
        }
        Producer::Double(producer) => producer.send(headers, body).await,
        #[cfg(feature = "kafka")]
        Producer::Kafka(producer) => {
            use rdkafka::message::{Header, OwnedHeaders};
            let headers = headers
                .iter()
                .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
            let record = rdkafka::producer::FutureRecord::<(), _>::to(&producer.topic).payload(&body).partition(0);
            producer.client.send(record.headers(headers), Duration::from_secs(30)).await.expect("sent");
        }
        Producer::Redis(producer) => {
            let mut fields: Vec<(String, String)> = headers.into_iter().collect();
            fields.push(("body".to_owned(), body));
            let mut connection = producer.connection.clone();
            let _: String =
                redis::AsyncCommands::xadd(&mut connection, &producer.stream, "*", &fields).await.expect("added");
        }
        #[cfg(feature = "rocketmq")]
        Producer::RocketMq(producer) => {
            use rocketmq_model::common::message::message_single::Message;
            let mut message = Message::builder().topic(producer.topic.as_str()).body_slice(body.as_bytes());
            for (key, value) in headers {
                message = message.raw_property(key, value).expect("a valid property");
            }
            Box::pin(producer.client.send(message.build_unchecked())).await.expect("sent");
        }
    }
}

/// The context in a message.
pub(super) fn extract(message: &Message) -> Context {
    let mut headers = HashMap::new();
    match message {
        Message::Amqp(message) => {
            for (name, value) in message.delivery.properties.headers().iter().flat_map(FieldTable::inner) {
                if let AMQPValue::LongString(value) = value {
                    headers.insert(name.to_string(), value.to_string());
                }
            }
        }
        Message::Double(message) => headers.clone_from(&message.headers),
        #[cfg(feature = "kafka")]
        Message::Kafka(message) => {
            use rdkafka::message::{Headers as _, Message as _};
            for header in message.message.headers().into_iter().flat_map(|headers| headers.iter()) {
                let value = String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned();
                headers.insert(header.key.to_owned(), value);
            }
        }
        Message::Redis(message) => {
            for name in ["traceparent", "tracestate", "baggage"] {
                headers.extend(message.entry.get(name).map(|value: String| (name.to_owned(), value)));
            }
        }
        #[cfg(feature = "rocketmq")]
        Message::RocketMq(message) => {
            for (name, value) in message.message.properties() {
                headers.insert(name.to_string(), value.to_string());
            }
        }
    }
    context_in(&headers)
}

/// Does `work` on the message, in a consumer's span that continues the message's trace.
macro_rules! consume {
    ($name:literal, $step:expr, $message:expr, $work:expr) => {{
        let order = $message.order();
        let span = tracing::info_span!(
            $name,
            otel.kind = "consumer",
            storm.step = $step.tag(),
            order_no = order.request,
            tenant_id = $crate::plan::Plan::tenant(order.request)
        );
        // Before it is entered, because it would otherwise start without a parent.
        let _ =
            tracing_opentelemetry::OpenTelemetrySpanExt::set_parent(&span, $crate::peer::messages::extract($message));
        tracing::Instrument::instrument($work, span).await
    }};
}
pub(super) use consume;
