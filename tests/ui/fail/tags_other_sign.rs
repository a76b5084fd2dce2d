use throughline::{biz_tags, traced};

#[biz_tags(order_no: order.no)]
fn colon(order: &Order) {}

#[traced(tags("order.no" => order.no, order_no = order.no))]
fn arrow(order: &Order) {}

#[biz_tags(required("order.no": order.no), hash(order_no =>))]
fn in_modifiers(order: &Order) {}

struct Order {
    no: u64,
}

fn main() {
    let order = Order { no: 1 };
    colon(&order);
    arrow(&order);
    in_modifiers(&order);
    let _ = order.no;
}
