use throughline::{traced, traced_spawn};

#[traced]
#[traced(kind = server)]
fn traced_twice() {}

#[traced_spawn]
#[traced_spawn(root)]
async fn spawn_twice() {}

fn main() {
    traced_twice();
    let _handle: tokio::task::JoinHandle<()> = spawn_twice();
}
