use throughline::biz_tags;

struct Order;

#[biz_tags(tenant = tenant else Order)]
fn no_conversion(tenant: Option<String>) {}

#[biz_tags(tenant else "unknown" else "nobody")]
fn two(tenant: Option<String>) {}

fn main() {
    no_conversion(None);
    two(None);
    let _ = Order;
}
