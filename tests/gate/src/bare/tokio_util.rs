//! Trackers and pools.

use tokio::runtime::Handle;
use tokio::task::LocalSet;
use tokio_util::task::{LocalPoolHandle, TaskTracker};

use super::{job, work};

fn trackers(tracker: &TaskTracker, handle: &Handle, local: &LocalSet) {
    let _ = tracker.spawn(job()); //~ tokio_util::task::TaskTracker::spawn
    let _ = tracker.spawn_on(job(), handle); //~ tokio_util::task::TaskTracker::spawn_on
    let _ = tracker.spawn_local(job()); //~ tokio_util::task::TaskTracker::spawn_local
    let _ = tracker.spawn_local_on(job(), local); //~ tokio_util::task::TaskTracker::spawn_local_on
    let _ = tracker.spawn_blocking(work); //~ tokio_util::task::TaskTracker::spawn_blocking
    let _ = tracker.spawn_blocking_on(work, handle); //~ tokio_util::task::TaskTracker::spawn_blocking_on
}

fn pools(pool: &LocalPoolHandle) {
    let _ = pool.spawn_pinned(job); //~ tokio_util::task::LocalPoolHandle::spawn_pinned
    let _ = pool.spawn_pinned_by_idx(job, 0); //~ tokio_util::task::LocalPoolHandle::spawn_pinned_by_idx
}
