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

/// With an import, and other items before the statements.
#[traced]
#[biz_tags(number)]
#[must_use]
pub fn items_first(number: u64) -> String {
    use core::fmt::{self, Display};
    struct Shown(u64);
    impl Display for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }
    let shown = Shown(number);
    shown.to_string()
}

/// As complex as Clippy accepts.
#[biz_tags(number)]
#[must_use]
pub fn as_complex_as_can_be(number: u64) -> u64 {
    let mut sum = number;
    if number == 1 {
        sum = sum.wrapping_add(1);
    }
    if number == 2 {
        sum = sum.wrapping_add(2);
    }
    if number == 3 {
        sum = sum.wrapping_add(3);
    }
    if number == 4 {
        sum = sum.wrapping_add(4);
    }
    if number == 5 {
        sum = sum.wrapping_add(5);
    }
    if number == 6 {
        sum = sum.wrapping_add(6);
    }
    if number == 7 {
        sum = sum.wrapping_add(7);
    }
    if number == 8 {
        sum = sum.wrapping_add(8);
    }
    if number == 9 {
        sum = sum.wrapping_add(9);
    }
    if number == 10 {
        sum = sum.wrapping_add(10);
    }
    if number == 11 {
        sum = sum.wrapping_add(11);
    }
    if number == 12 {
        sum = sum.wrapping_add(12);
    }
    if number == 13 {
        sum = sum.wrapping_add(13);
    }
    if number == 14 {
        sum = sum.wrapping_add(14);
    }
    if number == 15 {
        sum = sum.wrapping_add(15);
    }
    if number == 16 {
        sum = sum.wrapping_add(16);
    }
    if number == 17 {
        sum = sum.wrapping_add(17);
    }
    if number == 18 {
        sum = sum.wrapping_add(18);
    }
    if number == 19 {
        sum = sum.wrapping_add(19);
    }
    if number == 20 {
        sum = sum.wrapping_add(20);
    }
    if number == 21 {
        sum = sum.wrapping_add(21);
    }
    if number == 22 {
        sum = sum.wrapping_add(22);
    }
    if number == 23 {
        sum = sum.wrapping_add(23);
    }
    if number == 24 {
        sum = sum.wrapping_add(24);
    }
    sum
}

/// The names of parts without a tag, which generated code uses for other things.
#[traced]
#[biz_tags(required(user), "order.lines" = order.lines.len(), %number)]
#[must_use]
pub fn parts_named_like_generated_code(
    (throughline, value, _): (u64, u64, u64),
    (number, display, ..): (u64, u64, u64),
    user: Option<u64>,
    order: &Order,
) -> u64 {
    throughline.wrapping_add(value).wrapping_add(number).wrapping_add(display)
}
