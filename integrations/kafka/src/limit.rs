//! Records that are too large only because of their trace headers.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{OwnedHeaders, ToBytes};
use rdkafka::producer::{BaseRecord, FutureRecord};
use rdkafka::util::IntoOpaque;
use throughline::Context;
use throughline::messaging::{self, TraceHeaders};

use crate::SYSTEM;
use crate::headers::remove;

const TOO_LARGE: KafkaError = KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);

/// A record whose headers can be changed.
pub(crate) trait HasHeaders {
    fn headers(&mut self) -> &mut Option<OwnedHeaders>;
}

impl<K: ToBytes + ?Sized, P: ToBytes + ?Sized> HasHeaders for FutureRecord<'_, K, P> {
    fn headers(&mut self) -> &mut Option<OwnedHeaders> {
        &mut self.headers
    }
}

impl<K: ToBytes + ?Sized, P: ToBytes + ?Sized, D: IntoOpaque> HasHeaders for BaseRecord<'_, K, P, D> {
    fn headers(&mut self) -> &mut Option<OwnedHeaders> {
        &mut self.headers
    }
}

/// Queues a record with `send`. One that librdkafka refuses because it is larger than `message.max.bytes` is queued
/// without baggage, if that is enough, or else without any trace header of `context`.
pub(crate) fn within_limit<R: HasHeaders, T>(
    context: impl Fn() -> Context,
    record: R,
    send: impl Fn(R) -> Result<T, (KafkaError, R)>,
) -> Result<T, (KafkaError, R)> {
    let mut result = send(record);
    let mut dropped = Vec::new();
    for only_baggage in [true, false] {
        let Err((TOO_LARGE, mut record)) = result else { break };
        let trace = TraceHeaders::from_context(&context());
        let is_removed = |name: &str| trace.replaces(name) && (!only_baggage || name == "baggage");
        let removed = remove(record.headers(), is_removed);
        result = if removed.is_empty() { Err((TOO_LARGE, record)) } else { send(record) };
        dropped.extend(removed);
    }
    // A record for which there is no room in the queue is now small enough, and is queued later.
    if !matches!(result, Err((TOO_LARGE, _))) {
        messaging::report_dropped(&context(), SYSTEM, dropped);
    }
    result
}
