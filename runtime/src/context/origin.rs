//! Values that can be the parent or the link of a span: `parent = …`, `link = …`, `links = …`.

use std::rc::Rc;
use std::sync::Arc;

use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};

/// A value that can be the parent of a span or the target of a link, such as a context, a snapshot or a message.
///
/// A value without a span context, such as a message from a producer that is not traced, is not an error: a span that
/// has it as its parent becomes the root of a new trace.
///
/// Implement the trait for your own message types, to define where the context is stored, which attributes describe
/// the message, and that it is a message:
///
/// ```
/// # #[cfg(feature = "propagation")] mod example {
/// use std::collections::HashMap;
/// use throughline::messaging::Received;
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
///         Received::new(attributes, "nats").destination(&self.subject);
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
/// # Implementing it for foreign types
///
/// `M` is a marker that callers never need to specify. It allows a crate to implement the trait for a type of another
/// crate, because the orphan rule only requires one of the types to be local: `throughline-kafka` has `impl
/// Origin<Kafka> for rdkafka::message::OwnedMessage`. For your own types, implement `Origin` without a marker.
#[diagnostic::on_unimplemented(
    message = "`{Self}` carries no trace context",
    label = "not a parent or a link",
    note = "a span continues from a `Context`, a `SpanContext`, a `Snapshot`, a `Carrier`, a `Carried<T>` message, a map or list of headers, or a message of a client library whose integration crate is a dependency of this crate and used in it"
)]
pub trait Origin<M = ()> {
    /// Returns the context to continue from: the span context, baggage and tags.
    fn origin(&self) -> Context;

    /// Adds attributes that describe the origin, such as the topic and partition of a message. They are set on the
    /// span that has this value as its parent, or on the link to it. Adds nothing by default.
    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        let _ = attributes;
    }

    /// Returns whether this is a message, or headers of one. Returns `false` by default.
    ///
    /// A span with `links = messages` records their number as `messaging.batch.message_count`, whether or not they
    /// carry a context. Of the attributes that describe the messages, the span has those that are the same for all
    /// messages and that the semantic conventions define for batches: `messaging.system`, `messaging.operation.*`,
    /// `messaging.destination.*`, `messaging.consumer.group.name`, `messaging.client.id`,
    /// `messaging.rocketmq.namespace`, `server.*`.
    #[cfg(feature = "propagation")]
    fn is_message(&self) -> bool {
        false
    }
}

/// A list of values that can be the targets of links, such as the messages of a batch.
///
/// Implemented for everything that can be iterated over and whose items implement [`Origin`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of values with a trace context",
    label = "not a list of contexts or messages",
    note = "for a link to a single one, use `link` in place of `links`",
    note = "a list has contexts, snapshots, carriers, `Carried<T>` messages, or messages of a client library whose integration crate is a dependency of this crate and used in it"
)]
pub trait Origins<M = ()> {
    /// Calls `see` with each value.
    fn each(self, see: impl FnMut(&dyn Origin<M>));
}

// Without its own message, the compiler would name `Iterator`, which most types need not implement.
#[diagnostic::do_not_recommend]
impl<M, I: IntoIterator<Item: Origin<M>>> Origins<M> for I {
    fn each(self, mut see: impl FnMut(&dyn Origin<M>)) {
        self.into_iter().for_each(|origin| see(&origin));
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

    #[cfg(feature = "propagation")]
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

            #[cfg(feature = "propagation")]
            fn is_message(&self) -> bool {
                (**self).is_message()
            }
        }
    )*};
}

pointers!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);
