//! Lets a test's capture observe the jobs that are started in its context.

use std::sync::Arc;

use opentelemetry::Context;

use crate::context::current;
use crate::context::extensions::ContextExt;

/// Is notified of every job that is started in its context.
pub(crate) trait Watcher: Send + Sync + 'static {
    /// A job was spawned.
    fn started(&self);

    /// A job has completed, panicked or was dropped.
    fn ended(&self);
}

/// The context extension that holds the watcher.
struct Watch(Arc<dyn Watcher>);

/// Returns `context` with `watcher` for the jobs that are spawned in it.
pub(crate) fn watch(context: &Context, watcher: Arc<dyn Watcher>) -> Context {
    context.with_extension(Watch(watcher))
}

/// Notifies the watcher of the end of a job when dropped.
pub(super) struct Watched(Arc<Watch>);

impl Watched {
    /// Notifies the watcher of a job that is being spawned. `None` if there is no watcher.
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
