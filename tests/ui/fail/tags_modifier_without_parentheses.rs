//! A modifier is written with parentheses.

use throughline::{biz_tags, traced};

#[biz_tags(hash tenant_id, order_no)]
fn nothing_around(tenant_id: &str, order_no: u64) {}

#[traced(tags(propagate "biz.tenant" = tenant_id))]
fn before_a_key(tenant_id: &str) {}

#[biz_tags(mask!(phone), required[tenant_id])]
fn others(phone: &str, tenant_id: Option<&str>) {}

#[traced(hash(tenant_id))]
fn as_an_option(tenant_id: &str) {}

fn main() {}
