//! Random programs over OpenTelemetry's API, run with our provider and with that of the SDK, with the same IDs and
//! times. The recorded spans are compared field by field, as are the span contexts of all spans, the arguments of
//! samplers, and the spans that processors see.
//!
//! The spans of the SDK have no limits; [`specified`] applies the limits, and corrects what deviates from the
//! specification.
//!
//! The cases are the same in every run. Set `PROPTEST_RNG_SEED` for different ones, and `PROPTEST_CASES` for more.

mod programs;
mod run;
mod specified;

use opentelemetry_sdk::trace::SpanLimits;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use self::programs::{Setup, Step};
use self::run::{Ran, ours, theirs};
use super::*;

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// What the SDK has recorded, corrected to what the specification requires.
fn expected(mut theirs: Ran, limits: &SpanLimits) -> Ran {
    for span in &mut theirs.ended {
        specified::apply(span, limits);
    }
    for span in &mut theirs.started {
        specified::apply(span, limits);
        specified::forget_counts(span);
    }
    for span in &mut theirs.ended {
        span.status = theirs.statuses.of(span.span_context.span_id());
    }
    theirs
}

fn compare(setup: &Setup, steps: &[(bool, Step)]) -> Result<(), TestCaseError> {
    let mut ours = ours(setup, steps);
    ours.started.iter_mut().for_each(specified::forget_counts);
    let theirs = expected(theirs(setup, steps), &setup.limits);
    prop_assert_eq!(&ours.asked, &theirs.asked);
    prop_assert_eq!(ours.contexts.len(), theirs.contexts.len());
    for (ours, theirs) in ours.contexts.iter().zip(&theirs.contexts) {
        prop_assert_eq!(ours, theirs);
    }
    for (ours, theirs) in [(&ours.started, &theirs.started), (&ours.ended, &theirs.ended)] {
        prop_assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            specified::compare(ours, theirs)?;
        }
    }
    Ok(())
}

#[test]
fn our_tracer_records_what_the_sdk_records() {
    let seed = variable("PROPTEST_RNG_SEED").unwrap_or(1);
    let cases = variable("PROPTEST_CASES").unwrap_or(128);
    let config = Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
    let run = |(setup, steps): (Setup, Vec<(bool, Step)>)| compare(&setup, &steps);
    let programs = (programs::setup(), programs::steps());
    TestRunner::new(config).run(&programs, run).unwrap_or_else(|error| panic!("{error}"));
}
