//! What does one recorded span cost the calling thread, with the real pipeline behind it?
//!
//! One call of a function with two tags below an open span, by processor time, while the spans are exported over gRPC.
#![forbid(unsafe_code)]

use throughline_performance::calls::Mode;
use throughline_performance::rounds::{Bench, Variant, time};
use throughline_performance::stack::Setup;

fn main() {
    let mut variants = Vec::new();
    for mode in Mode::ALL {
        variants.push(Variant::new("sync", mode.name(), mode, move |calls| {
            mode.below_root(|| time(calls, || _ = mode.leaf("acme", 1001)))
        }));
        variants.push(Variant::new("async", mode.name(), mode, move |calls| {
            mode.below_root(|| time(calls, || _ = mode.leaf_async("acme", 1001)))
        }));
    }
    Bench::new("recorded", &Setup::default()).run(variants);
}
