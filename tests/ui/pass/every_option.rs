//! Each option at least once.

#![deny(warnings)]

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use throughline::{biz_tags, traced, traced_spawn};

const NAME: &str = "place order";

#[traced("receive")]
fn bare_name() {}

#[traced(name = NAME, kind = consumer, parent = message, link = other, err = debug, ret = debug, crate = ::throughline)]
fn most(message: Context, other: Context) -> Result<u64, String> {
    Ok(u64::from(message.has_active_span()) + u64::from(other.has_active_span()))
}

#[traced(name = self::NAME, kind = internal, root, links = all.iter(), err = off, cancel = off, ret)]
async fn others(all: Vec<Context>) -> Result<usize, String> {
    Ok(all.len())
}

#[traced_spawn(name = concat!("re", "ceipt"), kind = producer, link, link = other, links = all, err = display, cancel = on, ret)]
async fn job(other: Context, all: [Context; 2]) -> Result<u64, String> {
    let _ = other;
    u64::try_from(all.len()).map_err(|error| error.to_string())
}

#[biz_tags(
    required(tenant_id),
    propagate(hash(user_id), region = region.as_deref() else "eu"),
    mask(phone, "biz.card" = card),
    %address,
    shown = ?list,
    "biz.order.no" = order_no + 1,
    ids = list,
)]
#[traced(kind = client, tags(length = list.len(), mask(token)))]
fn every_tag(
    tenant_id: Option<String>,
    user_id: u64,
    region: Option<String>,
    phone: &str,
    card: &str,
    address: std::net::Ipv4Addr,
    list: &[i64],
    order_no: u64,
    token: String,
) -> u64 {
    let _ = (tenant_id, user_id, region, phone, card, address, token);
    order_no + list.len() as u64
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    bare_name();
    let here = Context::new();
    assert_eq!(most(here.clone(), here.clone()), Ok(0));
    assert_eq!(others(vec![here.clone()]).await, Ok(1));
    assert_eq!(job(here.clone(), [here.clone(), here]).await.unwrap(), Ok(2));
    let address = std::net::Ipv4Addr::LOCALHOST;
    assert_eq!(every_tag(None, 1, None, "1", "2", address, &[1], 2, String::new()), 3);
}
