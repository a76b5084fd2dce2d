use std::fmt::Debug;

use throughline::{biz_tags, traced, traced_spawn};

#[traced(tags(text = text.len()))]
fn argument(text: str) -> usize {
    text.len()
}

#[traced]
fn returned(no: u64) -> dyn Debug {
    no
}

#[biz_tags(no)]
async fn list(no: u64) -> [u64] {
    [no]
}

#[traced]
fn last(no: u64) -> (u64, dyn Debug) {
    (no, no)
}

#[traced_spawn]
async fn job(list: [u64]) {}

fn main() {}
