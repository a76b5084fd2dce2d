//! Lints in the body are reported as they are without the attribute.

#![deny(unused)]

use throughline::{biz_tags, traced, traced_spawn};

#[traced]
fn unused_local() {
    let total = 1;
}

#[traced]
async fn unused_local_later() {
    let total = 1;
}

#[traced]
fn unused_mut() -> u64 {
    let mut total = 1;
    total
}

#[traced]
async fn unused_mut_later() -> u64 {
    let mut total = 1;
    total
}

#[traced]
fn unreachable_statement() -> u64 {
    return 1;
    std::thread::yield_now();
}

#[traced_spawn]
async fn unused_result() {
    failing();
}

#[biz_tags(no)]
fn unused_must_use(no: u64) {
    no + 1;
}

#[traced]
fn failing() -> Result<(), String> {
    Ok(())
}

#[traced]
fn never_called() {}

fn main() {
    unused_local();
    drop(unused_local_later());
    unused_mut();
    drop(unused_mut_later());
    unreachable_statement();
    let _handle = unused_result();
    unused_must_use(1);
}
