use throughline::biz_tags;

struct Order;

#[biz_tags(?order)]
fn argument(order: Order) {}

#[biz_tags(shown = ?order)]
fn named(order: Order) {}

fn main() {
    argument(Order);
    named(Order);
}
