//! What does a span of a whole request cost the calling thread, with the real pipeline behind it?
//!
//! Requests of six nested spans, fifty at a time, in CPU time per span.
#![forbid(unsafe_code)]

use throughline_performance::calls::{Mode, SPANS_PER_REQUEST};
use throughline_performance::rounds::{Bench, Variant, time};
use throughline_performance::stack::Setup;

fn main() {
    let per_request = u32::try_from(SPANS_PER_REQUEST).expect("a small number");
    let variants = Mode::BENCHED
        .map(|mode| {
            Variant::new("sync", mode.name(), mode, move |calls| time(calls, || _ = mode.request("acme", 1001)))
                .counting(per_request)
        })
        .into();
    Bench::new("requests", &Setup::default()).run(variants);
}
