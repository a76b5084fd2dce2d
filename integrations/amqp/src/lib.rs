#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;

use lapin::message::{BasicGetMessage, BasicReturnMessage};
use lapin::options::BasicPublishOptions;
use lapin::protocol::{AMQPError, AMQPErrorKind};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, ErrorKind, PublisherConfirm, message};
use throughline::messaging::{self, Producer, Received, TraceHeaders};
use throughline::{Context, KeyValue, Origin, Outcome, Span, current_context, semconv};

const SYSTEM: &str = "rabbitmq";

/// The marker of [`Origin`] for the types of lapin. It is inferred, so `#[traced(parent = delivery)]` does not mention
/// it.
#[derive(Debug, Clone, Copy)]
pub enum Amqp {}

// ---------------------------------------------------------------------------------------------
// Out

/// Writes the current context into the headers of `properties`. See [Headers](crate#headers).
///
/// ```
/// use lapin::BasicProperties;
///
/// let properties = BasicProperties::default().with_message_id("o-1001".into());
/// let properties = throughline::in_span("publish", || throughline_amqp::inject(properties));
/// ```
#[must_use]
pub fn inject(properties: BasicProperties) -> BasicProperties {
    inject_context(&current_context(), properties)
}

/// Writes `context` into the headers of `properties`. See [Headers](crate#headers).
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
    /// The span ends when the message is handed to the connection, or with the error. The broker's answer is the
    /// result of the [`PublisherConfirm`], and not in the span;
    /// [`basic_publish_confirmed_traced`](Self::basic_publish_confirmed_traced) waits for it there.
    ///
    /// # Cancellation
    ///
    /// Dropping the future before it is ready ends the span as `throughline.cancelled`; as with `basic_publish`, the
    /// message may be sent nevertheless.
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

    /// Publishes and waits for the broker's confirmation, both in the span of
    /// [`basic_publish_traced`](Self::basic_publish_traced).
    ///
    /// A message that the broker rejects (`error.type` is `nack`) or returns (such as `NO-ROUTE`) gives
    /// the span the status Error, and is reported by the [`Confirmation`] as without a span. On a channel without
    /// [`Channel::confirm_select`] there is nothing to wait for.
    ///
    /// # Cancellation
    ///
    /// Dropping the future while it waits ends the span as `throughline.cancelled`; the message still counts for the
    /// channel's [`wait_for_confirms`](Channel::wait_for_confirms).
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

/// The trait is for lapin's channel only, so that methods can be added.
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
            tags.attribute(semconv::MESSAGING_DESTINATION_TEMPORARY, true);
            tags.attribute(semconv::MESSAGING_DESTINATION_ANONYMOUS, true);
        }
        tags.extend(content(routing_key, &properties, payload));
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
        Ok(Confirmation::Nack(None)) => Outcome::error("nack", "the broker rejected the message"),
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

/// A delivery, with what its consumer knows besides. An [`Origin`], as the delivery is.
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
    /// The delivery, without further attributes.
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
            received.attribute(
                semconv::MESSAGING_RABBITMQ_MESSAGE_DELIVERY_TAG,
                i64::try_from(*delivery_tag).unwrap_or(i64::MAX),
            );
        }
        if *redelivered {
            received.redelivered();
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

impl Origin<Amqp> for FieldTable {
    fn origin(&self) -> Context {
        messaging::extract(self.into_iter().map(|(name, value)| (name.as_str(), bytes(value))))
    }
}

/// A value that is not text gives bytes that are not UTF-8, so that the header is invalid, and not absent.
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

/// The attributes of the content of a message, sent or received.
fn content(routing_key: &str, properties: &BasicProperties, payload: &[u8]) -> impl Iterator<Item = KeyValue> {
    let routing_key = (!routing_key.is_empty())
        .then(|| KeyValue::new(semconv::MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY, routing_key.to_owned()));
    routing_key.into_iter().chain(ids(properties)).chain([messaging::body_size(payload.len())])
}

fn ids(properties: &BasicProperties) -> impl Iterator<Item = KeyValue> {
    let ids = [
        (semconv::MESSAGING_MESSAGE_ID, properties.message_id()),
        (semconv::MESSAGING_MESSAGE_CONVERSATION_ID, properties.correlation_id()),
    ];
    ids.into_iter().filter_map(|(key, id)| Some(KeyValue::new(key, id.as_ref()?.to_string())))
}

#[cfg(test)]
mod tests;
