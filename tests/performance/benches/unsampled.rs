//! What does an unsampled span cost?
//!
//! One call of a function with two tags below a local span that is not sampled. fastrace has no samplers. `floor` is a
//! look at the parent span, which is the minimum.
#![forbid(unsafe_code)]

use throughline_performance::calls::{self, Mode};
use throughline_performance::rounds::{Bench, Variant, time};
use throughline_performance::stack::Setup;

fn main() {
    let mut variants = Vec::new();
    for mode in [Mode::Plain, Mode::Ours, Mode::ByHand, Mode::Instrument] {
        variants.push(
            Variant::new("sync", mode.name(), mode, move |calls| {
                mode.below_root(|| time(calls, || _ = mode.leaf("acme", 1001)))
            })
            .calling(20),
        );
        variants.push(
            Variant::new("async", mode.name(), mode, move |calls| {
                mode.below_root(|| time(calls, || _ = mode.leaf_async("acme", 1001)))
            })
            .calling(20),
        );
    }
    let floors = [("sync", calls::floor_unsampled as fn(&str, i64) -> usize), ("async", calls::floor_unsampled_async)];
    for (row, leaf) in floors {
        let floor = Variant::new(row, "floor", Mode::Ours, move |calls| {
            Mode::Ours.below_root(|| time(calls, || _ = leaf("acme", 1001)))
        });
        variants.push(floor.calling(20));
    }
    Bench::new("unsampled", &Setup { unsampled: true, ..Setup::default() }).run(variants);
}
