//! A tag borrows its argument, and does not move it.

use throughline::biz_tags;

struct Order {
    name: Option<String>,
}

#[biz_tags(name = order.name.unwrap())]
fn place(order: Order) {
    drop(order);
}

#[biz_tags(length = { order.name.take(); 1 })]
fn change(order: Order) {
    drop(order);
}

fn main() {
    place(Order { name: None });
    change(Order { name: None });
}
