use throughline::traced_spawn;

#[traced_spawn(detached)]
async fn foreign() {}

#[traced_spawn(bloking)]
fn mistyped() {}

fn main() {
    let _handle: tokio::task::JoinHandle<()> = foreign();
    let _handle: tokio::task::JoinHandle<()> = mistyped();
}
