//! No crate of the name `throughline` is the runtime, and `crate = trace` is missing.

extern crate opentelemetry as throughline;
extern crate throughline as trace;

use trace::{biz_tags, traced, traced_spawn};

#[traced(kind = client, tags(id, name = name else "none"), ret)]
async fn load(id: u64, name: Option<String>) -> Result<u64, String> {
    Ok(id)
}

#[traced_spawn(blocking, on = handle)]
fn job(handle: tokio::runtime::Handle, names: Vec<String>) -> Vec<String> {
    names
}

#[biz_tags(id)]
fn tagged(id: u64) -> u64 {
    id
}

fn main() {}
