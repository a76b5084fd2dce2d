//! Distributed traces through RocketMQ, for [`rocketmq_client_rust`] 1.0: producers that send their context along,
//! and messages from which a trace continues.
//!
//! The [page of the crate](https://crates.io/crates/throughline-rocketmq) has a whole program, with its dependencies.
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
//! The context is written into the properties of the message, by default `traceparent`, `tracestate` and `baggage`.
//! In a message that is forwarded they replace those of the previous context; all other properties are kept. The
//! broker stores properties with the message, so the context survives delay, redelivery and the dead-letter queue.
//! All properties of a message together have 32,767 bytes at most, names included.
//!
//! A message without a context, from a producer that is not traced, makes the consumer's span the entry span of a new
//! trace. It is never an error.
//!
//! # Attributes
//!
//! They follow OpenTelemetry's semantic conventions for [messaging spans] and [RocketMQ].
//!
//! | attribute | producer | consumer, or link of a batch |
//! |---|---|---|
//! | `messaging.system` | `rocketmq` | `rocketmq` |
//! | `messaging.operation.name`, `.type` | `send` | `process` |
//! | `messaging.destination.name` | the topic | the topic; of a redelivered message, the one it was sent to |
//! | `messaging.destination.partition.id` | the queue's number, once sent | the queue's number |
//! | `messaging.message.id` | once sent | the id that the producer got |
//! | `messaging.message.body.size` | bytes, before compression | bytes, decompressed |
//! | `messaging.batch.message_count` | of a batch | on the span that has the links |
//! | `messaging.consumer.group.name` | | [`Delivery::group`] |
//! | `messaging.rocketmq.namespace` | if the producer has one | [`Delivery::namespace`] |
//! | `messaging.rocketmq.message.tag`, `.keys` | if set | if set |
//! | `messaging.rocketmq.message.type` | `normal`, `fifo`, `delay`, `transaction` | the same |
//! | `messaging.rocketmq.message.group` | the sharding key | the sharding key |
//! | `messaging.rocketmq.message.delay_time_level`, `.delivery_timestamp` | if set | if set |
//! | `throughline.rocketmq.queue_offset` | once sent | always |
//! | `throughline.rocketmq.send_status` | if it is not `SEND_OK` | |
//! | `throughline.messaging.redelivered`, `throughline.rocketmq.reconsume_times` | | from the second delivery on |
//! | `error.type` | the client's error code, such as `transport.connection.failed` | |
//!
//! Texts of a message are bounded by [`MAX_TEXT_BYTES`], and there are at most 32 keys. The span of a batch has only
//! what is the same for all its messages: on the consumer's side the system, the operation, the destination, the
//! queue's number, the group and the namespace.
//!
//! # Errors, cancellation, cost
//!
//! Results and errors of the client are returned unchanged; an error is recorded on the span with an `exception`
//! event. A message that the broker has accepted with another status than `SEND_OK` is not an error, as it is not for
//! the client. A send that is dropped before it is ready ends its span with `throughline.cancelled`; the message may be
//! sent nevertheless. The client's retries are within the one span.
//!
//! Where nothing is recorded no attribute is computed, and the context is still propagated. The client's future is
//! boxed, which is one allocation for each send.
//!
//! [messaging spans]: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
//! [RocketMQ]: https://opentelemetry.io/docs/specs/semconv/messaging/rocketmq/
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use opentelemetry::propagation::Extractor;
use opentelemetry::{Array, StringValue};
use rocketmq_client_rust::{
    ClientError, ClientResult, DefaultMQProducer, SendResult, SendStatus, TransactionSendResult,
};
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_model::common::message::message_single::Message;
use rocketmq_model::common::message::{MessageConst, MessageTrait};
use rocketmq_model::common::mix_all::RETRY_GROUP_TOPIC_PREFIX;
use rocketmq_model::common::sys_flag::message_sys_flag::MessageSysFlag;
use throughline::messaging::{Producer, Received, TraceHeaders};
use throughline::text::ellipsize;
use throughline::{
    Context, KeyValue, MAX_TEXT_BYTES, Origin, Outcome, Snapshot, Span, Tags, Value, current_context, messaging,
    propagation, semconv,
};

const SYSTEM: &str = "rocketmq";

/// The marker of [`Origin`] for the types of the client. It is inferred, so `#[traced(parent = message)]` does not
/// mention it.
#[derive(Debug, Clone, Copy)]
pub enum RocketMq {}

/// More values than this of one property are of no use to any format.
const MAX_VALUES: usize = 64;

/// More keys than this are not recorded.
const MAX_KEYS: usize = 32;

// ---------------------------------------------------------------------------------------------
// Sending

/// The ways to send of [`DefaultMQProducer`], in a producer span whose context is in the message.
///
/// For the client's other ways to send, and its other producers, there are [`send`] and [`send_batch`].
pub trait ProducerExt {
    /// [`DefaultMQProducer::send`], in a span named `send {topic}`, which ends with the broker's answer.
    ///
    /// # Errors
    ///
    /// Those of the client.
    fn send_traced<M>(&self, message: M) -> impl Future<Output = ClientResult<Option<SendResult>>> + Send
    where
        M: MessageTrait + Send + Sync;

    /// [`DefaultMQProducer::send_oneway`], in a span that ends when the message is handed to the connection.
    ///
    /// # Errors
    ///
    /// Those of the client.
    fn send_oneway_traced<M>(&self, message: M) -> impl Future<Output = ClientResult<()>> + Send
    where
        M: MessageTrait + Send + Sync;

    /// [`DefaultMQProducer::send_with_callback`], in a span that ends when the client calls back. The callback runs
    /// in the context of the caller of this method.
    ///
    /// # Errors
    ///
    /// Those of the client.
    fn send_with_callback_traced<M, F>(&self, message: M, callback: F) -> impl Future<Output = ClientResult<()>> + Send
    where
        M: MessageTrait + Send + Sync,
        F: Fn(Option<&SendResult>, Option<&ClientError>) + Send + Sync + 'static;

    /// [`DefaultMQProducer::send_batch`], in one span, whose context is in each of the messages.
    ///
    /// # Errors
    ///
    /// Those of the client.
    fn send_batch_traced<M>(&self, messages: Vec<M>) -> impl Future<Output = ClientResult<SendResult>> + Send
    where
        M: MessageTrait + Send + Sync;
}

impl ProducerExt for DefaultMQProducer {
    async fn send_traced<M>(&self, message: M) -> ClientResult<Option<SendResult>>
    where
        M: MessageTrait + Send + Sync,
    {
        send_from(Some(self), message, |message| self.send(message)).await
    }

    async fn send_oneway_traced<M>(&self, message: M) -> ClientResult<()>
    where
        M: MessageTrait + Send + Sync,
    {
        send_from(Some(self), message, |message| self.send_oneway(message)).await
    }

    async fn send_with_callback_traced<M, F>(&self, mut message: M, callback: F) -> ClientResult<()>
    where
        M: MessageTrait + Send + Sync,
        F: Fn(Option<&SendResult>, Option<&ClientError>) + Send + Sync + 'static,
    {
        let span = outgoing(Some(self), &mut message, false);
        let (caller, inside) = (Snapshot::capture(), Snapshot::of(&span.context()));
        let span = Mutex::new(span);
        let callback = move |result: Option<&SendResult>, error: Option<&ClientError>| {
            let finish = |span: &mut Span| span.end(|| error.map_or_else(|| sent_one(result), failed));
            finish(&mut span.lock().unwrap_or_else(PoisonError::into_inner));
            caller.run(|| callback(result, error));
        };
        inside.run_async(Box::pin(self.send_with_callback(message, callback))).await
    }

    async fn send_batch_traced<M>(&self, messages: Vec<M>) -> ClientResult<SendResult>
    where
        M: MessageTrait + Send + Sync,
    {
        send_batch_from(Some(self), messages, |messages| self.send_batch(messages)).await
    }
}

/// Sends a message in any of the client's ways, in a producer span: `send` gets the message with the context in it.
///
/// ```no_run
/// # use rocketmq_client_rust::*;
/// # use rocketmq_model::common::message::{message_queue::MessageQueue, message_single::Message};
/// # async fn example(producer: &DefaultMQProducer, message: Message, queue: MessageQueue) -> ClientResult<()> {
///
/// throughline_rocketmq::send(message, |message| producer.send_to_queue_with_timeout(message, queue, 3000)).await?;
/// # Ok(())
/// # }
/// # async fn transaction(producer: &TransactionMQProducer, message: Message) -> ClientResult<()> {
/// throughline_rocketmq::send(message, |message| producer.send_message_in_transaction(message, None::<()>)).await?;
/// # Ok(())
/// # }
/// ```
///
/// The span ends with the future that `send` returns. With a callback that is when the message is submitted; use
/// [`ProducerExt::send_with_callback_traced`] there.
///
/// # Errors
///
/// Those of the client.
pub async fn send<M, S, F, R>(message: M, send: S) -> ClientResult<R>
where
    M: MessageTrait,
    S: FnOnce(M) -> F,
    F: Future<Output = ClientResult<R>>,
    R: Sent,
{
    send_from(None, message, send).await
}

/// Sends a batch in any of the client's ways, in one producer span: `send` gets the messages with the context in
/// each of them. Without messages there is no span.
///
/// ```no_run
/// # use rocketmq_client_rust::*;
/// # use rocketmq_model::common::message::message_single::Message;
/// # async fn example(producer: &DefaultMQProducer, messages: Vec<Message>) -> ClientResult<()> {
/// throughline_rocketmq::send_batch(messages, |messages| producer.send_batch_with_timeout(messages, 3000)).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Those of the client.
pub async fn send_batch<M, S, F, R>(messages: Vec<M>, send: S) -> ClientResult<R>
where
    M: MessageTrait,
    S: FnOnce(Vec<M>) -> F,
    F: Future<Output = ClientResult<R>>,
    R: Sent,
{
    send_batch_from(None, messages, send).await
}

/// Writes the current context into the properties of a message, for code that starts its own spans. See
/// [Propagation](crate#propagation).
pub fn inject<M: MessageTrait>(message: &mut M) {
    inject_context(&current_context(), message);
}

/// Writes `context` into the properties of a message. See [Propagation](crate#propagation).
pub fn inject_context<M: MessageTrait>(context: &Context, message: &mut M) {
    let trace = TraceHeaders::of(context);
    let replaced = message.get_properties().keys().filter(|name| trace.replaces(name));
    for name in replaced.cloned().collect::<Vec<_>>() {
        message.clear_property(&name);
    }
    for (name, value) in trace {
        message.put_property(name.into(), value.into());
    }
}

/// What the client's ways to send return, with and without an answer of the broker. Implemented for `()`,
/// [`SendResult`], `Option<SendResult>`, [`TransactionSendResult`] and the reply to a request.
pub trait Sent: sealed::Sent {}

impl<T: sealed::Sent> Sent for T {}

mod sealed {
    use super::{MessageTrait, SendResult, TransactionSendResult};

    pub trait Sent {
        /// Whether what was sent is a transactional message.
        const TRANSACTION: bool = false;

        fn result(&self) -> Option<&SendResult> {
            None
        }
    }

    impl Sent for () {}

    impl Sent for SendResult {
        fn result(&self) -> Option<&SendResult> {
            Some(self)
        }
    }

    impl Sent for Option<SendResult> {
        fn result(&self) -> Option<&SendResult> {
            self.as_ref()
        }
    }

    impl Sent for TransactionSendResult {
        const TRANSACTION: bool = true;

        fn result(&self) -> Option<&SendResult> {
            self.send_result.as_ref()
        }
    }

    /// The answer to a request.
    impl Sent for Box<dyn MessageTrait + Send> {}
}

async fn send_from<M, S, F, R>(producer: Option<&DefaultMQProducer>, mut message: M, send: S) -> ClientResult<R>
where
    M: MessageTrait,
    S: FnOnce(M) -> F,
    F: Future<Output = ClientResult<R>>,
    R: Sent,
{
    let span = outgoing(producer, &mut message, R::TRANSACTION);
    let one = |result: &ClientResult<R>| result.as_ref().map_or_else(failed, |answer| sent_one(answer.result()));
    span.run_async(on_the_heap(message, send), one).await
}

async fn send_batch_from<M, S, F, R>(
    producer: Option<&DefaultMQProducer>,
    mut messages: Vec<M>,
    send: S,
) -> ClientResult<R>
where
    M: MessageTrait,
    S: FnOnce(Vec<M>) -> F,
    F: Future<Output = ClientResult<R>>,
    R: Sent,
{
    // The client refuses a batch of several topics, and one of none.
    let span = messages.first().map_or(Span::none(), |first| {
        Producer::new(SYSTEM, first.topic()).start_with(|tags| {
            tags.attribute(semconv::MESSAGING_BATCH_MESSAGE_COUNT, i64::try_from(messages.len()).unwrap_or(i64::MAX));
            describe_producer(producer, tags);
        })
    });
    let context = span.context();
    for message in &mut messages {
        inject_context(&context, message);
    }
    let batch = |result: &ClientResult<R>| result.as_ref().map_or_else(failed, |answer| sent(answer.result()));
    span.run_async(on_the_heap(messages, send), batch).await
}

/// The client's futures have some 33 KiB, which is too much to be moved into ours. `send` is called at the first
/// poll, in the span: the client's code may use the current context when it is called.
fn on_the_heap<M, F: Future>(message: M, send: impl FnOnce(M) -> F) -> Pin<Box<impl Future<Output = F::Output>>> {
    Box::pin(async move { send(message).await })
}

/// The span of one message, whose context is in the message.
fn outgoing<M: MessageTrait>(producer: Option<&DefaultMQProducer>, message: &mut M, transaction: bool) -> Span {
    let span = Producer::new(SYSTEM, message.topic()).start_with(|tags| {
        describe_message(message, transaction, &mut |key, value| tags.attribute(key, value));
        describe_producer(producer, tags);
    });
    inject_context(&span.context(), message);
    span
}

fn describe_producer(producer: Option<&DefaultMQProducer>, tags: &mut Tags) {
    let Some(producer) = producer else { return };
    let config = producer.client_config_snapshot();
    let namespace = config.namespace.as_ref().or(config.namespace_v2.as_ref());
    if let Some(namespace) = namespace.filter(|namespace| !namespace.is_empty()) {
        tags.attribute(semconv::MESSAGING_ROCKETMQ_NAMESPACE, namespace.to_string());
    }
}

fn failed(error: &ClientError) -> Outcome {
    Outcome::exception(error.descriptor().code().as_str(), error)
}

/// The broker's answer to one message.
fn sent_one(result: Option<&SendResult>) -> Outcome {
    let outcome = sent(result);
    let Some(result) = result else { return outcome };
    let outcome = match &result.msg_id {
        Some(id) if !id.is_empty() => outcome.attribute(semconv::MESSAGING_MESSAGE_ID, id.to_string()),
        _ => outcome,
    };
    match result.message_queue {
        Some(_) => outcome.attribute(
            semconv::THROUGHLINE_ROCKETMQ_QUEUE_OFFSET,
            i64::try_from(result.queue_offset).unwrap_or(i64::MAX),
        ),
        None => outcome,
    }
}

/// The broker's answer to any number of messages.
fn sent(result: Option<&SendResult>) -> Outcome {
    let mut outcome = Outcome::ok();
    let Some(result) = result else { return outcome };
    if let Some(queue) = &result.message_queue {
        outcome = outcome.attribute(semconv::MESSAGING_DESTINATION_PARTITION_ID, queue.queue_id().to_string());
    }
    if result.send_status != SendStatus::SendOk {
        outcome = outcome.attribute(semconv::THROUGHLINE_ROCKETMQ_SEND_STATUS, result.send_status.to_string());
    }
    outcome
}

// ---------------------------------------------------------------------------------------------
// Receiving

/// The properties of a received message as a carrier.
struct Properties<'a>(&'a Message);

impl Extractor for Properties<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.property(key).or_else(|| self.alike(key).next())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.properties().as_map().keys().map(|name| -> &str { name }).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        if let Some(value) = self.0.property(key) {
            return Some(vec![value]);
        }
        let values: Vec<_> = self.alike(key).take(MAX_VALUES).collect();
        (!values.is_empty()).then_some(values)
    }
}

impl<'a> Properties<'a> {
    /// The values whose names are the same without regard to case.
    fn alike(&self, key: &str) -> impl Iterator<Item = &'a str> {
        let properties = self.0.properties().as_map().iter();
        properties.filter(move |(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }
}

impl Origin<RocketMq> for Message {
    fn origin(&self) -> Context {
        propagation::extract(&Properties(self))
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        let mut received = Received::new(attributes, SYSTEM);
        received.destination(self.topic());
        if let Some(id) = self.property(MessageConst::PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX) {
            received.attribute(semconv::MESSAGING_MESSAGE_ID, bounded(id));
        }
        describe_message(self, false, &mut |key, value| {
            received.attribute(key, value);
        });
    }

    fn is_message(&self) -> bool {
        true
    }
}

impl Origin<RocketMq> for MessageExt {
    fn origin(&self) -> Context {
        self.message.origin()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        let message = &self.message;
        let topic = message.topic().as_str();
        // Redelivery uses a topic of the consumer group. Most consumers restore the original topic, but not all do.
        let sent_to = topic.starts_with(RETRY_GROUP_TOPIC_PREFIX).then(|| message.properties().retry_topic()).flatten();
        let mut received = Received::new(attributes, SYSTEM);
        received.destination(sent_to.unwrap_or(topic));
        // The other id, the position in the broker's log, is unknown to the producer, and changes with a redelivery.
        let id = message.property(MessageConst::PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX).unwrap_or(&self.msg_id);
        if !id.is_empty() {
            received.attribute(semconv::MESSAGING_MESSAGE_ID, bounded(id));
        }
        received.attribute(semconv::MESSAGING_DESTINATION_PARTITION_ID, self.queue_id.to_string());
        received.attribute(semconv::THROUGHLINE_ROCKETMQ_QUEUE_OFFSET, self.queue_offset);
        // The broker removes the property of a transactional message when it is committed.
        let transaction = MessageSysFlag::get_transaction_value(self.sys_flag) != MessageSysFlag::TRANSACTION_NOT_TYPE;
        describe_message(message, transaction, &mut |key, value| {
            received.attribute(key, value);
        });
        if self.reconsume_times > 0 {
            received.redelivered();
            received.attribute(semconv::THROUGHLINE_ROCKETMQ_RECONSUME_TIMES, i64::from(self.reconsume_times));
        }
    }

    fn is_message(&self) -> bool {
        true
    }
}

/// A received message, with what its consumer knows besides. An [`Origin`], as the message is.
///
/// ```
/// use rocketmq_model::common::message::message_ext::MessageExt;
/// use throughline_rocketmq::Delivery;
/// use throughline::traced;
///
/// #[traced(kind = consumer, parent = Delivery::new(message).group("billing"))]
/// fn bill(message: &MessageExt) {}
///
/// #[traced(kind = consumer, links = messages.iter().map(|message| Delivery::new(message).group("billing")))]
/// fn bill_all(messages: &[MessageExt]) {}
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    message: &'a MessageExt,
    group: Option<&'a str>,
    namespace: Option<&'a str>,
}

impl<'a> Delivery<'a> {
    /// The message, without further attributes.
    pub const fn new(message: &'a MessageExt) -> Self {
        Self { message, group: None, namespace: None }
    }

    /// Sets the name of the consumer group: `messaging.consumer.group.name`.
    #[must_use]
    pub const fn group(mut self, name: &'a str) -> Self {
        self.group = Some(name);
        self
    }

    /// Sets the namespace of the topic and the group: `messaging.rocketmq.namespace`.
    #[must_use]
    pub const fn namespace(mut self, name: &'a str) -> Self {
        self.namespace = Some(name);
        self
    }
}

impl Origin for Delivery<'_> {
    fn origin(&self) -> Context {
        self.message.origin()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        self.message.describe(attributes);
        let mut set = |key, name: &str| attributes.push(KeyValue::new(key, name.to_owned()));
        if let Some(group) = self.group {
            set(semconv::MESSAGING_CONSUMER_GROUP_NAME, group);
        }
        if let Some(namespace) = self.namespace {
            set(semconv::MESSAGING_ROCKETMQ_NAMESPACE, namespace);
        }
    }

    fn is_message(&self) -> bool {
        true
    }
}

// ---------------------------------------------------------------------------------------------
// Both

/// The attributes of the content of a message, sent or received.
fn describe_message(message: &dyn MessageTrait, transaction: bool, set: &mut dyn FnMut(&'static str, Value)) {
    let size = messaging::body_size(message.get_body().map_or(0, |body| <[u8]>::len(body)));
    set(semconv::MESSAGING_MESSAGE_BODY_SIZE, size.value);
    set(semconv::MESSAGING_ROCKETMQ_MESSAGE_TYPE, kind(message, transaction).into());
    if let Some(tag) = property(message, MessageConst::PROPERTY_TAGS) {
        set(semconv::MESSAGING_ROCKETMQ_MESSAGE_TAG, bounded(tag).into());
    }
    let keys = property(message, MessageConst::PROPERTY_KEYS).unwrap_or_default();
    let keys = keys.split(MessageConst::KEY_SEPARATOR).filter(|key| !key.is_empty()).take(MAX_KEYS);
    let keys: Vec<StringValue> = keys.map(|key| bounded(key).into()).collect();
    if !keys.is_empty() {
        set(semconv::MESSAGING_ROCKETMQ_MESSAGE_KEYS, Value::Array(Array::String(keys)));
    }
    if let Some(group) = property(message, MessageConst::PROPERTY_SHARDING_KEY) {
        set(semconv::MESSAGING_ROCKETMQ_MESSAGE_GROUP, bounded(group).into());
    }
    if let Some(level) = positive(message, MessageConst::PROPERTY_DELAY_TIME_LEVEL) {
        set(semconv::MESSAGING_ROCKETMQ_MESSAGE_DELAY_TIME_LEVEL, level.into());
    }
    if let Some(timestamp) = positive(message, MessageConst::PROPERTY_TIMER_DELIVER_MS) {
        set(semconv::MESSAGING_ROCKETMQ_MESSAGE_DELIVERY_TIMESTAMP, timestamp.into());
    }
}

/// A property has up to 32 KiB, and a batch many messages.
fn bounded(text: &str) -> String {
    ellipsize(text, MAX_TEXT_BYTES).into_owned()
}

/// The type, as the broker derives it from the properties.
fn kind(message: &dyn MessageTrait, transaction: bool) -> &'static str {
    const DELAYS: [&str; 4] = [
        MessageConst::PROPERTY_DELAY_TIME_LEVEL,
        MessageConst::PROPERTY_TIMER_DELIVER_MS,
        MessageConst::PROPERTY_TIMER_DELAY_SEC,
        MessageConst::PROPERTY_TIMER_DELAY_MS,
    ];
    let prepared = property(message, MessageConst::PROPERTY_TRANSACTION_PREPARED);
    if transaction || prepared.is_some_and(|prepared| prepared.eq_ignore_ascii_case("true")) {
        "transaction"
    } else if DELAYS.into_iter().any(|name| positive(message, name).is_some()) {
        "delay"
    } else if property(message, MessageConst::PROPERTY_SHARDING_KEY).is_some() {
        "fifo"
    } else {
        "normal"
    }
}

fn property<'m>(message: &'m dyn MessageTrait, name: &str) -> Option<&'m str> {
    message.get_properties().get(name).map(|value| -> &str { value }).filter(|value| !value.is_empty())
}

fn positive(message: &dyn MessageTrait, name: &str) -> Option<i64> {
    property(message, name)?.parse().ok().filter(|number| *number > 0)
}
