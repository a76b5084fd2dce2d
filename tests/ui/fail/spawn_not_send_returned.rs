use std::rc::Rc;

use throughline::traced_spawn;

#[traced_spawn]
async fn job() -> Rc<u64> {
    Rc::new(1)
}

fn main() {
    let _handle: tokio::task::JoinHandle<Rc<u64>> = job();
}
