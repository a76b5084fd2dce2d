//! Whether the task that is being spawned is a detached job, which brings its own context.

#[cfg(tokio_unstable)]
use std::cell::Cell;

#[cfg(tokio_unstable)]
thread_local! {
    static IS_SPAWNING: Cell<bool> = const { Cell::new(false) };
}

/// While it exists, the tasks that this thread spawns inherit nothing by automatic propagation.
pub(super) struct OwnTask(());

impl OwnTask {
    pub(super) fn begin() -> Self {
        #[cfg(tokio_unstable)]
        IS_SPAWNING.set(true);
        Self(())
    }
}

#[cfg(tokio_unstable)]
impl Drop for OwnTask {
    fn drop(&mut self) {
        IS_SPAWNING.set(false);
    }
}

#[cfg(tokio_unstable)]
pub(super) fn is_spawning() -> bool {
    IS_SPAWNING.get()
}
