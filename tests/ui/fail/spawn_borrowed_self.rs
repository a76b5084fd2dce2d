use std::sync::Arc;

use throughline::traced_spawn;
use tokio::task::JoinHandle;

struct Orders;

impl Orders {
    #[traced_spawn]
    async fn shared(&self) {}

    #[traced_spawn]
    async fn exclusive(&mut self) {}

    #[traced_spawn]
    async fn behind_an_arc(self: &Arc<Self>) {}

    #[traced_spawn(blocking)]
    fn with_lifetime<'a>(&'a self) {}
}

fn main() {
    let _handle: JoinHandle<()> = Orders.shared();
    let _handle: JoinHandle<()> = Orders.exclusive();
    let _handle: JoinHandle<()> = Arc::new(Orders).behind_an_arc();
    let _handle: JoinHandle<()> = Orders.with_lifetime();
}
