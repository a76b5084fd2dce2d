//! Distributed traces through Kafka, for [`rdkafka`] 0.39: producers that send their context along, and messages from
//! which a trace continues.
//!
//! The [page of the crate](https://crates.io/crates/throughline-kafka) has a whole program, with its dependencies.
//!
//! **Send** by [`FutureProducerExt::send_traced`], which is `send` in a producer span. The context is in the headers
//! of the record, so that the consumer continues the trace. `BaseProducer` and `ThreadedProducer` have the same by
//! [`ProducerExt`]. To send in some other way, write the headers with [`inject`].
//!
//! **Receive** as you do: a message is an [`Origin`], borrowed or owned, and so are headers alone. [`Delivery`] adds
//! what only the consumer knows: its group and its client id.
//!
//! ```no_run
//! use rdkafka::consumer::{Consumer, StreamConsumer};
//! use rdkafka::error::KafkaResult;
//! use rdkafka::message::{BorrowedMessage, OwnedMessage};
//! use rdkafka::producer::{FutureProducer, FutureRecord};
//! use std::time::Duration;
//! use throughline::traced;
//! use throughline_kafka::{Delivery, FutureProducerExt as _};
//!
//! #[traced(kind = server, tags(order_no))]
//! async fn place(producer: &FutureProducer, order_no: &str) {
//!     let record = FutureRecord::to("orders").key(order_no).payload("two keyboards");
//!     if let Err((error, _record)) = producer.send_traced(record, Duration::from_secs(5)).await {
//!         eprintln!("{error}");
//!     }
//! }
//!
//! // One message: a child of the producer's span, linked to the consumer loop's, if that has one.
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
//! They follow OpenTelemetry's semantic conventions for [messaging spans] and [Kafka].
//!
//! | attribute | sent | received | value |
//! |---|---|---|---|
//! | `messaging.system` | ✓ | ✓ | `kafka` |
//! | `messaging.operation.name`, `.type` | ✓ | ✓ | `send`; `process` |
//! | `messaging.destination.name` | ✓ | ✓ | the topic |
//! | `messaging.destination.partition.id` | ✓ | ✓ | as text; of a sent message once it is known |
//! | `messaging.kafka.offset` | ✓ | ✓ | of a sent message when it was delivered |
//! | `messaging.kafka.message.key` | ✓ | ✓ | a key that is text without control characters, bounded by [`MAX_TEXT_BYTES`] |
//! | `messaging.kafka.message.tombstone` | ✓ | ✓ | `true` for a message without payload |
//! | `messaging.message.body.size` | ✓ | ✓ | bytes of the payload |
//! | `messaging.consumer.group.name`, `messaging.client.id` | | ✓ | as given to [`Delivery`] |
//! | `error.type` | ✓ | | the name of librdkafka's error code, such as `MessageTimedOut` |
//!
//! Received attributes are on the span with `parent = message`, and on each link with `links = messages`. The span of
//! a batch has `messaging.batch.message_count` and, where they are the same for all messages, the system, the
//! operation, the destination, the group and the client id.
//!
//! # Headers
//!
//! Trace headers that a record already has, because it is sent again for example, are replaced; all other headers are
//! kept, in their order. Without a context to write, the headers stay as they are. In a received message, two
//! `traceparent` headers, one without a value or one that is not UTF-8 are invalid: the consumer's span is then the
//! entry span of a new trace. Nothing in a message is an error. A header whose *name* is not UTF-8 is skipped;
//! `rdkafka` panics on it, which is caught, but only with `panic = "unwind"`.
//!
//! # Cost
//!
//! For each sent message there is one span, and the strings of its headers. Where nothing is recorded no attribute is
//! computed, and the context is still propagated. For each received message there is one pass over its headers.
//!
//! [messaging spans]: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
//! [Kafka]: https://opentelemetry.io/docs/specs/semconv/messaging/kafka/
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

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
use throughline::messaging::{self, Producer, Received, TraceHeaders};
use throughline::text::{ellipsize, needs_escape};
use throughline::{
    Context, Instrumented, KeyValue, MAX_TEXT_BYTES, Observe, Observer, Origin, Outcome, Span, current_context, semconv,
};

const SYSTEM: &str = "kafka";

/// The marker of [`Origin`] for the types of `rdkafka`. It is inferred, so `#[traced(parent = message)]` does not
/// mention it.
#[derive(Debug, Clone, Copy)]
pub enum Kafka {}

// ---------------------------------------------------------------------------------------------
// Out

/// Writes the current context into `headers`. See [Headers](crate#headers).
///
/// ```
/// use rdkafka::message::{Header, OwnedHeaders};
///
/// let headers = OwnedHeaders::new().insert(Header { key: "content-type", value: Some("text/plain") });
/// let headers = throughline::in_span("send", || throughline_kafka::inject(headers));
/// ```
#[must_use]
pub fn inject(headers: OwnedHeaders) -> OwnedHeaders {
    inject_context(&current_context(), headers)
}

/// Writes `context` into `headers`. See [Headers](crate#headers).
#[must_use]
pub fn inject_context(context: &Context, headers: OwnedHeaders) -> OwnedHeaders {
    let outgoing = TraceHeaders::of(context);
    if outgoing.is_empty() {
        return headers;
    }
    let mut headers = match without_replaced(&headers, &outgoing) {
        Kept::All => headers,
        Kept::Some(kept) => kept,
        // To copy the headers would lose those after the unreadable one.
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

/// The headers that are kept. `rdkafka` has no way to remove one.
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
    /// The span ends when the message is delivered, with its partition and offset, or with the error. The result is
    /// that of `send`.
    ///
    /// # Cancellation
    ///
    /// As with `send`: dropping the future while it waits for room in the queue sends nothing; dropping it later
    /// discards the result, and the message is sent nevertheless. Both end the span as `throughline.cancelled`.
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
    /// The span ends when the returned future is ready. Dropping that earlier ends the span without an outcome, and
    /// without `throughline.cancelled`: a message may be sent without waiting for the result.
    ///
    /// # Errors
    ///
    /// Those of `send_result`, with the record that could not be put into the queue.
    #[expect(clippy::result_large_err, reason = "the error of `rdkafka`")]
    fn send_result_traced<'a, K, P>(
        &self,
        record: FutureRecord<'a, K, P>,
    ) -> Result<InstrumentedDelivery, (KafkaError, FutureRecord<'a, K, P>)>
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
        let span = sending(producer(record.topic), record.partition, record.key, record.payload, &mut record.headers);
        let chosen = assigned(record.partition);
        span.run_async(self.send(record, queue_timeout), move |result| delivered(result, chosen)).await
    }

    fn send_result_traced<'a, K, P>(
        &self,
        mut record: FutureRecord<'a, K, P>,
    ) -> Result<InstrumentedDelivery, (KafkaError, FutureRecord<'a, K, P>)>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let producer = producer(record.topic).cancel_off();
        let mut span = sending(producer, record.partition, record.key, record.payload, &mut record.headers);
        let chosen = assigned(record.partition);
        match self.send_result(record) {
            Ok(delivery) => Ok(span.instrument(delivery, DeliveryObserver { chosen })),
            Err((error, record)) => {
                span.end(|| failed(&error));
                Err((error, record))
            }
        }
    }
}

/// The future of [`FutureProducerExt::send_result_traced`]: a [`DeliveryFuture`] whose result is recorded on the span.
///
/// To send without waiting for the result, drop it.
pub type InstrumentedDelivery = Instrumented<DeliveryFuture, DeliveryObserver>;

/// Records the result of a [`DeliveryFuture`].
#[derive(Debug)]
pub struct DeliveryObserver {
    chosen: Option<i32>,
}

impl Observer for DeliveryObserver {}

impl Observe<<DeliveryFuture as Future>::Output> for DeliveryObserver {
    type Output = <DeliveryFuture as Future>::Output;

    fn observe(&mut self, span: &mut Span, result: Self::Output) -> Self::Output {
        span.end(|| match &result {
            Ok(result) => delivered(result, self.chosen),
            Err(canceled) => Outcome::exception("Canceled", canceled),
        });
        result
    }
}

/// `BaseProducer::send` and `ThreadedProducer::send` in a producer span.
pub trait ProducerExt: sealed::Sealed {
    /// What the producer's context gets with each delivery.
    type Opaque: IntoOpaque;

    /// Like `send`, in a span named `send {topic}`, with the context in the headers of the record.
    ///
    /// The span records whether the message was put into the queue. Its delivery is reported to the producer's
    /// context, later, and not in the span.
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
                let producer = producer(record.topic);
                let span = sending(producer, record.partition, record.key, record.payload, &mut record.headers);
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

/// The traits are for the producers of `rdkafka` only, so that methods can be added.
mod sealed {
    pub trait Sealed {}
}

fn producer(topic: &str) -> Producer<'_> {
    Producer::new(SYSTEM, topic)
}

/// The span of a record that is about to be sent. Its context is in the headers.
fn sending<K, P>(
    producer: Producer<'_>,
    partition: Option<i32>,
    key: Option<&K>,
    payload: Option<&P>,
    headers: &mut Option<OwnedHeaders>,
) -> Span
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
{
    let span = producer.start_with(|tags| {
        let partition = assigned(partition);
        let (key, payload) = (key.map(ToBytes::to_bytes), payload.map(ToBytes::to_bytes));
        tags.extend(content(partition, key, payload));
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
                outcome = outcome.attribute(semconv::MESSAGING_DESTINATION_PARTITION_ID, partition.to_string());
            }
            outcome.attributes(known_offset(*offset))
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

/// A message, with what its consumer knows besides. An [`Origin`], as the message is.
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
    /// The message, without further attributes.
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

impl Origin<Kafka> for BorrowedHeaders {
    fn origin(&self) -> Context {
        extract(self)
    }
}

impl Origin<Kafka> for OwnedHeaders {
    fn origin(&self) -> Context {
        extract(self)
    }
}

/// A header without a value is one with an empty value: no format allows that.
fn extract(headers: &impl Headers) -> Context {
    messaging::extract(read(headers).flatten().map(|header| (header.key, header.value.unwrap_or_default())))
}

/// The headers in their order; `None` for one that cannot be read. `rdkafka` panics if the name of a header is not
/// UTF-8, which other clients may have written.
fn read<H: Headers>(headers: &H) -> impl Iterator<Item = Option<Header<'_, &[u8]>>> {
    // The call that may panic changes nothing.
    (0..headers.count()).map(|at| catch_unwind(AssertUnwindSafe(|| headers.try_get(at))).ok().flatten())
}

/// The attributes of the content of a message, sent or received.
fn content(partition: Option<i32>, key: Option<&[u8]>, payload: Option<&[u8]>) -> impl Iterator<Item = KeyValue> {
    let partition =
        partition.map(|partition| KeyValue::new(semconv::MESSAGING_DESTINATION_PARTITION_ID, partition.to_string()));
    let key = key.and_then(text_of_key).map(|key| KeyValue::new(semconv::MESSAGING_KAFKA_MESSAGE_KEY, key));
    let payload = match payload {
        Some(payload) => messaging::body_size(payload.len()),
        None => KeyValue::new(semconv::MESSAGING_KAFKA_MESSAGE_TOMBSTONE, true),
    };
    partition.into_iter().chain(key).chain([payload])
}

/// The offset, if there is one: a broker that does not acknowledge gives none.
fn known_offset(offset: i64) -> Option<KeyValue> {
    (offset >= 0).then(|| KeyValue::new(semconv::MESSAGING_KAFKA_OFFSET, offset))
}

/// The key, if it has "an unambiguous, canonical string form", as the conventions ask for. A number
/// in eight bytes is often UTF-8 by accident.
fn text_of_key(key: &[u8]) -> Option<String> {
    let key = std::str::from_utf8(key).ok()?;
    (!key.contains(needs_escape)).then(|| ellipsize(key, MAX_TEXT_BYTES).into_owned())
}

#[cfg(test)]
mod tests;
