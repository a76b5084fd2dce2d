//! actix-web and its runtime.

use actix_rt::{Arbiter, ArbiterHandle, Runtime};

use super::{job, work};

fn tasks(runtime: &Runtime, arbiter: &Arbiter, handle: &ArbiterHandle) {
    let _ = actix_rt::spawn(job()); //~ actix_rt::spawn
    let _ = runtime.spawn(job()); //~ actix_rt::Runtime::spawn
    let _ = arbiter.spawn(job()); //~ actix_rt::Arbiter::spawn
    let _ = arbiter.spawn_fn(work); //~ actix_rt::Arbiter::spawn_fn
    let _ = handle.spawn(job()); //~ actix_rt::ArbiterHandle::spawn
    let _ = handle.spawn_fn(work); //~ actix_rt::ArbiterHandle::spawn_fn
    let _ = actix_web::web::block(work); //~ actix_web::web::block
}
