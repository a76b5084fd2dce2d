//! RabbitMQ, with [`lapin`].
//!
//! **Out**: [`ChannelExt::basic_publish_traced`] is `basic_publish` in a producer span. It writes the
//! context into the headers of the message, so that whoever gets it continues the trace. To publish in
//! some other way, write the headers with [`inject`].
//!
//! **In**: a delivery is an [`Origin`], and so are properties and header tables alone. [`Delivery`]
//! adds what only the consumer knows: the queue.
//!
//! ```no_run
//! use lapin::options::{BasicAckOptions, BasicPublishOptions};
//! use lapin::{BasicProperties, Channel, message};
//! use throughline::amqp::{ChannelExt as _, Delivery};
//! use throughline::traced;
//!
//! #[traced(kind = server)]
//! async fn place(channel: &Channel) -> lapin::Result<()> {
//!     let confirm = channel
//!         .basic_publish_traced(
//!             "orders".into(),
//!             "order.placed".into(),
//!             BasicPublishOptions::default(),
//!             b"two keyboards",
//!             BasicProperties::default(),
//!         )
//!         .await?;
//!     confirm.await?;
//!     Ok(())
//! }
//!
//! // One message: a child of the producer's span, and linked to the consumer loop's, if that has one.
//! #[traced("process billing", kind = consumer, parent = Delivery::new(delivery).queue("billing"))]
//! async fn bill(delivery: &message::Delivery) -> lapin::Result<bool> {
//!     delivery.ack(BasicAckOptions::default()).await
//! }
//!
//! // A batch: a span of its own, with a link to each message.
//! #[traced("process billing", kind = consumer, links = deliveries)]
//! async fn bill_all(deliveries: &[message::Delivery]) {}
//! ```
//!
//! # Attributes
//!
//! By the OpenTelemetry semantic conventions for messaging, [spans] and [RabbitMQ], as of the crate
//! `opentelemetry-semantic-conventions` 0.33.
//!
//! | attribute | sent | received | value |
//! |---|---|---|---|
//! | `messaging.system` | ✓ | ✓ | `rabbitmq` |
//! | `messaging.operation.name` | ✓ | ✓ | `publish`; `process` |
//! | `messaging.operation.type` | ✓ | ✓ | `send`; `process` |
//! | `messaging.destination.name` | ✓ | ✓ | `{exchange}:{routing key}`, and of a received message `:{queue}`; without the parts that are empty, and without the routing key if the queue has the same name; `amq.default` if nothing is left |
//! | `messaging.destination.temporary`, `.anonymous` | ✓ | | `true` for a queue named by the broker; the span is then named `publish (temporary)` |
//! | `messaging.rabbitmq.destination.routing_key` | ✓ | ✓ | unless empty |
//! | `messaging.rabbitmq.message.delivery_tag` | | ✓ | |
//! | `messaging.message.id` | ✓ | ✓ | the property `message-id` |
//! | `messaging.message.conversation_id` | ✓ | ✓ | the property `correlation-id` |
//! | `messaging.message.body.size` | ✓ | ✓ | bytes of the payload |
//! | `throughline.messaging.redelivered` | | ✓ | `true` if the message was delivered before |
//! | `error.type` | ✓ | | the name of AMQP's reply code, such as `NOT-FOUND`, or of lapin's [`ErrorKind`] |
//!
//! Received attributes stand on the span with `parent = delivery`, and on each link with
//! `links = deliveries`. The span then has `messaging.batch.message_count` and, where they are the same
//! for all, the system, the operation and the destination.
//!
//! # Headers
//!
//! Trace headers that the properties have already, say because a message is forwarded, are replaced;
//! all others are kept. When there is no context to write, the headers stay as they are. They are
//! written as long strings and read as long or short strings; a value of another type or one that is not
//! UTF-8 is invalid: the message then becomes the entry of a new trace. Nothing in a message is an
//! error.
//!
//! # Cost
//!
//! For each sent message one span and a copy of the header table; attributes are not computed when
//! nothing is recorded, and the context is passed on all the same. For each received message one pass
//! over its headers.
//!
//! [spans]: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
//! [RabbitMQ]: https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;

use lapin::message::{BasicGetMessage, BasicReturnMessage};
use lapin::options::BasicPublishOptions;
use lapin::protocol::{AMQPError, AMQPErrorKind};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, ErrorKind, PublisherConfirm, message};
use opentelemetry::{Context, KeyValue};

use crate::context::current;
use crate::context::origin::Origin;
use crate::messaging::{self, Producer, Received, TraceHeaders};
use crate::span::handle::Span;
use crate::span::outcome::Outcome;

const SYSTEM: &str = "rabbitmq";

// ---------------------------------------------------------------------------------------------
// Out

/// Writes the current context into the headers of `properties`. See [Headers](self#headers).
///
/// ```
/// use lapin::BasicProperties;
/// use throughline::amqp;
///
/// let properties = BasicProperties::default().with_message_id("o-1001".into());
/// let properties = throughline::in_span("publish", || amqp::inject(properties));
/// ```
#[must_use]
pub fn inject(properties: BasicProperties) -> BasicProperties {
    inject_context(&current::get(), properties)
}

/// Writes `context` into the headers of `properties`. See [Headers](self#headers).
#[must_use]
pub fn inject_context(context: &Context, properties: BasicProperties) -> BasicProperties {
    let outgoing = TraceHeaders::of(context);
    if outgoing.is_empty() {
        return properties;
    }
    let mut headers: BTreeMap<ShortString, AMQPValue> = properties
        .headers()
        .iter()
        .flatten()
        .filter(|(name, _)| !outgoing.replaces(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for (name, value) in outgoing {
        // `From` panics where this fails.
        if let Ok(name) = ShortString::try_new(name) {
            headers.insert(name, AMQPValue::LongString(value.into()));
        }
    }
    properties.with_headers(headers.into())
}

/// `Channel::basic_publish` in a producer span.
///
/// The span is a child of the current one when the future is polled for the first time, as the span
/// of an `async fn` is.
pub trait ChannelExt: sealed::Sealed {
    /// Like [`Channel::basic_publish`], in a span named `publish {exchange}:{routing key}`, with the
    /// context in the headers of the message.
    ///
    /// The span ends when the message is handed to the connection, or with the error. What the broker
    /// makes of it is told by the [`PublisherConfirm`], as ever;
    /// [`basic_publish_confirmed_traced`](Self::basic_publish_confirmed_traced) has that in the span.
    ///
    /// Dropping the future before it is ready ends the span as `throughline.cancelled`; as with `basic_publish`, the
    /// message may be sent all the same.
    ///
    /// # Errors
    ///
    /// Those of `basic_publish`.
    fn basic_publish_traced(
        &self,
        exchange: ShortString,
        routing_key: ShortString,
        options: BasicPublishOptions,
        payload: &[u8],
        properties: BasicProperties,
    ) -> impl Future<Output = lapin::Result<PublisherConfirm>> + Send;

    /// Publishes and waits for the broker's word, both in the span of
    /// [`basic_publish_traced`](Self::basic_publish_traced).
    ///
    /// A message that the broker refuses (`error.type` is `nack`) or returns (such as `NO-ROUTE`) gives
    /// the span the status Error; the [`Confirmation`] says so too. On a channel without
    /// [`Channel::confirm_select`] there is nothing to wait for.
    ///
    /// Dropping the future while it waits ends the span as `throughline.cancelled`; the channel's
    /// [`wait_for_confirms`](Channel::wait_for_confirms) still knows of the message.
    ///
    /// # Errors
    ///
    /// Those of `basic_publish` and of its [`PublisherConfirm`].
    fn basic_publish_confirmed_traced(
        &self,
        exchange: ShortString,
        routing_key: ShortString,
        options: BasicPublishOptions,
        payload: &[u8],
        properties: BasicProperties,
    ) -> impl Future<Output = lapin::Result<Confirmation>> + Send;
}

impl ChannelExt for Channel {
    async fn basic_publish_traced(
        &self,
        exchange: ShortString,
        routing_key: ShortString,
        options: BasicPublishOptions,
        payload: &[u8],
        properties: BasicProperties,
    ) -> lapin::Result<PublisherConfirm> {
        let (span, properties) = publishing(&exchange, &routing_key, payload, properties);
        let published = self.basic_publish(exchange, routing_key, options, payload, properties);
        span.run_async(published, |result| result.as_ref().err().map_or_else(Outcome::ok, failed)).await
    }

    async fn basic_publish_confirmed_traced(
        &self,
        exchange: ShortString,
        routing_key: ShortString,
        options: BasicPublishOptions,
        payload: &[u8],
        properties: BasicProperties,
    ) -> lapin::Result<Confirmation> {
        let (span, properties) = publishing(&exchange, &routing_key, payload, properties);
        let published = self.basic_publish(exchange, routing_key, options, payload, properties);
        span.run_async(async { published.await?.await }, confirmed).await
    }
}

impl sealed::Sealed for Channel {}

/// The trait here is for the channel of `lapin`, and may get more methods.
mod sealed {
    pub trait Sealed {}
}

/// The span of a message that is about to be published, and the properties with its context.
fn publishing(
    exchange: &ShortString,
    routing_key: &ShortString,
    payload: &[u8],
    properties: BasicProperties,
) -> (Span, BasicProperties) {
    let (exchange, routing_key) = (exchange.as_str(), routing_key.as_str());
    let destination = destination(exchange, routing_key, None);
    let temporary = exchange.is_empty() && is_temporary(routing_key);
    let target = if temporary { "(temporary)" } else { &*destination };
    let span = Producer::new(SYSTEM, &destination).operation("publish").target(target).start_with(|tags| {
        if temporary {
            tags.attribute("messaging.destination.temporary", true);
            tags.attribute("messaging.destination.anonymous", true);
        }
        content(&mut tags.own, routing_key, &properties, payload);
    });
    let context = span.context();
    (span, inject_context(&context, properties))
}

/// Whether a queue was named by the broker: there are as many such names as there are clients.
fn is_temporary(queue: &str) -> bool {
    ["amq.gen-", "amq.rabbitmq.reply-to"].iter().any(|prefix| queue.starts_with(prefix))
}

fn confirmed(result: &lapin::Result<Confirmation>) -> Outcome {
    match result {
        Ok(Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned))) => {
            let error_type = returned.error().map_or(Cow::Borrowed("returned"), |error| code(&error));
            Outcome::error(error_type, returned.reply_text.as_str())
        }
        Ok(Confirmation::Nack(None)) => Outcome::error("nack", "the broker refused the message"),
        Ok(Confirmation::Ack(None) | Confirmation::NotRequested) => Outcome::ok(),
        Err(error) => failed(error),
    }
}

fn failed(error: &lapin::Error) -> Outcome {
    let error_type = match error.kind() {
        ErrorKind::ProtocolError(error) => code(error),
        ErrorKind::ChannelsLimitReached => "ChannelsLimitReached".into(),
        ErrorKind::InvalidChannel(_) => "InvalidChannel".into(),
        ErrorKind::InvalidChannelState(..) => "InvalidChannelState".into(),
        ErrorKind::InvalidConnectionState(_) => "InvalidConnectionState".into(),
        ErrorKind::IOError(_) => "IOError".into(),
        ErrorKind::RuntimeShutdownError(_) => "RuntimeShutdownError".into(),
        ErrorKind::SerialisationError(_) => "SerialisationError".into(),
        ErrorKind::MissingHeartbeatError => "MissingHeartbeatError".into(),
        _ => "lapin::Error".into(),
    };
    Outcome::exception(error_type, error)
}

/// The name of a reply code of AMQP.
fn code(error: &AMQPError) -> Cow<'static, str> {
    match error.kind() {
        AMQPErrorKind::Soft(error) => error.to_string().into(),
        AMQPErrorKind::Hard(error) => error.to_string().into(),
    }
}

// ---------------------------------------------------------------------------------------------
// In

/// A delivery together with what only its consumer knows. An [`Origin`], as the delivery is.
///
/// ```
/// use lapin::message;
/// use throughline::amqp::Delivery;
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
    /// `delivery`, and nothing besides.
    pub fn new(delivery: &'a message::Delivery) -> Self {
        Self { delivery, queue: None }
    }

    /// Adds the queue that is consumed to `messaging.destination.name`.
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
        // The broker counts from one.
        if *delivery_tag > 0 {
            received
                .attribute("messaging.rabbitmq.message.delivery_tag", i64::try_from(*delivery_tag).unwrap_or(i64::MAX));
        }
        if *redelivered {
            received.redelivered();
        }
        content(attributes, routing_key, properties, data);
    }

    fn is_message(&self) -> bool {
        true
    }
}

macro_rules! deliveries {
    ($($message:ty),*) => {$(
        impl Origin for $message {
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

impl Origin for BasicProperties {
    fn origin(&self) -> Context {
        self.headers().as_ref().map(Origin::origin).unwrap_or_default()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        attributes.push(KeyValue::new("messaging.system", SYSTEM));
        ids(attributes, self);
    }

    fn is_message(&self) -> bool {
        true
    }
}

impl Origin for FieldTable {
    fn origin(&self) -> Context {
        messaging::extract(self.into_iter().map(|(name, value)| (name.as_str(), bytes(value))))
    }
}

/// What is no text is no text in no encoding, so that it is invalid and not absent.
fn bytes(value: &AMQPValue) -> &[u8] {
    match value {
        AMQPValue::LongString(text) => text.as_bytes(),
        AMQPValue::ShortString(text) => text.as_str().as_bytes(),
        _ => b"\xff",
    }
}

/// What the conventions call the destination: "only non-empty values should be used", and if there
/// are none, the default exchange's other name.
fn destination<'a>(exchange: &'a str, routing_key: &'a str, queue: Option<&'a str>) -> Cow<'a, str> {
    let queue = queue.unwrap_or_default();
    let routing_key = if routing_key == queue { "" } else { routing_key };
    let mut name = Cow::Borrowed("");
    for part in [exchange, routing_key, queue].into_iter().filter(|part| !part.is_empty()) {
        name = if name.is_empty() { Cow::Borrowed(part) } else { format!("{name}:{part}").into() };
    }
    if name.is_empty() { Cow::Borrowed("amq.default") } else { name }
}

/// What sent and received messages tell of their content.
fn content(attributes: &mut Vec<KeyValue>, routing_key: &str, properties: &BasicProperties, payload: &[u8]) {
    if !routing_key.is_empty() {
        attributes.push(KeyValue::new("messaging.rabbitmq.destination.routing_key", routing_key.to_owned()));
    }
    ids(attributes, properties);
    attributes.push(KeyValue::new("messaging.message.body.size", i64::try_from(payload.len()).unwrap_or(i64::MAX)));
}

fn ids(attributes: &mut Vec<KeyValue>, properties: &BasicProperties) {
    let ids = [
        ("messaging.message.id", properties.message_id()),
        ("messaging.message.conversation_id", properties.correlation_id()),
    ];
    attributes.extend(ids.iter().filter_map(|(key, id)| Some(KeyValue::new(*key, id.as_ref()?.to_string()))));
}

#[cfg(test)]
mod tests;
