//! What all messaging transports share: the semantic conventions for messaging spans.

use opentelemetry::trace::SpanKind;
use opentelemetry::{KeyValue, Value};

use crate::callsite::Callsite;
use crate::span::{Opening, Span};
use crate::tags::Tags;

static PRODUCER: Callsite = Callsite::transport("send", SpanKind::Producer);

/// The span of one message on its way out, named `{operation} {destination}`. The context to
/// inject is [`Span::context`]: it is right also where nothing is recorded.
///
/// `more` gives the attributes that only this transport has, and is not called if nothing is
/// recorded.
pub(super) fn producer(
    system: &'static str,
    operation: &'static str,
    destination: &str,
    more: impl FnOnce(&mut Tags),
) -> Span {
    let mut opening = Opening::new(&PRODUCER);
    opening.name(format!("{operation} {destination}").into());
    opening.start(|tags| {
        tags.attribute("messaging.system", system);
        tags.attribute("messaging.operation.name", operation);
        tags.attribute("messaging.operation.type", "send");
        tags.attribute("messaging.destination.name", destination.to_owned());
        more(tags);
    })
}

/// What a received message tells of itself. For `Origin::describe`: on the consumer's span with
/// `parent = message`, on the link with `links = messages`.
pub(super) struct Received<'a>(&'a mut Vec<KeyValue>);

impl<'a> Received<'a> {
    pub(super) fn new(attributes: &'a mut Vec<KeyValue>, system: &'static str, destination: &str) -> Self {
        let mut this = Self(attributes);
        this.set("messaging.system", system);
        this.set("messaging.operation.name", "process");
        this.set("messaging.operation.type", "process");
        this.set("messaging.destination.name", destination.to_owned());
        this
    }

    pub(super) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.push(KeyValue::new(key, value));
    }

    /// Marks a message that was delivered before.
    pub(super) fn redelivered(&mut self) {
        self.set("messaging.message.redelivered", true);
    }
}
