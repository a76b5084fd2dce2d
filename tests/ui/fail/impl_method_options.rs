//! A mistake in the options of a method does not affect other methods.

use throughline::{traced, traced_spawn};

struct Orders;

#[traced(kind = server)]
impl Orders {
    #[traced(nam = "place")]
    fn place(&self) {}

    #[traced_spawn(kind = serber)]
    async fn receipt(id: u64) {}

    #[traced(skip, root)]
    fn skipped(&self) {}
}

fn main() {
    Orders.place();
    Orders.skipped();
    let _handle: tokio::task::JoinHandle<()> = Orders::receipt(1);
}
