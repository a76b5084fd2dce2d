use throughline::traced;

struct Order;

#[traced(ret)]
fn plain() -> Order {
    Order
}

#[traced(ret)]
async fn in_result() -> Result<Order, String> {
    Ok(Order)
}

fn main() {
    plain();
    drop(in_result());
}
