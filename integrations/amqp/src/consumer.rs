//! Deliveries as the origin of a span.

use lapin::BasicProperties;
use lapin::message::{self, BasicGetMessage, BasicReturnMessage};
use throughline::messaging::Received;
use throughline::{Context, KeyValue, Origin, semconv};

use crate::SYSTEM;
use crate::attributes::{content, destination, ids, is_temporary, rejections, temporary_marks};

/// Marks the implementations of [`Origin`] for the types of lapin. It is inferred in `#[traced(parent = delivery)]` and
/// never has to be specified.
#[derive(Debug, Clone, Copy)]
pub enum Amqp {}

/// A delivery with an attribute that only the consumer knows: the queue. Like the delivery itself, it is an [`Origin`].
///
/// ```
/// use lapin::message;
/// use throughline_amqp::Delivery;
/// use throughline::traced;
///
/// #[traced("process billing", kind = consumer, parent = Delivery::new(delivery).queue("billing"))]
/// fn bill(delivery: &message::Delivery) {}
///
/// #[traced("process billing", kind = consumer, links = deliveries.iter().map(|it| Delivery::new(it).queue("billing")))]
/// fn bill_all(deliveries: &[message::Delivery]) {}
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    delivery: &'a message::Delivery,
    queue: Option<&'a str>,
}

impl<'a> Delivery<'a> {
    /// Wraps a delivery, without further attributes.
    pub fn new(delivery: &'a message::Delivery) -> Self {
        Self { delivery, queue: None }
    }

    /// Sets the name of the queue that the delivery was consumed from, which becomes part of
    /// `messaging.destination.name`.
    #[must_use]
    pub fn queue(mut self, name: &'a str) -> Self {
        self.queue = Some(name);
        self
    }
}

impl Origin for Delivery<'_> {
    fn origin(&self) -> Context {
        self.delivery.properties.origin()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        let message::Delivery { exchange, routing_key, properties, data, delivery_tag, redelivered, .. } =
            self.delivery;
        let routing_key = routing_key.as_str();
        let mut received = Received::new(attributes, SYSTEM);
        received.destination(&destination(exchange.as_str(), routing_key, self.queue));
        // The default exchange delivers to the queue of that name.
        let queue = self.queue.or(exchange.as_str().is_empty().then_some(routing_key));
        if queue.is_some_and(is_temporary) {
            received.extend(temporary_marks());
        }
        // The broker counts from one.
        if *delivery_tag > 0 {
            received.attribute(
                semconv::MESSAGING_RABBITMQ_MESSAGE_DELIVERY_TAG,
                i64::try_from(*delivery_tag).unwrap_or(i64::MAX),
            );
        }
        let rejections = rejections(properties);
        if *redelivered || rejections > 0 {
            received.redelivered();
        }
        if rejections > 0 {
            received.attribute(semconv::THROUGHLINE_RABBITMQ_REJECTIONS, rejections);
        }
        received.extend(content(routing_key, properties, data));
    }

    fn is_message(&self) -> bool {
        true
    }
}

macro_rules! deliveries {
    ($($message:ty),*) => {$(
        impl Origin<Amqp> for $message {
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
    )*};
}

deliveries!(message::Delivery, BasicGetMessage, BasicReturnMessage);

impl Origin<Amqp> for BasicProperties {
    fn origin(&self) -> Context {
        self.headers().as_ref().map(Origin::origin).unwrap_or_default()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        attributes.push(KeyValue::new(semconv::MESSAGING_SYSTEM, SYSTEM));
        attributes.extend(ids(self));
    }

    fn is_message(&self) -> bool {
        true
    }
}
