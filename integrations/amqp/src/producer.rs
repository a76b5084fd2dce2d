//! Publishing in a producer span.

use std::borrow::Cow;
use std::future::Future;

use lapin::options::BasicPublishOptions;
use lapin::protocol::{AMQPError, AMQPErrorKind};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, ErrorKind, PublisherConfirm};
use throughline::messaging::Producer;
use throughline::{Outcome, Span, semconv};

use crate::SYSTEM;
use crate::attributes::{content, destination};
use crate::headers::inject_context;

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

/// Seals the trait, so that methods can be added.
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
