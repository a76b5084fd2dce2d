//! Tasks.

use tokio::runtime::{Handle, LocalRuntime, Runtime};
use tokio::task::{self, LocalSet};

use super::{job, work};

fn functions() {
    let _ = tokio::spawn(job()); //~ tokio::spawn
    let _ = task::spawn(job()); //~ tokio::spawn
    let _ = task::spawn_blocking(work); //~ tokio::task::spawn_blocking
    let _ = task::spawn_local(job()); //~ tokio::task::spawn_local
}

fn passed_on() {
    let futures = [job(), job()];
    let _ = futures.map(tokio::spawn); //~ tokio::spawn
}

fn methods(runtime: &Runtime, handle: &Handle, local: &LocalRuntime, set: &LocalSet) {
    let _ = handle.spawn(job()); //~ tokio::runtime::Handle::spawn
    let _ = handle.spawn_blocking(work); //~ tokio::runtime::Handle::spawn_blocking
    let _ = runtime.spawn(job()); //~ tokio::runtime::Runtime::spawn
    let _ = runtime.spawn_blocking(work); //~ tokio::runtime::Runtime::spawn_blocking
    let _ = local.spawn_local(job()); //~ tokio::runtime::LocalRuntime::spawn_local
    let _ = local.spawn_blocking(work); //~ tokio::runtime::LocalRuntime::spawn_blocking
    let _ = set.spawn_local(job()); //~ tokio::task::LocalSet::spawn_local
}
