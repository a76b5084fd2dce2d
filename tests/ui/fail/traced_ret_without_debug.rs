use throughline::traced;

struct Order;

#[traced(ret = debug)]
fn plain() -> Order {
    Order
}

fn main() {
    plain();
}
