//! A fallback is written with `else`.

use throughline::biz_tags;

#[biz_tags(tenant_id = tenant or "unknown")]
fn or(tenant: Option<&str>) {}

#[biz_tags(tenant_id default "unknown")]
fn default(tenant_id: Option<&str>) {}

fn main() {}
