//! Messages as the origin of a span.

use rocketmq_model::common::message::MessageConst;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_model::common::message::message_single::Message;
use rocketmq_model::common::mix_all::RETRY_GROUP_TOPIC_PREFIX;
use rocketmq_model::common::sys_flag::message_sys_flag::MessageSysFlag;
use throughline::messaging::Received;
use throughline::{Context, KeyValue, Origin, propagation, semconv};

use crate::SYSTEM;
use crate::attributes::{bounded, describe_message};
use crate::properties::Properties;

/// Marks the implementations of [`Origin`] for the types of the client. It is inferred in `#[traced(parent = message)]`
/// and never has to be specified.
#[derive(Debug, Clone, Copy)]
pub enum RocketMq {}

/// A received message with attributes that only the consumer knows: the group and the namespace. Like the message
/// itself, it is an [`Origin`].
///
/// ```
/// use rocketmq_model::common::message::message_ext::MessageExt;
/// use throughline_rocketmq::Delivery;
/// use throughline::traced;
///
/// #[traced(kind = consumer, parent = Delivery::new(message).group("billing"))]
/// fn bill(message: &MessageExt) {}
///
/// #[traced(kind = consumer, links = messages.iter().map(|message| Delivery::new(message).group("billing")))]
/// fn bill_all(messages: &[MessageExt]) {}
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    message: &'a MessageExt,
    group: Option<&'a str>,
    namespace: Option<&'a str>,
}

impl<'a> Delivery<'a> {
    /// Wraps a message, without further attributes.
    pub const fn new(message: &'a MessageExt) -> Self {
        Self { message, group: None, namespace: None }
    }

    /// Sets the name of the consumer group: `messaging.consumer.group.name`.
    #[must_use]
    pub const fn group(mut self, name: &'a str) -> Self {
        self.group = Some(name);
        self
    }

    /// Sets the namespace of the topic and the group: `messaging.rocketmq.namespace`.
    #[must_use]
    pub const fn namespace(mut self, name: &'a str) -> Self {
        self.namespace = Some(name);
        self
    }
}

impl Origin for Delivery<'_> {
    fn origin(&self) -> Context {
        self.message.origin()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        self.message.describe(attributes);
        let mut set = |key, name: &str| attributes.push(KeyValue::new(key, name.to_owned()));
        if let Some(group) = self.group {
            set(semconv::MESSAGING_CONSUMER_GROUP_NAME, group);
        }
        if let Some(namespace) = self.namespace {
            set(semconv::MESSAGING_ROCKETMQ_NAMESPACE, namespace);
        }
    }

    fn is_message(&self) -> bool {
        true
    }
}

impl Origin<RocketMq> for Message {
    fn origin(&self) -> Context {
        propagation::extract(&Properties(self))
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        let mut received = Received::new(attributes, SYSTEM);
        received.destination(self.topic());
        if let Some(id) = self.property(MessageConst::PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX) {
            received.attribute(semconv::MESSAGING_MESSAGE_ID, bounded(id));
        }
        describe_message(self, false, &mut |key, value| {
            received.attribute(key, value);
        });
    }

    fn is_message(&self) -> bool {
        true
    }
}

impl Origin<RocketMq> for MessageExt {
    fn origin(&self) -> Context {
        self.message.origin()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        let message = &self.message;
        let topic = message.topic().as_str();
        // Redelivery uses a topic of the consumer group. Most consumers restore the original topic, but not all do.
        let sent_to = topic.starts_with(RETRY_GROUP_TOPIC_PREFIX).then(|| message.properties().retry_topic()).flatten();
        let mut received = Received::new(attributes, SYSTEM);
        received.destination(sent_to.unwrap_or(topic));
        // The broker's own ID, a position in its log, is unknown to the producer, and changes with a redelivery.
        let id = message.property(MessageConst::PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX).unwrap_or(&self.msg_id);
        if !id.is_empty() {
            received.attribute(semconv::MESSAGING_MESSAGE_ID, bounded(id));
        }
        received.attribute(semconv::MESSAGING_DESTINATION_PARTITION_ID, self.queue_id.to_string());
        received.attribute(semconv::THROUGHLINE_ROCKETMQ_QUEUE_OFFSET, self.queue_offset);
        // The broker removes the property of a transactional message when it is committed.
        let transaction = MessageSysFlag::get_transaction_value(self.sys_flag) != MessageSysFlag::TRANSACTION_NOT_TYPE;
        describe_message(message, transaction, &mut |key, value| {
            received.attribute(key, value);
        });
        if self.reconsume_times > 0 {
            received.redelivered();
            received.attribute(semconv::THROUGHLINE_ROCKETMQ_RECONSUME_TIMES, i64::from(self.reconsume_times));
        }
    }

    fn is_message(&self) -> bool {
        true
    }
}
