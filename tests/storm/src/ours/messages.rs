//! Sending to a queue, and continuing from it.

use std::collections::HashMap;
#[cfg(feature = "kafka")]
use std::time::Duration;

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use throughline::messaging::Received;
use throughline::{Context, KeyValue, Origin, SpanKind, propagation};
use throughline_amqp::ChannelExt as _;
use throughline_redis::StreamCommandsExt as _;

use crate::brokers::{GROUP, Message, Producer};
use crate::facts::{Order, Step};

/// Sends the order on, with `step` as its cause.
pub(super) async fn send(producer: &Producer, step: &Step, order: Order) {
    let body = order.from(step.calls()).to_text();
    match producer {
        Producer::Amqp(producer) => {
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            let queue = producer.queue.as_str().into();
            let sent = producer.channel.basic_publish_traced("".into(), queue, options, body.as_bytes(), properties);
            sent.await.expect("sent").await.expect("no confirmation was requested");
        }
        Producer::Double(producer) => {
            let sending = async {
                let mut headers = HashMap::new();
                propagation::inject(&mut headers);
                producer.send(headers, body).await;
            };
            throughline::span("send").kind(SpanKind::Producer).run_async(sending).await;
        }
        #[cfg(feature = "kafka")]
        Producer::Kafka(producer) => {
            use throughline_kafka::FutureProducerExt as _;
            let record = rdkafka::producer::FutureRecord::<(), _>::to(&producer.topic).payload(&body).partition(0);
            producer.client.send_traced(record, Duration::from_secs(30)).await.expect("sent");
        }
        Producer::Redis(producer) => {
            let mut connection = producer.connection.clone();
            let _: String = connection.xadd_traced(&producer.stream, "*", &[("body", body)]).await.expect("added");
        }
        #[cfg(feature = "rocketmq")]
        Producer::RocketMq(producer) => {
            use rocketmq_model::common::message::message_single::Message;
            use throughline_rocketmq::ProducerExt as _;
            let topic = producer.topic.as_str();
            let message = Message::builder().topic(topic).body_slice(body.as_bytes()).build_unchecked();
            Box::pin(producer.client.send_traced(message)).await.expect("sent");
        }
    }
}

/// Evaluates `$use` with the message as the `Delivery` of its integration, or `$other` for the double.
macro_rules! with_delivery {
    ($message:expr, |$delivery:ident| $use:expr, |$double:ident| $other:expr) => {
        match $message {
            Message::Amqp(message) => {
                let $delivery = throughline_amqp::Delivery::new(&message.delivery).queue(&message.queue);
                $use
            }
            Message::Double($double) => $other,
            #[cfg(feature = "kafka")]
            Message::Kafka(message) => {
                let $delivery = throughline_kafka::Delivery::new(&message.message).group(GROUP);
                $use
            }
            Message::Redis(message) => {
                let $delivery = throughline_redis::Delivery::new(&message.stream, &message.entry).group(GROUP);
                $use
            }
            #[cfg(feature = "rocketmq")]
            Message::RocketMq(message) => {
                let $delivery = throughline_rocketmq::Delivery::new(&*message.message).group(GROUP);
                $use
            }
        }
    };
}

impl Origin for Message {
    fn origin(&self) -> Context {
        with_delivery!(self, |delivery| delivery.origin(), |double| double.headers.origin())
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        with_delivery!(self, |delivery| delivery.describe(attributes), |double| {
            Received::new(attributes, "double").destination(&double.queue);
        });
    }

    fn is_message(&self) -> bool {
        true
    }
}
