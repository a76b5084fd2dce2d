use throughline::traced_spawn;

#[traced_spawn]
async fn tail() -> u64 {
    "text"
}

#[traced_spawn(blocking)]
fn blocking_tail() -> u64 {
    "text"
}

#[traced_spawn]
async fn unknown() {
    nowhere();
}

fn main() {
    let _handle: tokio::task::JoinHandle<u64> = tail();
    let _handle: tokio::task::JoinHandle<u64> = blocking_tail();
    let _handle: tokio::task::JoinHandle<()> = unknown();
}
