use throughline::traced;

struct Order {
    lines: Vec<u64>,
}

#[traced]
fn total(order: Order, discount: u64) -> u64 {
    let sum: u64 = order.lines.iter().sum();
    sum - discount
}

// A reference is captured as it is; there is nothing to move into the closure.
#[traced]
fn lines(order: &Order) -> usize {
    order.lines.len()
}
