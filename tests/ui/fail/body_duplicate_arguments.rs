use throughline::{biz_tags, traced, traced_spawn};

#[traced]
fn plain(no: u64, no: u64) -> u64 {
    no
}

#[biz_tags(no)]
async fn later(no: u64, (no, other): (u64, u64)) -> u64 {
    no + other
}

#[traced_spawn]
async fn job((no, no): (u64, u64)) -> u64 {
    no
}

#[traced]
fn partial((no, _): (u64, u64), no: u64) -> u64 {
    no
}

fn main() {}
