//! Reported once, at the block, and not for each method.

use throughline::traced;

struct Orders;

#[traced(kind = serber)]
impl Orders {
    fn place(&self) {}
    fn cancel(&self) {}
}

fn main() {
    Orders.place();
    Orders.cancel();
}
