//! Marks the spawning of detached jobs, which carry their own context, so that automatic propagation ignores them.

#[cfg(tokio_unstable)]
use std::cell::Cell;

#[cfg(tokio_unstable)]
thread_local! {
    static IS_SPAWNING: Cell<bool> = const { Cell::new(false) };
}

/// Until dropped, tasks that this thread spawns inherit nothing through automatic propagation.
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
