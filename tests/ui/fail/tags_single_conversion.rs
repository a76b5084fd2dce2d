//! A value is converted once.

use throughline::{biz_tags, traced};

#[traced(tags(%?tenant_id))]
fn both(tenant_id: &str) {}

#[biz_tags(tenant = ??tenant_id, order_no)]
fn twice(tenant_id: &str, order_no: u64) {}

#[biz_tags(%tenant = tenant_id)]
fn before_the_key(tenant_id: &str) {}

#[traced(tags(order_no, ?tenant = tenant_id.len()))]
fn before_the_key_of_an_expression(tenant_id: &str, order_no: u64) {}

fn main() {}
