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

/// Whether the name of a queue was generated, by the broker or by Spring AMQP, where an answer may have to be sent to.
/// Such names have high cardinality: each client has its own.
pub(crate) fn is_temporary(queue: &str) -> bool {
    ["amq.gen-", "amq.rabbitmq.reply-to", "spring.gen-"].iter().any(|prefix| queue.starts_with(prefix))
        || queue.rsplit_once(".anonymous.").is_some_and(|(_, id)| id.len() == 22 && id.bytes().all(is_base64))
        || is_uuid(queue)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

fn is_uuid(name: &str) -> bool {
    let groups = name.split('-').map(str::len);
    groups.eq([8, 4, 4, 4, 12]) && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
}

/// The attributes of a queue whose name was generated.
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
