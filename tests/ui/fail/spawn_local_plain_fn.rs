use throughline::traced_spawn;

#[traced_spawn(local)]
fn job() {}

fn main() {
    let _handle: tokio::task::JoinHandle<()> = job();
}
