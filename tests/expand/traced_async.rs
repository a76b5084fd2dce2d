use throughline::traced;

#[traced]
async fn place(tenant_id: String, order_no: u64) -> Result<u64, std::num::ParseIntError> {
    let shard: u64 = tenant_id.parse()?;
    Ok(shard + order_no)
}

#[traced]
async fn ping() {}
