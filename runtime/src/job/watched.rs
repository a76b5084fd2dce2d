//! Who watches the jobs that are started in a context: a test's capture.

use std::sync::Arc;

use opentelemetry::Context;

use crate::context::current;
use crate::context::extensions::ContextExt;

/// Is told of every job that is started in its context.
pub(crate) trait Watcher: Send + Sync + 'static {
    /// A job was spawned.
    fn started(&self);

    /// A job has completed, panicked or was dropped.
    fn ended(&self);
}

/// The extension of a context that has the watcher.
struct Watch(Arc<dyn Watcher>);

/// `context`, with `watcher` for the jobs that are started in it.
pub(crate) fn watch(context: &Context, watcher: Arc<dyn Watcher>) -> Context {
    context.with_extension(Watch(watcher))
}

/// A job that is watched, until it is dropped.
pub(super) struct Watched(Arc<Watch>);

impl Watched {
    /// A job that is spawned now. `None` if nobody watches.
    pub(super) fn new() -> Option<Self> {
        let watch = current::with(ContextExt::extension::<Watch>)?;
        watch.0.started();
        Some(Self(watch))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.0.ended();
    }
}
