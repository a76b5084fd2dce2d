//! Queues: the same few operations for each broker, without any tracing. [`ours`](crate::ours) and `peer` send messages
//! with a context, and continue traces from received ones.

pub(crate) mod amqp;
pub(crate) mod double;
#[cfg(feature = "kafka")]
pub(crate) mod kafka;
pub(crate) mod redis;
#[cfg(feature = "rocketmq")]
pub(crate) mod rocketmq;

use crate::config::{Config, System};
use crate::facts::Order;

/// The name of every consumer group.
pub(crate) const GROUP: &str = "storm";

/// The queues, and the system that each is in.
pub(crate) const QUEUES: [(&str, System); 5] = [
    ("orders", System::Kafka),
    ("events", System::Kafka),
    ("bills", System::Amqp),
    ("parcels", System::RocketMq),
    ("archive", System::Redis),
];

fn system_of(queue: &str) -> System {
    QUEUES.iter().find(|(name, _)| *name == queue).expect("one of the queues").1
}

/// Sends to one queue.
pub(crate) enum Producer {
    Amqp(Box<amqp::Producer>),
    Double(double::Producer),
    #[cfg(feature = "kafka")]
    Kafka(kafka::Producer),
    Redis(redis::Producer),
    #[cfg(feature = "rocketmq")]
    RocketMq(Box<rocketmq::Producer>),
}

impl Producer {
    pub(crate) async fn connect(config: &Config, queue: &str) -> Self {
        let name = config.queue(queue);
        match (system_of(queue), config.server(system_of(queue))) {
            (System::Amqp, Some(address)) => Self::Amqp(Box::new(amqp::Producer::connect(address, name).await)),
            (System::Redis, Some(address)) => Self::Redis(redis::Producer::connect(address, name).await),
            #[cfg(feature = "kafka")]
            (System::Kafka, Some(address)) => Self::Kafka(kafka::Producer::connect(address, name)),
            #[cfg(feature = "rocketmq")]
            (System::RocketMq, Some(address)) => {
                Self::RocketMq(Box::new(rocketmq::Producer::connect(address, name).await))
            }
            _ => Self::Double(double::Producer::connect(&config.double, name).await),
        }
    }
}

/// A message that was received.
pub(crate) enum Message {
    Amqp(Box<amqp::Received>),
    Double(double::Received),
    #[cfg(feature = "kafka")]
    Kafka(Box<kafka::Received>),
    Redis(redis::Received),
    #[cfg(feature = "rocketmq")]
    RocketMq(rocketmq::Received),
}

impl Message {
    /// The payload.
    pub(crate) fn order(&self) -> Order {
        let text = match self {
            Self::Amqp(message) => String::from_utf8_lossy(&message.delivery.data).into_owned(),
            Self::Double(message) => message.body.clone(),
            #[cfg(feature = "kafka")]
            Self::Kafka(message) => {
                String::from_utf8_lossy(rdkafka::Message::payload(&message.message).unwrap_or_default()).into_owned()
            }
            Self::Redis(message) => message.entry.get("body").unwrap_or_default(),
            #[cfg(feature = "rocketmq")]
            Self::RocketMq(message) => {
                String::from_utf8_lossy(message.message.message_inner().body_slice()).into_owned()
            }
        };
        Order::parse(&text).expect("only orders are in the queues")
    }

    /// Whether it has been delivered before.
    pub(crate) fn redelivered(&self) -> bool {
        match self {
            Self::Amqp(message) => message.delivery.redelivered,
            Self::Double(message) => message.redelivered,
            #[cfg(feature = "kafka")]
            Self::Kafka(message) => message.redelivered,
            Self::Redis(_) => false,
            #[cfg(feature = "rocketmq")]
            Self::RocketMq(message) => message.message.reconsume_times() > 0,
        }
    }

    /// Acknowledges it.
    pub(crate) async fn acknowledge(&self) {
        match self {
            Self::Amqp(message) => message.acknowledge().await,
            Self::Double(message) => message.settle("ack"),
            #[cfg(feature = "kafka")]
            Self::Kafka(message) => message.acknowledge(),
            Self::Redis(message) => message.acknowledge().await,
            #[cfg(feature = "rocketmq")]
            Self::RocketMq(message) => message.acknowledge(),
        }
    }

    /// Requests redelivery. Returns `false` if its system does not support that.
    pub(crate) async fn requeue(&self) -> bool {
        match self {
            Self::Amqp(message) => message.requeue().await,
            Self::Double(message) => message.settle("requeue"),
            #[cfg(feature = "kafka")]
            Self::Kafka(message) => message.rewind().await,
            Self::Redis(_) => return false,
            #[cfg(feature = "rocketmq")]
            Self::RocketMq(message) => message.send_back().await,
        }
        true
    }
}

/// Receives from one queue.
pub(crate) enum Consumer {
    Amqp(Box<amqp::Consumer>),
    Double(double::Consumer),
    #[cfg(feature = "kafka")]
    Kafka(kafka::Consumer),
    Redis(redis::Consumer),
    #[cfg(feature = "rocketmq")]
    RocketMq(Box<rocketmq::Consumer>),
}

impl Consumer {
    /// At most `prefetch` messages are unacknowledged, if the system has such a limit.
    pub(crate) async fn connect(config: &Config, queue: &str, prefetch: u16) -> Self {
        let (name, again) = (config.queue(queue), config.replaces.is_some());
        match (system_of(queue), config.server(system_of(queue))) {
            (System::Amqp, Some(address)) => {
                Self::Amqp(Box::new(amqp::Consumer::connect(address, name, prefetch).await))
            }
            (System::Redis, Some(address)) => Self::Redis(redis::Consumer::connect(address, name, again).await),
            #[cfg(feature = "kafka")]
            (System::Kafka, Some(address)) => Self::Kafka(kafka::Consumer::connect(address, &name, again)),
            #[cfg(feature = "rocketmq")]
            (System::RocketMq, Some(address)) => {
                Self::RocketMq(Box::new(rocketmq::Consumer::connect(address, &name, prefetch).await))
            }
            _ => Self::Double(double::Consumer::connect(&config.double, name, prefetch).await),
        }
    }

    /// The next message. Cancel safe.
    pub(crate) async fn next(&mut self) -> Message {
        match self {
            Self::Amqp(consumer) => Message::Amqp(Box::new(consumer.next().await)),
            Self::Double(consumer) => Message::Double(consumer.next().await),
            #[cfg(feature = "kafka")]
            Self::Kafka(consumer) => Message::Kafka(Box::new(consumer.next().await)),
            Self::Redis(consumer) => Message::Redis(consumer.next().await),
            #[cfg(feature = "rocketmq")]
            Self::RocketMq(consumer) => Message::RocketMq(consumer.next().await),
        }
    }
}

/// Creates what the services need: topics, queues, and the table.
pub(crate) async fn prepare(config: &Config) {
    for (queue, system) in QUEUES {
        let name = config.queue(queue);
        match (system, config.server(system)) {
            (System::Amqp, Some(address)) => amqp::declare(address, &name).await,
            (System::Redis, Some(address)) => redis::create_group(address, &name).await,
            #[cfg(feature = "kafka")]
            (System::Kafka, Some(address)) => kafka::create_topic(address, &name).await,
            #[cfg(feature = "rocketmq")]
            (System::RocketMq, Some(address)) => rocketmq::create_topic(address, &name).await,
            _ => {}
        }
    }
    if let Some(address) = config.server(System::MySql) {
        crate::store::create_table(address, &config.run).await;
    }
}
