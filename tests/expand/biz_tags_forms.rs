use std::net::IpAddr;

use throughline::biz_tags;

const VERSION: u32 = 3;

#[derive(Debug)]
struct Request {
    order_no: u64,
    phone: String,
}

#[biz_tags(
    tenant_id,
    order_no = req.order_no,
    "biz.next" = req.order_no + 1,
    version = VERSION,
    %address,
    request = ?req,
    region = region else "eu",
    required(user_id),
    mask(phone = req.phone),
    propagate(hash(account), shard),
)]
fn place(
    tenant_id: &str,
    req: &Request,
    address: IpAddr,
    region: Option<&str>,
    user_id: Option<u64>,
    account: &str,
    shard: u8,
) -> bool {
    let _ = (tenant_id, req, account);
    address.is_loopback() && region.is_some() && user_id.is_some() && shard > 0
}
