use throughline::biz_tags;

#[biz_tags(tenant_id)]
#[biz_tags(tenant_id, order_no)]
fn place(tenant_id: String, order_no: u64) {}

fn main() {
    place(String::new(), 1);
}
