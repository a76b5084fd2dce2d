//! A message bundled with its trace context.

use std::future::Future;

use opentelemetry::Context;

use crate::context::origin::Origin;
use crate::context::snapshot::Snapshot;
use crate::span::handle::Span;
use crate::span::instrumented::{Instrumented, NoObserver};

/// A message together with the context that was current when it was created, for channels and actor mailboxes.
///
/// This is a plain value, so it works with any channel: Tokio's `mpsc`, `broadcast` and `watch`, crossbeam, flume,
/// and the standard library's. Creating and cloning it does not allocate for the context.
///
/// The receiver uses the message as its parent, which makes its span a child of the sender's:
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
    /// Bundles `message` with the current context.
    pub fn new(message: T) -> Self {
        Self { message, snapshot: Snapshot::capture() }
    }

    /// Returns the message and discards the context.
    pub fn into_inner(self) -> T {
        self.message
    }

    /// Splits into the message and its context.
    pub fn into_parts(self) -> (T, Snapshot) {
        (self.message, self.snapshot)
    }

    /// Returns the context of the message.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Converts the message and keeps its context.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Carried<U> {
        Carried { message: f(self.message), snapshot: self.snapshot }
    }

    /// Calls `handle` with the message, while its context is current.
    pub fn run<R>(self, handle: impl FnOnce(T) -> R) -> R {
        let _attached = self.snapshot.attach();
        handle(self.message)
    }

    /// Calls `handle` with the message and runs the future it returns, while the context of the message is current.
    pub fn run_async<F: Future>(self, handle: impl FnOnce(T) -> F) -> Instrumented<F> {
        let (message, snapshot) = self.into_parts();
        Span::within(snapshot.to_context()).instrument_with(|| handle(message), NoObserver)
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
