//! The attributes of a span that processes a batch of messages.

use opentelemetry::KeyValue;

use crate::semconv;

/// What the messages have in common so far.
#[derive(Default)]
pub(super) struct Batch {
    messages: i64,
    /// The attributes that all of them have.
    shared: Vec<KeyValue>,
}

impl Batch {
    /// Adds a message with these attributes.
    pub(super) fn add(&mut self, described: &[KeyValue]) {
        if self.messages == 0 {
            self.shared.extend(described.iter().filter(|it| is_of_batch(it.key.as_str())).cloned());
        } else {
            self.shared.retain(|attribute| described.contains(attribute));
        }
        self.messages += 1;
    }

    /// Adds the attributes of the batch, if there was a message.
    pub(super) fn describe(mut self, attributes: &mut Vec<KeyValue>) {
        if self.messages > 0 {
            attributes.push(KeyValue::new(semconv::MESSAGING_BATCH_MESSAGE_COUNT, self.messages));
            attributes.append(&mut self.shared);
        }
    }
}

/// Whether the messaging conventions define this attribute for a batch span if it is the same for all messages.
fn is_of_batch(key: &str) -> bool {
    const SHARED: [&str; 6] = ["system", "operation.", "destination.", "consumer.", "client.", "rocketmq.namespace"];
    key.strip_prefix("messaging.").is_some_and(|key| SHARED.iter().any(|start| key.starts_with(start)))
        || key.starts_with("server.")
}
