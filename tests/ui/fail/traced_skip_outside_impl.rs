use throughline::traced;

#[traced(skip)]
fn free() {}

struct Orders;

impl Orders {
    #[traced(skip)]
    fn place(&self) {}
}

fn main() {
    free();
    Orders.place();
}
