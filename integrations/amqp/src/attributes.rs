//! The attributes that sent and received messages share.

use std::borrow::Cow;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray};
use throughline::{KeyValue, messaging, semconv};

/// The name of the destination, by the conventions: exchange, routing key and queue, without empty ones; if all are
/// empty, `amq.default`, for the default exchange.
pub(crate) fn destination<'a>(exchange: &'a str, routing_key: &'a str, queue: Option<&'a str>) -> Cow<'a, str> {
    let queue = queue.unwrap_or_default();
    let routing_key = if routing_key == queue { "" } else { routing_key };
    let mut name = Cow::Borrowed("");
    for part in [exchange, routing_key, queue].into_iter().filter(|part| !part.is_empty()) {
        name = if name.is_empty() { Cow::Borrowed(part) } else { format!("{name}:{part}").into() };
    }
    if name.is_empty() { Cow::Borrowed("amq.default") } else { name }
}

/// Whether the broker has generated the name of a queue. Such names have high cardinality: each client has its own.
pub(crate) fn is_temporary(queue: &str) -> bool {
    ["amq.gen-", "amq.rabbitmq.reply-to"].iter().any(|prefix| queue.starts_with(prefix))
}

/// The attributes of a queue whose name the broker has generated.
pub(crate) fn temporary_marks() -> [KeyValue; 2] {
    [semconv::MESSAGING_DESTINATION_TEMPORARY, semconv::MESSAGING_DESTINATION_ANONYMOUS]
        .map(|key| KeyValue::new(key, true))
}

/// The attributes of the content of a message, sent or received.
pub(crate) fn content(
    routing_key: &str,
    properties: &BasicProperties,
    payload: &[u8],
) -> impl Iterator<Item = KeyValue> {
    let routing_key = (!routing_key.is_empty())
        .then(|| KeyValue::new(semconv::MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY, routing_key.to_owned()));
    routing_key.into_iter().chain(ids(properties)).chain([messaging::body_size(payload.len())])
}

/// How often a message was rejected, and returned through a dead-letter exchange. To the broker, this is a new message,
/// which it does not mark as redelivered; it only counts in the header `x-death`.
pub(crate) fn rejections(properties: &BasicProperties) -> i64 {
    let deaths = properties.headers().as_ref().and_then(|headers| headers.inner().get("x-death")?.as_array());
    let count = |death: &AMQPValue| {
        let death = death.as_field_table()?.inner();
        let is_rejection = death.get("reason")?.as_long_string()?.as_bytes() == b"rejected";
        death.get("count")?.as_long_long_int().filter(|&count| is_rejection && count > 0)
    };
    deaths.into_iter().flat_map(FieldArray::as_slice).filter_map(count).fold(0, i64::saturating_add)
}

pub(crate) fn ids(properties: &BasicProperties) -> impl Iterator<Item = KeyValue> {
    let ids = [
        (semconv::MESSAGING_MESSAGE_ID, properties.message_id()),
        (semconv::MESSAGING_MESSAGE_CONVERSATION_ID, properties.correlation_id()),
    ];
    ids.into_iter().filter_map(|(key, id)| Some(KeyValue::new(key, id.as_ref()?.to_string())))
}
