//! Distributed tracing through Kafka, for [`rdkafka`] 0.39: producers that inject their context into messages, and
//! consumers that continue the trace.
//!
//! The [crate's page](https://crates.io/crates/throughline-kafka) has a complete program and its dependencies.
//!
//! **Send** with [`FutureProducerExt::send_traced`], which is `send` in a producer span. The context is injected into
//! the headers of the record, so that the consumer continues the trace. [`ProducerExt`] does the same for
//! `BaseProducer` and `ThreadedProducer`. For other ways to send, inject the headers with [`inject`].
//!
//! **Receive** as before. A message, borrowed or owned, is an [`Origin`], and so are its headers. [`Delivery`] adds
//! what only the consumer knows: its group and client ID.
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
//! The attributes follow OpenTelemetry's semantic conventions for [messaging spans] and [Kafka].
//!
//! | attribute | sent | received | value |
//! |---|---|---|---|
//! | `messaging.system` | ✓ | ✓ | `kafka` |
//! | `messaging.operation.name`, `.type` | ✓ | ✓ | `send`; `process` |
//! | `messaging.destination.name` | ✓ | ✓ | the topic |
//! | `messaging.destination.partition.id` | ✓ | ✓ | as text; for a sent message, once it is known |
//! | `messaging.kafka.offset` | ✓ | ✓ | for a sent message, once it was delivered |
//! | `messaging.kafka.message.key` | ✓ | ✓ | a key that is text without control characters, bounded by [`MAX_TEXT_BYTES`] |
//! | `messaging.kafka.message.tombstone` | ✓ | ✓ | `true` for a message without payload |
//! | `messaging.message.body.size` | ✓ | ✓ | bytes of the payload |
//! | `messaging.consumer.group.name`, `messaging.client.id` | | ✓ | as given to [`Delivery`] |
//! | `throughline.messaging.dropped_headers` | ✓ | | names of the [headers](#headers) that did not fit |
//! | `error.type` | ✓ | | the name of librdkafka's error code, such as `MessageTimedOut` |
//!
//! Received attributes are on the span with `parent = message`, and on each link with `links = messages`. The span of
//! a batch has `messaging.batch.message_count` and, where they are the same for all messages, the system, the
//! operation, the destination, the group and the client ID.
//!
//! # Headers
//!
//! Existing trace headers, for example of a record that is sent again, are replaced; all other headers are kept, in
//! their order. If there is no context to inject, the headers are unchanged.
//!
//! In a received message, `traceparent` is invalid if it occurs more than once, has no value or is not UTF-8: the
//! consumer's span is then the root of a new trace. No content of a message causes an error. A header whose *name* is
//! not UTF-8 is skipped; `rdkafka` panics on it, and this crate catches the panic, which requires `panic = "unwind"`.
//! After 16 such headers, the others are not read.
//!
//! Headers count towards the producer's `message.max.bytes`: a `traceparent` takes some 70 bytes, and baggage up to 8 KiB
//! more. A record that exceeds the limit only because of them is sent without its baggage, or without all of them if
//! that is not enough: the consumer then starts a new trace. The span has `throughline.messaging.dropped_headers`, and a
//! warning is logged. This does not apply to the limits of brokers and topics, and not to [`inject`]: leave room for the
//! headers where messages are as large as the broker allows.
//!
//! # Cost
//!
//! Sending a message costs one span, and the strings of its headers. If the span is not recorded, no attribute is
//! computed, but the context is still propagated. Receiving a message costs one pass over its headers.
//!
//! [messaging spans]: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
//! [Kafka]: https://opentelemetry.io/docs/specs/semconv/messaging/kafka/
//! [`MAX_TEXT_BYTES`]: throughline::MAX_TEXT_BYTES
//! [`Origin`]: throughline::Origin
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attributes;
mod consumer;
mod headers;
mod limit;
mod producer;

pub use consumer::{Delivery, Kafka};
pub use headers::{inject, inject_context};
pub use producer::{DeliveryObserver, FutureProducerExt, InstrumentedDelivery, ProducerExt};

const SYSTEM: &str = "kafka";

#[cfg(test)]
mod tests;
