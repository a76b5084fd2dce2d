use throughline::{biz_tags, traced};

#[biz_tags(order.no)]
fn field(order: Order) {}

#[biz_tags(1 + 1)]
fn sum() {}

#[biz_tags(%order.to_string())]
fn method(order: u64) {}

#[biz_tags(number(order))]
fn call(order: Order) {}

#[biz_tags(self)]
fn receiver() {}

#[traced(tags(Orders::COUNT))]
fn path() {}

struct Order {
    no: u64,
}

fn main() {
    field(Order { no: 1 });
    sum();
    method(1);
    call(Order { no: 1 });
    receiver();
    path();
    let _ = Order { no: 1 }.no;
}
