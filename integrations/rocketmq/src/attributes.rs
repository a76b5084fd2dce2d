//! The attributes that sent and received messages share.

use opentelemetry::{Array, StringValue};
use rocketmq_model::common::message::{MessageConst, MessageTrait};
use throughline::text::ellipsize;
use throughline::{MAX_TEXT_BYTES, Value, messaging, semconv};

/// The maximum number of keys that are recorded.
const MAX_KEYS: usize = 32;

/// The attributes of the content of a message, sent or received.
pub(crate) fn describe_message(
    message: &dyn MessageTrait,
    transaction: bool,
    set: &mut dyn FnMut(&'static str, Value),
) {
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

/// Truncates a property, which may have 32 KiB in each of the messages of a batch.
pub(crate) fn bounded(text: &str) -> String {
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

/// Whether the broker puts the message into a queue of its topic at once. A delayed or transactional message is first
/// in an internal topic of the broker, and the response has its offset there.
pub(crate) fn is_queued_at_once(message: &dyn MessageTrait, transaction: bool) -> bool {
    matches!(kind(message, transaction), "normal" | "fifo")
}

fn property<'m>(message: &'m dyn MessageTrait, name: &str) -> Option<&'m str> {
    message.get_properties().get(name).map(|value| -> &str { value }).filter(|value| !value.is_empty())
}

fn positive(message: &dyn MessageTrait, name: &str) -> Option<i64> {
    property(message, name)?.parse().ok().filter(|number| *number > 0)
}
