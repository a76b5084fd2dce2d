//! Kafka, with [`rdkafka`].
//!
//! **Out**: [`FutureProducerExt::send_traced`] is `send` in a producer span. It writes the context
//! into the headers of the record, so that whoever reads the message continues the trace.
//! `BaseProducer` and `ThreadedProducer` have the same by [`ProducerExt`]. To send in some other way,
//! write the headers with [`inject`].
//!
//! **In**: a message is an [`Origin`], borrowed or owned, and so are headers alone. [`Delivery`] adds
//! what only the consumer knows: its group and its client id.
//!
//! ```no_run
//! use rdkafka::consumer::{Consumer, StreamConsumer};
//! use rdkafka::error::KafkaResult;
//! use rdkafka::message::{BorrowedMessage, OwnedMessage};
//! use rdkafka::producer::{FutureProducer, FutureRecord};
//! use throughline::kafka::{Delivery, FutureProducerExt as _};
//! use throughline::traced;
//! use std::time::Duration;
//!
//! #[traced(kind = server, tags(order_no))]
//! async fn place(producer: &FutureProducer, order_no: &str) {
//!     let record = FutureRecord::to("orders").key(order_no).payload("two keyboards");
//!     if let Err((error, _record)) = producer.send_traced(record, Duration::from_secs(5)).await {
//!         eprintln!("{error}");
//!     }
//! }
//!
//! // One message: a child of the producer's span, and linked to the consumer loop's, if that has one.
//! #[traced("process orders", kind = consumer, parent = Delivery::new(message).group("billing"))]
//! async fn bill(message: &BorrowedMessage<'_>) {}
//!
//! // A batch: a span of its own, with a link to each message.
//! #[traced("process orders", kind = consumer, links = messages)]
//! async fn bill_all(messages: Vec<OwnedMessage>) {}
//!
//! async fn consume(consumer: StreamConsumer) -> KafkaResult<()> {
//!     consumer.subscribe(&["orders"])?;
//!     loop {
//!         bill(&consumer.recv().await?).await;
//!     }
//! }
//! ```
//!
//! # Attributes
//!
//! By the OpenTelemetry semantic conventions for messaging, [spans] and [Kafka], as of the crate
//! `opentelemetry-semantic-conventions` 0.33.
//!
//! | attribute | sent | received | value |
//! |---|---|---|---|
//! | `messaging.system` | ✓ | ✓ | `kafka` |
//! | `messaging.operation.name`, `.type` | ✓ | ✓ | `send`; `process` |
//! | `messaging.destination.name` | ✓ | ✓ | the topic |
//! | `messaging.destination.partition.id` | ✓ | ✓ | as text; of a sent message once it is known |
//! | `messaging.kafka.offset` | ✓ | ✓ | of a sent message when it was delivered |
//! | `messaging.kafka.message.key` | ✓ | ✓ | a key that is text without control characters, bounded by [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES) |
//! | `messaging.kafka.message.tombstone` | ✓ | ✓ | `true` for a message without payload |
//! | `messaging.message.body.size` | ✓ | ✓ | bytes of the payload |
//! | `messaging.consumer.group.name`, `messaging.client.id` | | ✓ | as given to [`Delivery`] |
//! | `error.type` | ✓ | | the name of librdkafka's error code, such as `MessageTimedOut` |
//!
//! Received attributes stand on the span with `parent = message`, and on each link with
//! `links = messages`. The span then has `messaging.batch.message_count` and, where they are the same for
//! all, the system, the operation, the destination, the group and the client id.
//!
//! # Headers
//!
//! Trace headers that a record has already, say because it is sent again, are replaced; all others are
//! kept, in their order. When there is no context to write, the headers stay as they are. In what is
//! received, two `traceparent` headers, one without a value or one that is not UTF-8 are invalid: the
//! message then becomes the entry of a new trace. Nothing in a message is an error. A header whose *name*
//! is not UTF-8 is passed over; `rdkafka` panics on it, which is caught, but only where panics unwind.
//!
//! # Cost
//!
//! For each sent message one span and the strings of its headers; attributes are not computed when
//! nothing is recorded, and the context is passed on all the same. For each received message one pass
//! over its headers.
//!
//! [spans]: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
//! [Kafka]: https://opentelemetry.io/docs/specs/semconv/messaging/kafka/

use std::borrow::Cow;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::{fmt, task};

use opentelemetry::{Context, KeyValue};
use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{
    BorrowedHeaders, BorrowedMessage, Header, Headers, Message, OwnedHeaders, OwnedMessage, ToBytes,
};
use rdkafka::producer::future_producer::{Delivery as Delivered, OwnedDeliveryResult};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryFuture, FutureProducer, FutureRecord, Partitioner, ProducerContext,
    ThreadedProducer,
};
use rdkafka::util::{AsyncRuntime, IntoOpaque, Timeout};

use crate::context::current;
use crate::context::origin::Origin;
use crate::messaging::{self, Producer, Received, TraceHeaders};
use crate::span::handle::Span;
use crate::span::outcome::Outcome;
use crate::tags::value;
use crate::text::needs_escape;

const SYSTEM: &str = "kafka";

// ---------------------------------------------------------------------------------------------
// Out

/// Writes the current context into `headers`. See [Headers](self#headers).
///
/// ```
/// use rdkafka::message::{Header, OwnedHeaders};
/// use throughline::kafka;
///
/// let headers = OwnedHeaders::new().insert(Header { key: "content-type", value: Some("text/plain") });
/// let headers = throughline::in_span("send", || kafka::inject(headers));
/// ```
#[must_use]
pub fn inject(headers: OwnedHeaders) -> OwnedHeaders {
    inject_context(&current::get(), headers)
}

/// Writes `context` into `headers`. See [Headers](self#headers).
#[must_use]
pub fn inject_context(context: &Context, headers: OwnedHeaders) -> OwnedHeaders {
    let outgoing = TraceHeaders::of(context);
    if outgoing.is_empty() {
        return headers;
    }
    let mut headers = match without_replaced(&headers, &outgoing) {
        Kept::All => headers,
        Kept::Some(kept) => kept,
        // Half of the headers would be lost with the attempt.
        Kept::Unreadable => return headers,
    };
    for (name, value) in outgoing {
        headers = headers.insert(Header { key: &name, value: Some(&value) });
    }
    headers
}

enum Kept {
    All,
    Some(OwnedHeaders),
    Unreadable,
}

/// The headers that stay. There is no way to take single ones out.
fn without_replaced(headers: &OwnedHeaders, outgoing: &TraceHeaders) -> Kept {
    let all = || read(headers);
    if !all().flatten().any(|header| outgoing.replaces(header.key)) {
        return Kept::All;
    }
    let mut kept = OwnedHeaders::new_with_capacity(headers.count() + 3);
    for header in all() {
        let Some(header) = header else { return Kept::Unreadable };
        if !outgoing.replaces(header.key) {
            kept = kept.insert(header);
        }
    }
    Kept::Some(kept)
}

/// `FutureProducer::send` in a producer span.
///
/// The span is a child of the current one when the future is polled for the first time, as the span
/// of an `async fn` is.
pub trait FutureProducerExt: sealed::Sealed {
    /// Like [`FutureProducer::send`], in a span named `send {topic}`, with the context in the headers
    /// of the record.
    ///
    /// The span ends when the message is delivered, with its partition and offset, or with the error.
    /// What is returned, how long the queue is waited for and what happens on cancellation is as with
    /// `send`: dropping the future while it waits for the queue sends nothing; dropping it after that
    /// gives up the result, and not the message. Both end the span as `throughline.cancelled`.
    ///
    /// # Errors
    ///
    /// Those of `send`. The message that comes with the error has the headers of this attempt; sending
    /// it again replaces them.
    fn send_traced<K, P, T>(
        &self,
        record: FutureRecord<'_, K, P>,
        queue_timeout: T,
    ) -> impl Future<Output = OwnedDeliveryResult>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
        T: Into<Timeout>;

    /// Like [`FutureProducer::send_result`], which does not wait for a full queue, in a span named
    /// `send {topic}`.
    ///
    /// The span ends when the returned future is ready. If that is dropped before, the span ends with
    /// it and without an outcome, because a message may be sent without waiting for the result.
    ///
    /// # Errors
    ///
    /// Those of `send_result`, with the record that could not be put into the queue.
    #[expect(clippy::result_large_err, reason = "the error of `rdkafka`")]
    fn send_result_traced<'a, K, P>(
        &self,
        record: FutureRecord<'a, K, P>,
    ) -> Result<TracedDelivery, (KafkaError, FutureRecord<'a, K, P>)>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized;
}

impl<C, R> FutureProducerExt for FutureProducer<C, R>
where
    C: ClientContext + 'static,
    R: AsyncRuntime,
{
    async fn send_traced<K, P, T>(&self, mut record: FutureRecord<'_, K, P>, queue_timeout: T) -> OwnedDeliveryResult
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
        T: Into<Timeout>,
    {
        let span = sending(record.topic, record.partition, record.key, record.payload, &mut record.headers);
        let chosen = assigned(record.partition);
        span.run_async(self.send(record, queue_timeout), move |result| delivered(result, chosen)).await
    }

    fn send_result_traced<'a, K, P>(
        &self,
        mut record: FutureRecord<'a, K, P>,
    ) -> Result<TracedDelivery, (KafkaError, FutureRecord<'a, K, P>)>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let mut span = sending(record.topic, record.partition, record.key, record.payload, &mut record.headers);
        let chosen = assigned(record.partition);
        match self.send_result(record) {
            Ok(delivery) => Ok(TracedDelivery { delivery, span, chosen }),
            Err((error, record)) => {
                span.end(|| failed(&error));
                Err((error, record))
            }
        }
    }
}

/// The future of [`FutureProducerExt::send_result_traced`]: a [`DeliveryFuture`] whose result is
/// written on the span.
#[must_use = "to send without waiting for the result, drop it"]
pub struct TracedDelivery {
    delivery: DeliveryFuture,
    span: Span,
    chosen: Option<i32>,
}

impl Future for TracedDelivery {
    type Output = <DeliveryFuture as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> task::Poll<Self::Output> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.delivery).poll(cx);
        if let task::Poll::Ready(result) = &polled {
            this.span.end(|| match result {
                Ok(result) => delivered(result, this.chosen),
                Err(canceled) => Outcome::exception("Canceled", canceled),
            });
        }
        polled
    }
}

impl Drop for TracedDelivery {
    fn drop(&mut self) {
        self.span.end(Outcome::ok);
    }
}

impl fmt::Debug for TracedDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedDelivery").finish_non_exhaustive()
    }
}

/// `BaseProducer::send` and `ThreadedProducer::send` in a producer span.
pub trait ProducerExt: sealed::Sealed {
    /// What the producer's context gets with each delivery.
    type Opaque: IntoOpaque;

    /// Like `send`, in a span named `send {topic}`, with the context in the headers of the record.
    ///
    /// The span tells whether the message was put into the queue. Whether it was delivered is told to
    /// the producer's context only, later and elsewhere.
    ///
    /// # Errors
    ///
    /// Those of `send`, with the record that could not be put into the queue. It has the headers of
    /// this attempt; sending it again replaces them.
    #[expect(clippy::result_large_err, clippy::type_complexity, reason = "the signature of `rdkafka`")]
    fn send_traced<'a, K, P>(
        &self,
        record: BaseRecord<'a, K, P, Self::Opaque>,
    ) -> Result<(), (KafkaError, BaseRecord<'a, K, P, Self::Opaque>)>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized;
}

macro_rules! producers {
    ($($producer:ident),*) => {$(
        impl<C, Part> ProducerExt for $producer<C, Part>
        where
            Part: Partitioner,
            C: ProducerContext<Part> + 'static,
        {
            type Opaque = C::DeliveryOpaque;

            #[expect(clippy::result_large_err, reason = "the error of `rdkafka`")]
            fn send_traced<'a, K, P>(
                &self,
                mut record: BaseRecord<'a, K, P, Self::Opaque>,
            ) -> Result<(), (KafkaError, BaseRecord<'a, K, P, Self::Opaque>)>
            where
                K: ToBytes + ?Sized,
                P: ToBytes + ?Sized,
            {
                let span = sending(record.topic, record.partition, record.key, record.payload, &mut record.headers);
                span.run(
                    || self.send(record),
                    |result| result.as_ref().err().map_or_else(Outcome::ok, |(error, _)| failed(error)),
                )
            }
        }

        impl<C, Part> sealed::Sealed for $producer<C, Part>
        where
            Part: Partitioner,
            C: ProducerContext<Part> + 'static,
        {
        }
    )*};
}

producers!(BaseProducer, ThreadedProducer);

impl<C: ClientContext + 'static, R: AsyncRuntime> sealed::Sealed for FutureProducer<C, R> {}

/// The traits here are for the producers of `rdkafka`, and may get more methods.
mod sealed {
    pub trait Sealed {}
}

/// The span of a record that is about to be sent. Its context is in the headers.
fn sending<K, P>(
    topic: &str,
    partition: Option<i32>,
    key: Option<&K>,
    payload: Option<&P>,
    headers: &mut Option<OwnedHeaders>,
) -> Span
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
{
    let span = Producer::new(SYSTEM, topic).start_with(|tags| {
        let partition = assigned(partition);
        let (key, payload) = (key.map(ToBytes::to_bytes), payload.map(ToBytes::to_bytes));
        content(partition, key, payload, |attribute| tags.own.push(attribute));
    });
    let context = span.context();
    let had_headers = headers.is_some();
    let injected = inject_context(&context, headers.take().unwrap_or_default());
    // A record without headers stays one if there is nothing to write.
    *headers = (had_headers || injected.count() > 0).then_some(injected);
    span
}

/// The partition, if it was chosen by the caller.
fn assigned(partition: Option<i32>) -> Option<i32> {
    partition.filter(|&partition| partition >= 0)
}

fn delivered(result: &OwnedDeliveryResult, chosen: Option<i32>) -> Outcome {
    match result {
        Ok(Delivered { partition, offset, .. }) => {
            let mut outcome = Outcome::ok();
            if chosen.is_none() && *partition >= 0 {
                outcome = outcome.attribute(PARTITION, partition.to_string());
            }
            // A broker that is not asked to acknowledge gives no offset.
            if *offset >= 0 {
                outcome = outcome.attribute(OFFSET, *offset);
            }
            outcome
        }
        Err((error, _)) => failed(error),
    }
}

fn failed(error: &KafkaError) -> Outcome {
    Outcome::exception(error_type(error), error)
}

/// Of low cardinality: the name of the code.
fn error_type(error: &KafkaError) -> Cow<'static, str> {
    match (error.rdkafka_error_code(), error) {
        (Some(code), _) => format!("{code:?}").into(),
        (None, KafkaError::Nul(_)) => "Nul".into(),
        (None, KafkaError::Canceled) => "Canceled".into(),
        (None, _) => "KafkaError".into(),
    }
}

// ---------------------------------------------------------------------------------------------
// In

/// A message together with what only its consumer knows. An [`Origin`], as the message is.
///
/// ```
/// use rdkafka::message::OwnedMessage;
/// use throughline::kafka::Delivery;
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
    /// `message`, and nothing besides.
    pub fn new(message: &'a M) -> Self {
        Self { message, group: None, client_id: None }
    }

    /// Adds the name of the consumer group: `messaging.consumer.group.name`.
    #[must_use]
    pub fn group(mut self, name: &'a str) -> Self {
        self.group = Some(name);
        self
    }

    /// Adds the consumer's `client.id`: `messaging.client.id`.
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
        Received::new(attributes, SYSTEM).destination(message.topic());
        content(assigned(Some(message.partition())), message.key(), message.payload(), |it| attributes.push(it));
        if message.offset() >= 0 {
            attributes.push(KeyValue::new(OFFSET, message.offset()));
        }
        let texts = [("messaging.consumer.group.name", self.group), ("messaging.client.id", self.client_id)];
        attributes.extend(texts.iter().filter_map(|(key, text)| Some(KeyValue::new(*key, text.as_ref()?.to_string()))));
    }

    fn is_message(&self) -> bool {
        true
    }
}

impl Origin for BorrowedMessage<'_> {
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

impl Origin for OwnedMessage {
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

impl Origin for BorrowedHeaders {
    fn origin(&self) -> Context {
        extract(self)
    }
}

impl Origin for OwnedHeaders {
    fn origin(&self) -> Context {
        extract(self)
    }
}

/// A header without a value is one with an empty value: no format allows that.
fn extract(headers: &impl Headers) -> Context {
    messaging::extract(read(headers).flatten().map(|header| (header.key, header.value.unwrap_or_default())))
}

/// The headers in their order; `None` for one that cannot be read. `rdkafka` panics if the name of a
/// header is not UTF-8, and other clients may well have written such a one.
fn read<H: Headers>(headers: &H) -> impl Iterator<Item = Option<Header<'_, &[u8]>>> {
    // Nothing is changed by the call that may panic.
    (0..headers.count()).map(|at| catch_unwind(AssertUnwindSafe(|| headers.try_get(at))).ok().flatten())
}

const PARTITION: &str = "messaging.destination.partition.id";
const OFFSET: &str = "messaging.kafka.offset";

/// What sent and received messages tell of their content.
fn content(partition: Option<i32>, key: Option<&[u8]>, payload: Option<&[u8]>, mut push: impl FnMut(KeyValue)) {
    if let Some(partition) = partition {
        push(KeyValue::new(PARTITION, partition.to_string()));
    }
    if let Some(key) = key.and_then(text_of_key) {
        push(KeyValue::new("messaging.kafka.message.key", key));
    }
    match payload {
        Some(payload) => {
            push(KeyValue::new("messaging.message.body.size", i64::try_from(payload.len()).unwrap_or(i64::MAX)));
        }
        None => push(KeyValue::new("messaging.kafka.message.tombstone", true)),
    }
}

/// The key, if it has "an unambiguous, canonical string form", as the conventions ask for. A number
/// in eight bytes is often UTF-8 by accident.
fn text_of_key(key: &[u8]) -> Option<String> {
    let key = std::str::from_utf8(key).ok()?;
    (!key.contains(needs_escape)).then(|| value::text(format_args!("{key}")))
}

#[cfg(test)]
mod tests;
