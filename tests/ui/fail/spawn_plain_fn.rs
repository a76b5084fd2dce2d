use throughline::traced_spawn;

#[traced_spawn]
fn job() {}

#[traced_spawn(kind = consumer)]
pub fn with_options() {}

fn main() {
    let _handle: tokio::task::JoinHandle<()> = job();
    let _handle: tokio::task::JoinHandle<()> = with_options();
}
