//! A tag on the block applies to every method.

use throughline::traced;

struct Orders;

#[traced(tags(id))]
impl Orders {
    fn place(&self, id: u64) {}
    fn all(&self) {}
}

fn main() {
    Orders.place(1);
    Orders.all();
}
