//! Sets of tasks.

use tokio::runtime::Handle;
use tokio::task::{JoinSet, LocalSet};
use tokio_util::task::{JoinMap, JoinQueue};

use super::{job, work};

fn sets(mut set: JoinSet<()>, handle: &Handle, local: &LocalSet) {
    let _ = set.spawn(job()); //~ tokio::task::JoinSet::spawn
    let _ = set.spawn_on(job(), handle); //~ tokio::task::JoinSet::spawn_on
    let _ = set.spawn_local(job()); //~ tokio::task::JoinSet::spawn_local
    let _ = set.spawn_local_on(job(), local); //~ tokio::task::JoinSet::spawn_local_on
    let _ = set.spawn_blocking(work); //~ tokio::task::JoinSet::spawn_blocking
    let _ = set.spawn_blocking_on(work, handle); //~ tokio::task::JoinSet::spawn_blocking_on
}

fn maps(mut map: JoinMap<u8, ()>, handle: &Handle, local: &LocalSet) {
    map.spawn(1, job()); //~ tokio_util::task::JoinMap::spawn
    map.spawn_on(2, job(), handle); //~ tokio_util::task::JoinMap::spawn_on
    map.spawn_local(3, job()); //~ tokio_util::task::JoinMap::spawn_local
    map.spawn_local_on(4, job(), local); //~ tokio_util::task::JoinMap::spawn_local_on
    map.spawn_blocking(5, work); //~ tokio_util::task::JoinMap::spawn_blocking
    map.spawn_blocking_on(6, work, handle); //~ tokio_util::task::JoinMap::spawn_blocking_on
}

fn queues(mut queue: JoinQueue<()>, handle: &Handle) {
    let _ = queue.spawn(job()); //~ tokio_util::task::JoinQueue::spawn
    let _ = queue.spawn_on(job(), handle); //~ tokio_util::task::JoinQueue::spawn_on
    let _ = queue.spawn_local(job()); //~ tokio_util::task::JoinQueue::spawn_local
    let _ = queue.spawn_blocking(work); //~ tokio_util::task::JoinQueue::spawn_blocking
    let _ = queue.spawn_blocking_on(work, handle); //~ tokio_util::task::JoinQueue::spawn_blocking_on
}
