//! For `.ci/gate`: like `src/bare.rs`, for what Tokio has with `--cfg tokio_unstable` only.
#![allow(dead_code, reason = "the calls are linted, never made")]

use tokio::runtime::Handle;
use tokio::task::{Builder, JoinSet, LocalSet};

async fn job() {}
fn work() {}

fn tasks(handle: &Handle, local: &LocalSet) {
    let _ = Builder::new().spawn(job()); //~ tokio::task::Builder::spawn
    let _ = Builder::new().spawn_on(job(), handle); //~ tokio::task::Builder::spawn_on
    let _ = Builder::new().spawn_local(job()); //~ tokio::task::Builder::spawn_local
    let _ = Builder::new().spawn_local_on(job(), local); //~ tokio::task::Builder::spawn_local_on
    let _ = Builder::new().spawn_blocking(work); //~ tokio::task::Builder::spawn_blocking
    let _ = Builder::new().spawn_blocking_on(work, handle); //~ tokio::task::Builder::spawn_blocking_on
}

fn sets(mut set: JoinSet<()>, handle: &Handle, local: &LocalSet) {
    let _ = set.build_task().spawn(job()); //~ tokio::task::join_set::Builder::spawn
    let _ = set.build_task().spawn_on(job(), handle); //~ tokio::task::join_set::Builder::spawn_on
    let _ = set.build_task().spawn_local(job()); //~ tokio::task::join_set::Builder::spawn_local
    let _ = set.build_task().spawn_local_on(job(), local); //~ tokio::task::join_set::Builder::spawn_local_on
    let _ = set.build_task().spawn_blocking(work); //~ tokio::task::join_set::Builder::spawn_blocking
    let _ = set.build_task().spawn_blocking_on(work, handle); //~ tokio::task::join_set::Builder::spawn_blocking_on
}
