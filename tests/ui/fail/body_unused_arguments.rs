//! An argument is unused if the body does not use it, with or without an attribute.

#![deny(unused)]

use throughline::{traced, traced_spawn};

#[traced]
fn plain(no: u64) {}

#[traced]
async fn later(no: u64) {}

#[traced]
fn mutable(mut no: u64) -> u64 {
    no
}

#[traced]
async fn mutable_later(mut no: u64) -> u64 {
    no
}

#[traced]
fn pattern((one, two): (u64, u64)) -> u64 {
    one
}

#[traced]
fn reference(text: &str) {}

#[traced_spawn]
async fn job(no: u64) {}

fn main() {
    plain(1);
    drop(later(1));
    mutable(1);
    drop(mutable_later(1));
    pattern((1, 2));
    reference("1");
    let _handle = job(1);
}
