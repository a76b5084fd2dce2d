use throughline::biz_tags;

#[biz_tags(tenant_id, order_no)]
async fn place(tenant_id: String, order_no: u64) -> Result<u64, String> {
    Ok(order_no + tenant_id.len() as u64)
}
