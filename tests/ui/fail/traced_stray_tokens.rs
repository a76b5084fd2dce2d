use throughline::traced;

#[traced(5)]
fn number() {}

#[traced(, root)]
fn comma() {}

#[traced(kind = server;)]
fn semicolon() {}

#[traced((root))]
fn parentheses() {}

#[traced(%order_no, root)]
fn displayed_tag(order_no: u64) {}

#[traced(?order_no)]
fn debugged_tag(order_no: u64) {}

#[traced("order.no" = order_no)]
fn dotted_tag(order_no: u64) {}

#[traced(order_no)]
fn argument(order_no: u64) {}

#[traced(order_no = order.no)]
fn expression(order: Order) {}

#[traced(Level::DEBUG)]
fn path() {}

struct Order {
    no: u64,
}

fn main() {
    number();
    comma();
    semicolon();
    parentheses();
}
