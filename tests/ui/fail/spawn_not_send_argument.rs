use std::rc::Rc;

use throughline::traced_spawn;

#[traced_spawn]
async fn job(count: Rc<u64>) {
    drop(count);
}

fn main() {
    let _handle: tokio::task::JoinHandle<()> = job(Rc::new(1));
}
