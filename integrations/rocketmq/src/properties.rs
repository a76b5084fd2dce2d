//! The context in the properties of a message.

use opentelemetry::propagation::Extractor;
use rocketmq_model::common::message::MessageTrait;
use rocketmq_model::common::message::message_single::Message;
use throughline::messaging::{self, TraceHeaders};
use throughline::{Context, current_context};

use crate::SYSTEM;

/// The maximum number of values read for one property; no format has a use for more.
const MAX_VALUES: usize = 64;

/// The limit on the properties of a message, in bytes, with names and separators. The broker rejects more.
const MAX_BYTES: usize = 32_767;

/// How many of these bytes are left to the client and the broker, which set the ID, the region and others.
const RESERVED_BYTES: usize = 1_024;

/// Injects the current context into the properties of a message, for code that starts its own spans. See
/// [Propagation](crate#propagation).
pub fn inject<M: MessageTrait>(message: &mut M) {
    inject_context(&current_context(), message);
}

/// Injects `context` into the properties of a message; otherwise like [`inject`].
pub fn inject_context<M: MessageTrait>(context: &Context, message: &mut M) {
    let mut dropped = Vec::new();
    write(context, message, &mut dropped);
    messaging::report_dropped(context, SYSTEM, dropped);
}

/// Injects `context` into each of several messages.
pub(crate) fn inject_into_all<M: MessageTrait>(context: &Context, messages: &mut [M]) {
    let mut dropped = Vec::new();
    for message in messages {
        write(context, message, &mut dropped);
    }
    messaging::report_dropped(context, SYSTEM, dropped);
}

/// Adds the names of the properties that do not fit to `dropped`, each once.
fn write<M: MessageTrait>(context: &Context, message: &mut M, dropped: &mut Vec<String>) {
    let trace = TraceHeaders::from_context(context);
    let replaced = message.get_properties().keys().filter(|name| trace.replaces(name));
    for name in replaced.cloned().collect::<Vec<_>>() {
        message.clear_property(&name);
    }
    let size = |name: &str, value: &str| name.len() + value.len() + 2;
    let used: usize = message.get_properties().iter().map(|(name, value)| size(name, value)).sum();
    let mut room = (MAX_BYTES - RESERVED_BYTES).saturating_sub(used);
    for (name, value) in trace {
        // Better to send a message without its context than to have it rejected.
        if let Some(rest) = room.checked_sub(size(&name, &value)) {
            room = rest;
            message.put_property(name.into(), value.into());
        } else if !dropped.contains(&name) {
            dropped.push(name);
        }
    }
}

/// The properties of a received message as a carrier.
pub(crate) struct Properties<'a>(pub(crate) &'a Message);

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
    /// The values of the properties that have this name in any case.
    fn alike(&self, key: &str) -> impl Iterator<Item = &'a str> {
        let properties = self.0.properties().as_map().iter();
        properties.filter(move |(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }
}
