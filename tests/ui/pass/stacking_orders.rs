//! The attributes can be in any order, with the same meaning, and among other attributes.

#![deny(warnings)]

use throughline::{biz_tags, traced, traced_spawn};

#[traced]
#[biz_tags(tenant_id)]
fn tags_below(tenant_id: &str) -> usize {
    tenant_id.len()
}

#[biz_tags(tenant_id)]
#[traced(kind = server)]
fn tags_above(tenant_id: &str) -> usize {
    tenant_id.len()
}

#[biz_tags(tenant_id)]
#[traced]
#[biz_tags(order_no)]
async fn tags_around(tenant_id: String, order_no: u64) -> u64 {
    drop(tenant_id);
    order_no
}

#[biz_tags(order_no)]
#[traced_spawn]
#[biz_tags(propagate(tenant_id))]
async fn job(tenant_id: String, order_no: u64) -> u64 {
    drop(tenant_id);
    order_no
}

/// Documented.
#[must_use]
#[throughline::traced]
#[inline]
#[throughline::biz_tags(order_no)]
#[doc(alias = "total")]
fn among_others(order_no: u64) -> u64 {
    #![allow(clippy::let_and_return, reason = "an inner attribute is the case")]
    let total = order_no;
    total
}

#[tokio::main(flavor = "current_thread")]
#[traced(root)]
async fn main() {
    assert_eq!(tags_below("acme"), tags_above("acme"));
    assert_eq!(tags_around("acme".to_owned(), 1).await, 1);
    let handle: tokio::task::JoinHandle<u64> = job("acme".to_owned(), 2);
    assert_eq!(handle.await.unwrap(), 2);
    assert_eq!(among_others(3), 3);
}
