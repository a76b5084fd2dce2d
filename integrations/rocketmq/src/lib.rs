//! Distributed tracing through RocketMQ, for [`rocketmq_client_rust`] 1.0: producers that inject their context into
//! messages, and consumers that continue the trace.
//!
//! The [crate's page](https://crates.io/crates/throughline-rocketmq) has a complete program and its dependencies.
//!
//! ```no_run
//! use rocketmq_client_rust::{ClientResult, ConsumeConcurrentlyContext, ConsumeConcurrentlyStatus, DefaultMQProducer};
//! use rocketmq_model::common::message::{message_ext::MessageExt, message_single::Message};
//! use throughline::traced;
//! use throughline_rocketmq::{Delivery, ProducerExt as _};
//!
//! #[traced]
//! async fn place_order(producer: &DefaultMQProducer) -> ClientResult<()> {
//!     let order = Message::builder().topic("orders").tags("new").body_slice(b"1001").build_unchecked();
//!     producer.send_traced(order).await?;
//!     Ok(())
//! }
//!
//! // On the other side, in the listener or the poll loop:
//! #[traced("process orders", kind = consumer, parent = Delivery::new(message).group("billing"))]
//! fn bill(message: &MessageExt) {}
//!
//! // `parent = message` works too, without the group. A batch is linked to its messages:
//! #[traced("process orders", kind = consumer, links = messages)]
//! fn bill_all(messages: &[&MessageExt]) {}
//!
//! // The client calls a listener where no span is current.
//! fn listener(messages: &[&MessageExt], _: &ConsumeConcurrentlyContext) -> ClientResult<ConsumeConcurrentlyStatus> {
//!     messages.iter().for_each(|message| bill(message));
//!     Ok(ConsumeConcurrentlyStatus::ConsumeSuccess)
//! }
//! ```
//!
//! # Propagation
//!
//! The context is injected into the properties of the message, by default `traceparent`, `tracestate` and `baggage`. If
//! a message is forwarded, they replace those of the previous context; all other properties are kept. The broker stores
//! properties with the message, so the context survives delays, redelivery and the dead-letter queue. RocketMQ limits
//! the properties of a message to 32,767 bytes in total, names included; 1,024 of them are left to the client and the
//! broker. What does not fit is not injected, so that the message is sent as it would be without a trace: the span has
//! `throughline.messaging.dropped_headers`, and a warning is logged.
//!
//! If a message has no context, because its producer is not traced, the consumer's span is the root of a new trace.
//! This is never an error.
//!
//! # Attributes
//!
//! The attributes follow OpenTelemetry's semantic conventions for [messaging spans] and [RocketMQ].
//!
//! | attribute | producer | consumer, or link of a batch |
//! |---|---|---|
//! | `messaging.system` | `rocketmq` | `rocketmq` |
//! | `messaging.operation.name`, `.type` | `send` | `process` |
//! | `messaging.destination.name` | the topic | the topic; of a redelivered message, the one it was sent to |
//! | `messaging.destination.partition.id` | the queue's number, once sent | the queue's number |
//! | `messaging.message.id` | once sent | the ID that the producer got |
//! | `messaging.message.body.size` | bytes, before compression | bytes, decompressed |
//! | `messaging.batch.message_count` | of a batch | on the span that has the links |
//! | `messaging.consumer.group.name` | | [`Delivery::group`] |
//! | `messaging.rocketmq.namespace` | if the producer has one | [`Delivery::namespace`] |
//! | `messaging.rocketmq.message.tag`, `.keys` | if set | if set |
//! | `messaging.rocketmq.message.type` | `normal`, `fifo`, `delay`, `transaction` | the same, but never `delay`: the broker removes the properties that show it |
//! | `messaging.rocketmq.message.group` | the sharding key | the sharding key |
//! | `messaging.rocketmq.message.delay_time_level`, `.delivery_timestamp` | if set | removed by the broker |
//! | `throughline.rocketmq.queue_offset` | once sent, unless it is delayed or transactional | always |
//! | `throughline.rocketmq.send_status` | if it is not `SEND_OK` | |
//! | `throughline.rocketmq.transaction_state` | of a transactional message: `commit`, `rollback` or `unknown` | |
//! | `throughline.messaging.dropped_headers` | names of the properties of the context that did not fit | |
//! | `throughline.messaging.redelivered`, `throughline.rocketmq.reconsume_times` | | from the second delivery on |
//! | `error.type` | the client's error code, such as `transport.connection.failed` | |
//!
//! Text from a message is truncated to [`MAX_TEXT_BYTES`], and at most 32 keys are recorded. The span of a batch has
//! only the attributes that are the same for all of its messages: on the consumer's side, the system, the operation,
//! the destination, the queue number, the group and the namespace.
//!
//! # Errors, cancellation, cost
//!
//! Results and errors of the client are returned unchanged; an error is recorded on the span with an `exception` event.
//! As in the client, a message that the broker accepted with a status other than `SEND_OK` is not an error, and neither
//! is a transactional message that was rolled back; it is never delivered. If its state is `unknown`, the broker asks the
//! producer later. The client calls the transaction listener where no span is current: to trace what it does, pass it a
//! [`Snapshot`](throughline::Snapshot) as the argument of the transaction. A send that
//! is dropped before it completes marks its span `throughline.cancelled`; the message may be sent nevertheless. Retries
//! by the client are covered by the same span.
//!
//! If the span is not recorded, no attribute is computed, but the context is still propagated. The client's future is
//! boxed, which costs one allocation per send.
//!
//! [messaging spans]: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
//! [RocketMQ]: https://opentelemetry.io/docs/specs/semconv/messaging/rocketmq/
//! [`MAX_TEXT_BYTES`]: throughline::MAX_TEXT_BYTES
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attributes;
mod consumer;
mod producer;
mod properties;

pub use consumer::{Delivery, RocketMq};
pub use producer::{ProducerExt, Sent, send, send_batch};
pub use properties::{inject, inject_context};

const SYSTEM: &str = "rocketmq";
