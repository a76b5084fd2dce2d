use throughline::biz_tags;

#[biz_tags(tenant_id, order_no)]
fn place(tenant_id: &str, order_no: u64) -> u64 {
    order_no + tenant_id.len() as u64
}
