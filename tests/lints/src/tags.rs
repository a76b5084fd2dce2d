//! Every form of a tag.

use throughline::{biz_tags, traced};

use crate::arguments::Order;

/// A tenant.
#[derive(Debug, Clone)]
pub struct Tenant(pub String);

/// Alone.
#[biz_tags(number, tenant = tenant.0, "order.lines" = order.lines.len())]
#[must_use]
pub fn alone(number: u64, tenant: &Tenant, order: &Order) -> u64 {
    order.number.saturating_add(number)
}

/// Only for the tags.
#[biz_tags(number, tenant = tenant.0)]
pub fn only_for_the_tags(number: u64, tenant: Tenant) {}

/// Only for the tags, later.
#[traced]
#[biz_tags(number, tenant = tenant.0, left)]
pub async fn only_for_the_tags_later(number: u64, tenant: Tenant, (left, _): (u64, String)) {}

/// Modified.
#[traced]
#[biz_tags(
    required(user),
    coupon = coupon else "none",
    hash(account),
    propagate(mask(phone = phone.as_str()), number),
    list = &order.lines[..],
)]
pub fn modified(user: Option<&str>, coupon: Option<String>, account: &str, phone: String, number: u64, order: &Order) {}
