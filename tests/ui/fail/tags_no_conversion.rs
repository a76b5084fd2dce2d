use throughline::{biz_tags, traced, traced_spawn};

struct Order {
    customer: Customer,
}

struct Customer;

#[biz_tags(order)]
fn argument(order: Order) {}

#[biz_tags(customer = order.customer)]
fn field(order: &Order) {}

#[traced(tags(order))]
async fn later(order: Order) {}

#[traced_spawn]
#[biz_tags(order)]
async fn job(order: Option<Order>) {}

fn main() {
    argument(Order { customer: Customer });
    field(&Order { customer: Customer });
    drop(later(Order { customer: Customer }));
    let _handle: tokio::task::JoinHandle<()> = job(None);
}
