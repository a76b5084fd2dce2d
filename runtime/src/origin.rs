//! Values a trace can continue from: `parent = …`, `link = …`, `links = …`.

use std::rc::Rc;
use std::sync::Arc;

use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};

/// A value that carries the identity of a span: a context, a snapshot, a message.
///
/// A value without one, such as a message from a producer that is not traced, is never an error:
/// the span that names it as its parent becomes the entry span of a new trace.
#[diagnostic::on_unimplemented(
    message = "`{Self}` carries no trace context",
    label = "not a parent or a link",
    note = "a span continues from a `Context`, a `SpanContext`, a `Snapshot`, a `Carrier`, a `Carried<T>` message, a map or list of headers, or a message of a transport whose feature is on"
)]
pub trait Origin {
    /// The context to continue from: the span's identity, the baggage and the tags.
    fn origin(&self) -> Context;

    /// What is known of the origin besides, for example of which topic and partition a message is:
    /// attributes of the span that has it as its parent, or of the link to it. Nothing by default.
    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        let _ = attributes;
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

impl<T: Origin> Origin for Option<T> {
    fn origin(&self) -> Context {
        self.as_ref().map(Origin::origin).unwrap_or_default()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        if let Some(origin) = self {
            origin.describe(attributes);
        }
    }
}

macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<T: Origin + ?Sized> Origin for $pointer {
            fn origin(&self) -> Context {
                (**self).origin()
            }

            fn describe(&self, attributes: &mut Vec<KeyValue>) {
                (**self).describe(attributes);
            }
        }
    )*};
}

pointers!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);
