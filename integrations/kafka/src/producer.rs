//! Sending in a producer span.

use std::borrow::Cow;
use std::future::Future;

use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, OwnedHeaders, ToBytes};
use rdkafka::producer::future_producer::{Delivery as Delivered, OwnedDeliveryResult};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryFuture, FutureProducer, FutureRecord, Partitioner, ProducerContext,
    ThreadedProducer,
};
use rdkafka::util::{AsyncRuntime, IntoOpaque, Timeout};
use throughline::messaging::Producer;
use throughline::{Instrumented, Observe, Observer, Outcome, Span, current_context, semconv};

use crate::SYSTEM;
use crate::attributes::{assigned, content, known_offset};
use crate::headers::inject_context;
use crate::limit::within_limit;

/// Sends messages with a [`FutureProducer`] in producer spans.
///
/// With [`send_traced`](Self::send_traced), the span starts when the future is first polled, as a child of the span
/// that is current then; with [`send_result_traced`](Self::send_result_traced), when the method is called.
pub trait FutureProducerExt: sealed::Sealed {
    /// Sends a record like [`FutureProducer::send`], in a span named `send {topic}`, and injects the context into the
    /// headers of the record.
    ///
    /// The span ends when the message is delivered, and records its partition and offset, or the error. The result is
    /// that of `send`.
    ///
    /// # Cancel safety
    ///
    /// As with `send`, nothing is sent if the future is dropped while it waits for room in the queue. If it is dropped
    /// later, the message is sent and only the result is lost. In both cases, the span is marked
    /// `throughline.cancelled`.
    ///
    /// # Errors
    ///
    /// Returns the error of `send`, with the message. The message has the trace headers of this attempt, unless it is
    /// too large; sending it again replaces them.
    fn send_traced<K, P, T>(
        &self,
        record: FutureRecord<'_, K, P>,
        queue_timeout: T,
    ) -> impl Future<Output = OwnedDeliveryResult>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
        T: Into<Timeout>;

    /// Sends a record like [`FutureProducer::send_result`], which does not wait if the queue is full, in a span named
    /// `send {topic}`.
    ///
    /// The span ends when the returned future completes. To send without waiting for the result, drop the future: the
    /// span then ends without an outcome, and is not marked `throughline.cancelled`.
    ///
    /// # Errors
    ///
    /// Returns the error of `send_result`, with the record that could not be queued.
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
    #[expect(clippy::result_large_err, reason = "the error of `rdkafka`")]
    async fn send_traced<K, P, T>(&self, mut record: FutureRecord<'_, K, P>, queue_timeout: T) -> OwnedDeliveryResult
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
        T: Into<Timeout>,
    {
        let span = sending(producer(record.topic), record.partition, record.key, record.payload, &mut record.headers);
        let chosen = assigned(record.partition);
        let sent = async move {
            match within_limit(current_context, record, |record| self.send_result(record)) {
                Ok(delivery) => delivery.await.expect("the producer outlives this future"),
                // `send` waits for room in the queue, and returns an owned message with its error.
                Err((_, record)) => self.send(record, queue_timeout).await,
            }
        };
        span.run_async(sent, move |result| delivered(result, chosen)).await
    }

    #[expect(clippy::result_large_err, reason = "the error of `rdkafka`")]
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
        match within_limit(|| span.context(), record, |record| self.send_result(record)) {
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
/// Dropping it does not cancel the delivery.
pub type InstrumentedDelivery = Instrumented<DeliveryFuture, DeliveryObserver>;

/// Records the result of a [`DeliveryFuture`] on the span of an [`InstrumentedDelivery`].
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

/// Sends messages with a [`BaseProducer`] or [`ThreadedProducer`] in producer spans.
pub trait ProducerExt: sealed::Sealed {
    /// The delivery opaque of the producer's context.
    type Opaque: IntoOpaque;

    /// Sends a record like the producer's `send`, in a span named `send {topic}`, and injects the context into the
    /// headers of the record.
    ///
    /// The span records whether the message was queued. Its delivery is reported to the producer's context later, and
    /// not recorded on the span.
    ///
    /// # Errors
    ///
    /// Returns the error of `send`, with the record that could not be queued. The record has the trace headers of this
    /// attempt, unless it is too large; sending it again replaces them.
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
                    || within_limit(current_context, record, |record| self.send(record)),
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

/// Seals the traits, so that methods can be added.
mod sealed {
    pub trait Sealed {}
}

pub(crate) fn producer(topic: &str) -> Producer<'_> {
    Producer::new(SYSTEM, topic)
}

/// The span of a record that is about to be sent. Its context is in the headers.
pub(crate) fn sending<K, P>(
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

/// The name of the error code, which has low cardinality.
pub(crate) fn error_type(error: &KafkaError) -> Cow<'static, str> {
    match (error.rdkafka_error_code(), error) {
        (Some(code), _) => format!("{code:?}").into(),
        (None, KafkaError::Nul(_)) => "Nul".into(),
        (None, KafkaError::Canceled) => "Canceled".into(),
        (None, _) => "KafkaError".into(),
    }
}
