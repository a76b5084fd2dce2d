//! Values a trace can continue from: `parent = …`, `link = …`, `links = …`.

use std::rc::Rc;
use std::sync::Arc;

use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};

/// A value that carries the identity of a span: a context, a snapshot, a message.
///
/// A value without one, such as a message from a producer that is not traced, is never an error:
/// the span that names it as its parent becomes the entry span of a new trace.
///
/// A message type of your own says where its context is, what is known of it, and that it is a message:
///
/// ```
/// # #[cfg(feature = "propagation")] mod example {
/// use std::collections::HashMap;
/// use throughline::{Context, KeyValue, Origin, traced};
///
/// struct Message {
///     subject: String,
///     headers: HashMap<String, String>,
/// }
///
/// impl Origin for Message {
///     fn origin(&self) -> Context {
///         self.headers.origin()
///     }
///
///     fn describe(&self, attributes: &mut Vec<KeyValue>) {
///         attributes.push(KeyValue::new("messaging.system", "nats"));
///         attributes.push(KeyValue::new("messaging.operation.name", "process"));
///         attributes.push(KeyValue::new("messaging.operation.type", "process"));
///         attributes.push(KeyValue::new("messaging.destination.name", self.subject.clone()));
///     }
///
///     fn is_message(&self) -> bool {
///         true
///     }
/// }
///
/// #[traced("process orders", kind = consumer, parent = message)]
/// fn handle(message: &Message) {}
///
/// #[traced("process orders", kind = consumer, links = messages)]
/// fn handle_all(messages: &[Message]) {}
/// # }
/// ```
///
/// # For types of other crates
///
/// `M` is a marker, of which users need not know. It lets a crate implement the trait for a type of another
/// one, which Rust allows if one of the types named is its own: `throughline-kafka` has
/// `impl Origin<Kafka> for rdkafka::message::OwnedMessage`. Implement `Origin`, without a marker, for types of your
/// own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` carries no trace context",
    label = "not a parent or a link",
    note = "a span continues from a `Context`, a `SpanContext`, a `Snapshot`, a `Carrier`, a `Carried<T>` message, a map or list of headers, or a message of a client library whose integration crate is a dependency of this crate and used in it"
)]
pub trait Origin<M = ()> {
    /// The context to continue from: the span's identity, the baggage and the tags.
    fn origin(&self) -> Context;

    /// What is known of the origin besides, for example of which topic and partition a message is:
    /// attributes of the span that has it as its parent, or of the link to it. Nothing by default.
    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        let _ = attributes;
    }

    /// Whether this is a message, or what is left of one. It is not, by default.
    ///
    /// A span with `links = messages` counts them as `messaging.batch.message_count`, with and without
    /// a context. Of what they describe it has what is the same for all, among the attributes that the
    /// conventions give to a batch: `messaging.system`, `messaging.operation.*`,
    /// `messaging.destination.*`, `messaging.consumer.group.name`, `messaging.client.id`,
    /// `messaging.rocketmq.namespace`, `server.*`.
    fn is_message(&self) -> bool {
        false
    }
}

impl Origin for Context {
    fn origin(&self) -> Context {
        self.clone()
    }
}

impl Origin for SpanContext {
    fn origin(&self) -> Context {
        Context::new().with_remote_span_context(self.clone())
    }
}

impl<M, T: Origin<M>> Origin<M> for Option<T> {
    fn origin(&self) -> Context {
        self.as_ref().map(Origin::origin).unwrap_or_default()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        if let Some(origin) = self {
            origin.describe(attributes);
        }
    }

    fn is_message(&self) -> bool {
        self.as_ref().is_some_and(Origin::is_message)
    }
}

macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<M, T: Origin<M> + ?Sized> Origin<M> for $pointer {
            fn origin(&self) -> Context {
                (**self).origin()
            }

            fn describe(&self, attributes: &mut Vec<KeyValue>) {
                (**self).describe(attributes);
            }

            fn is_message(&self) -> bool {
                (**self).is_message()
            }
        }
    )*};
}

pointers!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);
