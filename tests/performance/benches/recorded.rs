//! What does one recorded span cost the calling thread, with the real pipeline behind it?
//!
//! One call of a function with two tags below an open span, in CPU time, while the spans are exported over gRPC.
//! `floor` is the share of OpenTelemetry's API, the allocator and the clock: a span that records nothing. `encoded` is
//! the floor plus a span that is encoded, by hand, into the buffer of its trace; `listed` is in a table of open spans,
//! too.
#![forbid(unsafe_code)]

use throughline_performance::calls::{self, Mode};
use throughline_performance::rounds::{Bench, Variant, time};
use throughline_performance::stack::Setup;

fn main() {
    let mut variants = Vec::new();
    for mode in Mode::BENCHED {
        variants.push(Variant::new("sync", mode.name(), mode, move |calls| {
            mode.below_root(|| time(calls, || _ = mode.leaf("acme", 1001)))
        }));
        variants.push(Variant::new("async", mode.name(), mode, move |calls| {
            mode.below_root(|| time(calls, || _ = mode.leaf_async("acme", 1001)))
        }));
    }
    let floors = [
        ("sync", "floor", calls::floor_leaf as fn(&str, i64) -> usize),
        ("async", "floor", calls::floor_leaf_async),
        ("sync", "encoded", calls::encoded_leaf),
        ("sync", "listed", calls::listed_leaf),
    ];
    for (row, column, leaf) in floors {
        variants.push(Variant::new(row, column, Mode::Ours, move |calls| {
            Mode::Ours.below_root(|| time(calls, || _ = leaf("acme", 1001)))
        }));
    }
    Bench::new("recorded", &Setup::default()).run(variants);
}
