//! Random programs on two threads and with two subscribers are compared with a model.
//!
//! The cases are the same in every run. Set `PROPTEST_RNG_SEED` for different ones, and `PROPTEST_CASES` for more.

mod events;
mod expected;
mod program;
mod threads;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, reload};

use self::program::{Subscribers, run};
use crate::{dispatch, tracing_layer};

/// One step, on one of the threads.
#[derive(Debug, Clone)]
enum Step {
    /// Creates a `tracing` span below the current one, by the first subscriber or the second.
    Create { second: bool },
    /// Creates a `tracing` span with an explicit parent.
    CreateBelow(Index),
    /// Creates a `tracing` span without a parent.
    CreateRoot,
    /// Starts a span of ours.
    Start,
    /// Runs a function with a span of ours, and in it one with a `tracing` span.
    Call,
    /// Enters or attaches a span.
    Enter(Index),
    /// Ends one of the entries of the thread, in any order.
    Exit(Index),
    /// Attaches the current context of the other thread.
    Carry,
    /// Sets a tag for spans that start from now on.
    Tag,
    /// Drops the handle of a span, which ends once it has no entries.
    Drop(Index),
    /// Replaces the parent of a span, which must not have started.
    SetParent(Index, Index),
    /// Makes a span follow from another, or from itself.
    Follow(Index, Index),
    /// Records a field that is declared, and one that is not.
    Record(Index),
    /// Adds an event with the maximum number of fields to the current span.
    Event,
    /// Adds an event to a span.
    EventOf(Index),
    /// Reports an error as the outcome of the current span.
    Fail,
    /// Panics in a span.
    Panic(Index),
    /// Polls a future in a span, and drops it on the other thread before it has completed.
    Poll(Index),
    /// Changes the filter of the second subscriber's layer.
    Filter { lets_pass: bool },
}

fn steps() -> impl Strategy<Value = Vec<(bool, Step)>> {
    let index = any::<Index>;
    let spans = prop_oneof![
        8 => proptest::bool::weighted(0.25).prop_map(|second| Step::Create { second }),
        2 => index().prop_map(Step::CreateBelow),
        2 => Just(Step::CreateRoot),
        6 => Just(Step::Start),
        1 => Just(Step::Call),
        12 => index().prop_map(Step::Enter),
        8 => index().prop_map(Step::Exit),
        2 => Just(Step::Carry),
        2 => Just(Step::Tag),
        4 => index().prop_map(Step::Drop),
    ];
    let changes = prop_oneof![
        2 => (index(), index()).prop_map(|(at, to)| Step::SetParent(at, to)),
        2 => (index(), index()).prop_map(|(at, to)| Step::Follow(at, to)),
        2 => index().prop_map(Step::Record),
        3 => Just(Step::Event),
        2 => index().prop_map(Step::EventOf),
        2 => Just(Step::Fail),
        1 => index().prop_map(Step::Panic),
        2 => index().prop_map(Step::Poll),
        1 => any::<bool>().prop_map(|lets_pass| Step::Filter { lets_pass }),
    ];
    vec((any::<bool>(), prop_oneof![2 => spans, 1 => changes]), 1..64)
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn programs_record_what_the_model_expects() {
    let seed = RngSeed::Fixed(variable("PROPTEST_RNG_SEED").unwrap_or(1));
    let cases = variable("PROPTEST_CASES").unwrap_or(128);
    let config = Config { cases, rng_seed: seed, failure_persistence: None, ..Config::default() };
    let (filter, handle) = reload::Layer::new(LevelFilter::TRACE);
    let first = dispatch(tracing_subscriber::registry().with(tracing_layer()));
    let second = dispatch(tracing_subscriber::registry().with(tracing_layer().with_filter(filter)));
    let subscribers = Subscribers { all: [first, second], filter: handle };
    let run = |steps: Vec<(bool, Step)>| run(&steps, &subscribers);
    TestRunner::new(config).run(&steps(), run).unwrap_or_else(|error| panic!("{error}"));
}
