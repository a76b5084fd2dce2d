use throughline::{traced, traced_spawn};

#[traced]
#[traced_spawn]
async fn traced_first() {}

#[traced_spawn]
#[traced(kind = consumer)]
async fn spawn_first() {}

fn main() {
    let _handle: tokio::task::JoinHandle<()> = traced_first();
    let _handle: tokio::task::JoinHandle<()> = spawn_first();
}
