//! A message with its context.

use opentelemetry::Context;

use crate::context::origin::Origin;
use crate::context::snapshot::Snapshot;

/// A message with the context it was made in, for channels and the mailboxes of actors.
///
/// It is only a value, so any channel takes it: Tokio's `mpsc`, `broadcast` and `watch`, crossbeam,
/// flume, the standard library's. Making and cloning it does not allocate for the context.
///
/// The receiver names it as the parent, and its span is then a child of the sender's:
///
/// ```
/// use throughline::{Carried, traced};
///
/// #[traced(kind = consumer, parent = message)]
/// fn handle(message: Carried<u32>) -> u32 {
///     message.into_inner() + 1
/// }
///
/// let (sender, receiver) = std::sync::mpsc::channel();
/// sender.send(Carried::new(41)).unwrap();
/// assert_eq!(handle(receiver.recv().unwrap()), 42);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Carried<T> {
    message: T,
    snapshot: Snapshot,
}

impl<T> Carried<T> {
    /// The message with the current context.
    pub fn new(message: T) -> Self {
        Self { message, snapshot: Snapshot::capture() }
    }

    /// The message alone.
    pub fn into_inner(self) -> T {
        self.message
    }

    /// The message and its context.
    pub fn into_parts(self) -> (T, Snapshot) {
        (self.message, self.snapshot)
    }

    /// The message's context.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Another message with the same context.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Carried<U> {
        Carried { message: f(self.message), snapshot: self.snapshot }
    }

    /// Handles the message with its context current.
    pub fn run<R>(self, handle: impl FnOnce(T) -> R) -> R {
        let _attached = self.snapshot.attach();
        handle(self.message)
    }
}

impl<T> std::ops::Deref for Carried<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.message
    }
}

impl<T> std::ops::DerefMut for Carried<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.message
    }
}

impl<T> Origin for Carried<T> {
    fn origin(&self) -> Context {
        self.snapshot.to_context()
    }
}
