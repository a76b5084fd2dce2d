//! How does the cost of a span grow with the number of its tags?
//!
//! A span below an open one, with this many integers, in CPU time of the calling thread.
#![forbid(unsafe_code)]

use throughline_performance::calls::{Mode, TAGS};
use throughline_performance::rounds::{Bench, Variant, time};
use throughline_performance::stack::Setup;

fn main() {
    let mut variants = Vec::new();
    for tags in TAGS {
        for mode in Mode::TRACED {
            let run = move |calls| mode.below_root(|| time(calls, || mode.tagged(tags, 7)));
            variants.push(Variant::new(tags.to_string(), mode.name(), mode, run));
        }
    }
    Bench::new("tags", &Setup::default()).run(variants);
}
