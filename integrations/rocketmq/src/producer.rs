//! Sending in a producer span.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use rocketmq_client_rust::{
    ClientError, ClientResult, DefaultMQProducer, LocalTransactionState, SendResult, SendStatus, TransactionSendResult,
};
use rocketmq_model::common::message::MessageTrait;
use throughline::messaging::Producer;
use throughline::{Outcome, Snapshot, Span, Tags, semconv};

use crate::SYSTEM;
use crate::attributes::{describe_message, is_queued_at_once};
use crate::properties::{inject_context, inject_into_all};

/// Sends messages with a [`DefaultMQProducer`] in producer spans, and injects their context into the messages.
///
/// The span starts when the future is first polled, as a child of the span that is current then. If the future is
/// dropped before it completes, the span is marked `throughline.cancelled`, and the message may be sent nevertheless.
///
/// For the other send methods and producers of the client, use [`send`] and [`send_batch`].
pub trait ProducerExt {
    /// Sends a message like [`DefaultMQProducer::send`], in a span named `send {topic}` that ends with the broker's
    /// response.
    ///
    /// # Errors
    ///
    /// Returns the error of the client, unchanged.
    fn send_traced<M>(&self, message: M) -> impl Future<Output = ClientResult<Option<SendResult>>> + Send
    where
        M: MessageTrait + Send + Sync;

    /// Sends a message like [`DefaultMQProducer::send_oneway`], in a span that ends when the message has been passed to
    /// the connection.
    ///
    /// # Errors
    ///
    /// Returns the error of the client, unchanged.
    fn send_oneway_traced<M>(&self, message: M) -> impl Future<Output = ClientResult<()>> + Send
    where
        M: MessageTrait + Send + Sync;

    /// Sends a message like [`DefaultMQProducer::send_with_callback`], in a span that ends when the client calls
    /// `callback`. The callback runs in the context of the caller of this method.
    ///
    /// # Errors
    ///
    /// Returns the error of the client, unchanged.
    fn send_with_callback_traced<M, F>(&self, message: M, callback: F) -> impl Future<Output = ClientResult<()>> + Send
    where
        M: MessageTrait + Send + Sync,
        F: Fn(Option<&SendResult>, Option<&ClientError>) + Send + Sync + 'static;

    /// Sends a batch like [`DefaultMQProducer::send_batch`], in one span, whose context is injected into each message.
    ///
    /// # Errors
    ///
    /// Returns the error of the client, unchanged.
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
        let has_offset = span.is_recording() && is_queued_at_once(&message, false);
        let (caller, inside) = (Snapshot::capture(), Snapshot::from_context(&span.context()));
        let span = Mutex::new(span);
        let callback = move |result: Option<&SendResult>, error: Option<&ClientError>| {
            let finish = |span: &mut Span| span.end(|| error.map_or_else(|| sent_one(result, has_offset), failed));
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

/// Sends a message with any method of the client, in a producer span. `send` is called with the message, into which the
/// context has been injected.
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
/// The span ends when the future returned by `send` completes. With a callback, that would be when the message is
/// submitted; use [`ProducerExt::send_with_callback_traced`] instead.
///
/// # Errors
///
/// Returns the error of the client, unchanged.
pub async fn send<M, S, F, R>(message: M, send: S) -> ClientResult<R>
where
    M: MessageTrait,
    S: FnOnce(M) -> F,
    F: Future<Output = ClientResult<R>>,
    R: Sent,
{
    send_from(None, message, send).await
}

/// Sends a batch with any method of the client, in one producer span. `send` is called with the messages, into each of
/// which the context has been injected. If there are no messages, no span is started.
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
/// Returns the error of the client, unchanged.
pub async fn send_batch<M, S, F, R>(messages: Vec<M>, send: S) -> ClientResult<R>
where
    M: MessageTrait,
    S: FnOnce(Vec<M>) -> F,
    F: Future<Output = ClientResult<R>>,
    R: Sent,
{
    send_batch_from(None, messages, send).await
}

/// A result of the client's send methods, with or without a response from the broker.
///
/// This trait is sealed. It is implemented for `()`, [`SendResult`], `Option<SendResult>`, [`TransactionSendResult`]
/// and the reply to a request.
pub trait Sent: sealed::Sent {}

impl<T: sealed::Sent> Sent for T {}

mod sealed {
    use super::{LocalTransactionState, MessageTrait, SendResult, TransactionSendResult};

    pub trait Sent {
        /// Whether what was sent is a transactional message.
        const TRANSACTION: bool = false;

        fn result(&self) -> Option<&SendResult> {
            None
        }

        /// The result of the local transaction.
        fn transaction(&self) -> Option<LocalTransactionState> {
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

        fn transaction(&self) -> Option<LocalTransactionState> {
            self.local_transaction_state
        }
    }

    /// The reply to a request.
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
    let has_offset = span.is_recording() && is_queued_at_once(&message, R::TRANSACTION);
    let one = |result: &ClientResult<R>| match result {
        Ok(answer) => ended(sent_one(answer.result(), has_offset), answer.transaction()),
        Err(error) => failed(error),
    };
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
    // The client rejects a batch with several topics, and an empty one.
    let span = messages.first().map_or(Span::none(), |first| {
        Producer::new(SYSTEM, first.topic()).start_with(|tags| {
            tags.attribute(semconv::MESSAGING_BATCH_MESSAGE_COUNT, i64::try_from(messages.len()).unwrap_or(i64::MAX));
            describe_producer(producer, tags);
        })
    });
    inject_into_all(&span.context(), &mut messages);
    let batch = |result: &ClientResult<R>| result.as_ref().map_or_else(failed, |answer| sent(answer.result()));
    span.run_async(on_the_heap(messages, send), batch).await
}

/// Boxes the client's future, whose some 33 KiB are too much to be moved into ours. `send` is called at the first poll,
/// in the span: the client may use the current context as soon as it is called.
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
    let mut namespaces = [&config.namespace, &config.namespace_v2].into_iter().flatten();
    if let Some(namespace) = namespaces.find(|namespace| !namespace.is_empty()) {
        tags.attribute(semconv::MESSAGING_ROCKETMQ_NAMESPACE, namespace.to_string());
    }
}

fn failed(error: &ClientError) -> Outcome {
    Outcome::exception(error.descriptor().code().as_str(), error)
}

/// The broker's response to one message. `has_offset`: whether its offset is in a queue of the message's topic.
fn sent_one(result: Option<&SendResult>, has_offset: bool) -> Outcome {
    let outcome = sent(result);
    let Some(result) = result else { return outcome };
    let outcome = match &result.msg_id {
        Some(id) if !id.is_empty() => outcome.attribute(semconv::MESSAGING_MESSAGE_ID, id.to_string()),
        _ => outcome,
    };
    match result.message_queue {
        Some(_) if has_offset => outcome.attribute(
            semconv::THROUGHLINE_ROCKETMQ_QUEUE_OFFSET,
            i64::try_from(result.queue_offset).unwrap_or(i64::MAX),
        ),
        _ => outcome,
    }
}

/// The outcome of a transactional message, with the state of the local transaction. A rollback by the application is
/// not an error.
fn ended(outcome: Outcome, transaction: Option<LocalTransactionState>) -> Outcome {
    let state = match transaction {
        Some(LocalTransactionState::CommitMessage) => "commit",
        Some(LocalTransactionState::RollbackMessage) => "rollback",
        Some(LocalTransactionState::Unknown) => "unknown",
        None => return outcome,
    };
    outcome.attribute(semconv::THROUGHLINE_ROCKETMQ_TRANSACTION_STATE, state)
}

/// The broker's response to any number of messages.
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
