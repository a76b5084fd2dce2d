//! Publishing in a producer span.

use std::borrow::Cow;
use std::future::Future;

use lapin::options::BasicPublishOptions;
use lapin::protocol::{AMQPError, AMQPErrorKind};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, ErrorKind, PublisherConfirm};
use throughline::messaging::Producer;
use throughline::{Outcome, Span};

use crate::SYSTEM;
use crate::attributes::{content, destination, is_temporary, temporary_marks};
use crate::headers::inject_context;

/// Publishes messages on a [`Channel`] in producer spans.
///
/// The span starts when the future is first polled, as a child of the span that is current then.
pub trait ChannelExt: sealed::Sealed {
    /// Publishes a message like [`Channel::basic_publish`], in a span named `publish {exchange}:{routing key}`, and
    /// injects the context into the headers of the message.
    ///
    /// The span ends when the message has been passed to the connection, or records the error. The broker's response is
    /// the result of the [`PublisherConfirm`] and is not recorded;
    /// [`basic_publish_confirmed_traced`](Self::basic_publish_confirmed_traced) waits for it in the span.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, the span is marked `throughline.cancelled`. As with
    /// `basic_publish`, the message may be sent nevertheless.
    ///
    /// # Errors
    ///
    /// Returns the error of `basic_publish`.
    fn basic_publish_traced(
        &self,
        exchange: ShortString,
        routing_key: ShortString,
        options: BasicPublishOptions,
        payload: &[u8],
        properties: BasicProperties,
    ) -> impl Future<Output = lapin::Result<PublisherConfirm>> + Send;

    /// Publishes a message like [`basic_publish_traced`](Self::basic_publish_traced), and waits for the broker's
    /// confirmation in the same span.
    ///
    /// If the broker rejects the message (`error.type` is `nack`) or returns it (such as `NO-ROUTE`), the status of the
    /// span is Error; the [`Confirmation`] reports it as usual. On a channel without [`Channel::confirm_select`], there
    /// is no confirmation to wait for.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped while it waits, the span is marked `throughline.cancelled`. The message still counts
    /// for [`wait_for_confirms`](Channel::wait_for_confirms) of the channel.
    ///
    /// # Errors
    ///
    /// Returns the error of `basic_publish` or of its [`PublisherConfirm`].
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
            tags.extend(temporary_marks());
        }
        tags.extend(content(routing_key, &properties, payload));
    });
    let context = span.context();
    (span, inject_context(&context, properties))
}

pub(crate) fn confirmed(result: &lapin::Result<Confirmation>) -> Outcome {
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
        kind => name_of(kind).into(),
    };
    Outcome::exception(error_type, error)
}

/// The name of the variant.
fn name_of(kind: &ErrorKind) -> String {
    let mut name = format!("{kind:?}");
    name.truncate(name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len()));
    name
}

/// The name of a reply code of AMQP.
fn code(error: &AMQPError) -> Cow<'static, str> {
    match error.kind() {
        AMQPErrorKind::Soft(error) => error.to_string().into(),
        AMQPErrorKind::Hard(error) => error.to_string().into(),
    }
}
