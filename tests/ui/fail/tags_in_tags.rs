//! What `#[biz_tags]` lists are tags.

use throughline::biz_tags;

#[biz_tags(tags(tenant_id))]
fn list(tenant_id: &str) {}

#[biz_tags(crate = throughline tenant_id)]
fn no_comma(tenant_id: &str) {}

#[biz_tags(tenant -> tenant_id, order_no := no)]
fn arrows(tenant_id: &str, no: u64) {}

fn main() {}
