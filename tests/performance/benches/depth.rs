//! How does the cost of a span grow with the depth of a trace?
//!
//! This many nested spans with one tag, in CPU time of the calling thread per span.
#![forbid(unsafe_code)]

use throughline_performance::calls::Mode;
use throughline_performance::rounds::{Bench, Variant, time};
use throughline_performance::stack::Setup;

fn main() {
    let mut variants = Vec::new();
    for depth in [1, 2, 5, 10, 20, 50, 100] {
        for mode in Mode::TRACED {
            let run = move |calls| time(calls, || mode.below_root(|| mode.nested(depth, &mut || ())));
            // The root is one of them.
            let spans = u32::try_from(depth + 1).expect("a small number");
            variants.push(Variant::new(depth.to_string(), mode.name(), mode, run).counting(spans));
        }
    }
    Bench::new("depth", &Setup::default()).run(variants);
}
