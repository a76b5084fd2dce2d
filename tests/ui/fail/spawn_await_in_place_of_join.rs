//! The function returns a handle, so a call has one more layer than the body returns.

use throughline::traced_spawn;

#[traced_spawn]
async fn job() -> u64 {
    1
}

async fn caller() -> u64 {
    job().await
}

fn main() {
    drop(caller());
}
