//! What does an annotation cost in a program that has not set up telemetry?
//!
//! One call of a function with two tags. `sdk` is the OpenTelemetry API by hand as in its documentation, with
//! `global::tracer` for each call; `instrument` is without a subscriber, fastrace without a reporter.
#![forbid(unsafe_code)]

use throughline_performance::calls::{self, Mode};
use throughline_performance::rounds::{Bench, Variant, time};

fn main() {
    let mut variants = Vec::new();
    for mode in [Mode::Plain, Mode::Ours, Mode::Fastrace, Mode::Instrument] {
        variants.push(
            Variant::new("sync", mode.name(), mode, move |calls| time(calls, || _ = mode.leaf("acme", 1001)))
                .calling(100),
        );
        variants.push(
            Variant::new("async", mode.name(), mode, move |calls| time(calls, || _ = mode.leaf_async("acme", 1001)))
                .calling(100),
        );
    }
    variants.push(
        Variant::new("sync", "sdk", Mode::ByHand, |calls| time(calls, || _ = calls::global_leaf("acme", 1001)))
            .calling(100),
    );
    variants.push(
        Variant::new("async", "sdk", Mode::ByHand, |calls| time(calls, || _ = calls::global_leaf_async("acme", 1001)))
            .calling(100),
    );
    Bench::without_telemetry("no_provider").run(variants);
}
