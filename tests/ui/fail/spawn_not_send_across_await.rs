use std::rc::Rc;

use throughline::traced_spawn;

#[traced_spawn]
async fn job() {
    let count = Rc::new(1);
    tokio::task::yield_now().await;
    drop(count);
}

fn main() {
    let _handle: tokio::task::JoinHandle<()> = job();
}
