//! Messages as the origin of a span.

use std::fmt;

use rdkafka::message::{BorrowedMessage, Message, OwnedMessage};
use throughline::messaging::Received;
use throughline::{Context, KeyValue, Origin, semconv};

use crate::SYSTEM;
use crate::attributes::{assigned, content, known_offset};
use crate::headers::extract;

/// Marks the implementations of [`Origin`] for the types of `rdkafka`. It is inferred in `#[traced(parent = message)]`
/// and never has to be specified.
#[derive(Debug, Clone, Copy)]
pub enum Kafka {}

/// A received message with attributes that only the consumer knows: the group and the client ID. Like the message
/// itself, it is an [`Origin`].
///
/// ```
/// use rdkafka::message::OwnedMessage;
/// use throughline_kafka::Delivery;
/// use throughline::traced;
///
/// #[traced("process orders", kind = consumer, parent = Delivery::new(message).group("billing").client_id("billing-7"))]
/// fn bill(message: &OwnedMessage) {}
///
/// #[traced("process orders", kind = consumer, links = messages.iter().map(|message| Delivery::new(message).group("billing")))]
/// fn bill_all(messages: &[OwnedMessage]) {}
/// ```
pub struct Delivery<'a, M> {
    message: &'a M,
    group: Option<&'a str>,
    client_id: Option<&'a str>,
}

impl<'a, M: Message> Delivery<'a, M> {
    /// Wraps a message, without further attributes.
    pub fn new(message: &'a M) -> Self {
        Self { message, group: None, client_id: None }
    }

    /// Sets the name of the consumer group: `messaging.consumer.group.name`.
    #[must_use]
    pub fn group(mut self, name: &'a str) -> Self {
        self.group = Some(name);
        self
    }

    /// Sets the `client.id` of the consumer: `messaging.client.id`.
    #[must_use]
    pub fn client_id(mut self, id: &'a str) -> Self {
        self.client_id = Some(id);
        self
    }
}

impl<M> Clone for Delivery<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Delivery<'_, M> {}

impl<M> fmt::Debug for Delivery<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("group", &self.group)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl<M: Message> Origin for Delivery<'_, M> {
    fn origin(&self) -> Context {
        self.message.headers().map(extract).unwrap_or_default()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        let message = self.message;
        let texts =
            [(semconv::MESSAGING_CONSUMER_GROUP_NAME, self.group), (semconv::MESSAGING_CLIENT_ID, self.client_id)];
        Received::new(attributes, SYSTEM)
            .destination(message.topic())
            .extend(content(assigned(Some(message.partition())), message.key(), message.payload()))
            .extend(known_offset(message.offset()))
            .extend(texts.into_iter().filter_map(|(key, text)| Some(KeyValue::new(key, text?.to_owned()))));
    }

    fn is_message(&self) -> bool {
        true
    }
}

impl Origin<Kafka> for BorrowedMessage<'_> {
    fn origin(&self) -> Context {
        Delivery::new(self).origin()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        Delivery::new(self).describe(attributes);
    }

    fn is_message(&self) -> bool {
        true
    }
}

impl Origin<Kafka> for OwnedMessage {
    fn origin(&self) -> Context {
        Delivery::new(self).origin()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        Delivery::new(self).describe(attributes);
    }

    fn is_message(&self) -> bool {
        true
    }
}
