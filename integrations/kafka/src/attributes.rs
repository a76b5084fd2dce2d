//! The attributes that sent and received messages share.

use throughline::text::{ellipsize, needs_escape};
use throughline::{KeyValue, MAX_TEXT_BYTES, messaging, semconv};

/// The partition, if it was chosen by the caller.
pub(crate) fn assigned(partition: Option<i32>) -> Option<i32> {
    partition.filter(|&partition| partition >= 0)
}

/// The attributes of the content of a message, sent or received.
pub(crate) fn content(
    partition: Option<i32>,
    key: Option<&[u8]>,
    payload: Option<&[u8]>,
) -> impl Iterator<Item = KeyValue> {
    let partition =
        partition.map(|partition| KeyValue::new(semconv::MESSAGING_DESTINATION_PARTITION_ID, partition.to_string()));
    let key = key.and_then(text_of_key).map(|key| KeyValue::new(semconv::MESSAGING_KAFKA_MESSAGE_KEY, key));
    let payload = match payload {
        Some(payload) => messaging::body_size(payload.len()),
        None => KeyValue::new(semconv::MESSAGING_KAFKA_MESSAGE_TOMBSTONE, true),
    };
    partition.into_iter().chain(key).chain([payload])
}

/// The offset, if there is one: without an acknowledgement, there is none.
pub(crate) fn known_offset(offset: i64) -> Option<KeyValue> {
    (offset >= 0).then(|| KeyValue::new(semconv::MESSAGING_KAFKA_OFFSET, offset))
}

/// The key, if it has "an unambiguous, canonical string form", as the conventions ask for. A number
/// in eight bytes is often UTF-8 by accident.
pub(crate) fn text_of_key(key: &[u8]) -> Option<String> {
    let key = std::str::from_utf8(key).ok()?;
    (!key.contains(needs_escape)).then(|| ellipsize(key, MAX_TEXT_BYTES).into_owned())
}
