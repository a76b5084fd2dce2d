use opentelemetry::Context;
use throughline::traced_spawn;
use tokio::task::JoinHandle;

#[traced_spawn(link, root)]
async fn link_and_root() {}

#[traced_spawn(link, parent = message)]
async fn link_and_parent(message: Context) {}

#[traced_spawn(root, parent = message)]
async fn root_and_parent(message: Context) {}

fn main() {
    let _handle: JoinHandle<()> = link_and_root();
    let _handle: JoinHandle<()> = link_and_parent(Context::new());
    let _handle: JoinHandle<()> = root_and_parent(Context::new());
}
