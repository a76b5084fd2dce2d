//! The context in the headers of a message.

use std::collections::BTreeMap;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use throughline::messaging::{self, TraceHeaders};
use throughline::{Context, Origin, current_context};

use crate::consumer::Amqp;

/// Injects the current context into the headers of `properties`, replacing the trace headers of another context. See
/// [Headers](crate#headers).
///
/// ```
/// use lapin::BasicProperties;
///
/// let properties = BasicProperties::default().with_message_id("o-1001".into());
/// let properties = throughline::in_span("publish", || throughline_amqp::inject(properties));
/// ```
#[must_use]
pub fn inject(properties: BasicProperties) -> BasicProperties {
    inject_context(&current_context(), properties)
}

/// Injects `context` into the headers of `properties`; otherwise like [`inject`].
#[must_use]
pub fn inject_context(context: &Context, properties: BasicProperties) -> BasicProperties {
    let outgoing = TraceHeaders::from_context(context);
    if outgoing.is_empty() {
        return properties;
    }
    let mut headers: BTreeMap<ShortString, AMQPValue> = properties
        .headers()
        .iter()
        .flatten()
        .filter(|(name, _)| !outgoing.replaces(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for (name, value) in outgoing {
        // `From` panics where this fails.
        if let Ok(name) = ShortString::try_new(name) {
            headers.insert(name, AMQPValue::LongString(value.into()));
        }
    }
    properties.with_headers(headers.into())
}

impl Origin<Amqp> for FieldTable {
    fn origin(&self) -> Context {
        messaging::extract(self.into_iter().map(|(name, value)| (name.as_str(), bytes(value))))
    }
}

/// A value that is not text becomes bytes that are not UTF-8, so that the header is invalid, and not absent.
fn bytes(value: &AMQPValue) -> &[u8] {
    match value {
        AMQPValue::LongString(text) => text.as_bytes(),
        AMQPValue::ShortString(text) => text.as_str().as_bytes(),
        _ => b"\xff",
    }
}
