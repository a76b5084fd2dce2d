//! What do tags cost that child spans inherit?
//!
//! `own`: the same two tags by `#[biz_tags]` and by `tags(…)`. `below_N`: a span with two tags of its own below N
//! inherited ones.
#![forbid(unsafe_code)]

use std::time::Duration;

use throughline_performance::calls::{self, Mode, TAGS};
use throughline_performance::rounds::{Bench, Variant, time};
use throughline_performance::stack::Setup;

fn main() {
    let mode = Mode::Ours;
    let mut variants = vec![
        Variant::new("own_sync", "tags", mode, move |calls| {
            mode.below_root(|| time(calls, || _ = mode.leaf("acme", 1001)))
        }),
        Variant::new("own_sync", "biz_tags", mode, move |calls| {
            mode.below_root(|| time(calls, || _ = calls::biz_tags_leaf("acme", 1001)))
        }),
        Variant::new("own_async", "tags", mode, move |calls| {
            mode.below_root(|| time(calls, || _ = mode.leaf_async("acme", 1001)))
        }),
        Variant::new("own_async", "biz_tags", mode, move |calls| {
            mode.below_root(|| time(calls, || _ = calls::biz_tags_leaf_async("acme", 1001)))
        }),
    ];
    for tags in TAGS {
        variants.push(Variant::new(format!("below_{tags}"), "ours", mode, move |calls| {
            let mut took = Duration::ZERO;
            calls::below_biz_tags(tags, 7, &mut || took = time(calls, || _ = mode.leaf("acme", 1001)));
            took
        }));
    }
    Bench::new("biz_tags", &Setup::default()).run(variants);
}
