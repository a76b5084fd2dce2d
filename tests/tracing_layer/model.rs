//! Random programs on two threads, against a model of the tree that must result.
//!
//! The cases are the same in every run. Set `PROPTEST_RNG_SEED` for different ones, and `PROPTEST_CASES` for more.

use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use throughline::testing::Capture;
use throughline::{Attached, Outcome, Snapshot, tracing_layer};
use tracing::span::EnteredSpan;
use tracing::{Dispatch, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::dispatch;

/// One step, on one of the threads.
#[derive(Debug, Clone)]
enum Step {
    /// Creates a `tracing` span below the current one.
    Create,
    /// Creates a `tracing` span with an explicit parent.
    CreateBelow(Index),
    /// Creates a `tracing` span without a parent.
    CreateRoot,
    /// Starts a span of ours.
    Start,
    /// Enters or attaches a span.
    Enter(Index),
    /// Ends one of the entries of the thread, in any order.
    Exit(Index),
    /// Makes current on this thread what is current on the other.
    Carry,
    /// Gives up a span, which ends once nobody has entered it.
    Drop(Index),
}

fn steps() -> impl Strategy<Value = Vec<(bool, Step)>> {
    let step = prop_oneof![
        4 => Just(Step::Create),
        1 => any::<Index>().prop_map(Step::CreateBelow),
        1 => Just(Step::CreateRoot),
        3 => Just(Step::Start),
        6 => any::<Index>().prop_map(Step::Enter),
        4 => any::<Index>().prop_map(Step::Exit),
        1 => Just(Step::Carry),
        2 => any::<Index>().prop_map(Step::Drop),
    ];
    vec((any::<bool>(), step), 1..48)
}

/// A span of either kind.
enum Slot {
    Instrumented(tracing::Span),
    Annotated(throughline::Span),
}

/// What keeps a span current.
enum Guard {
    Entered(#[expect(dead_code, reason = "held until it is dropped")] EnteredSpan),
    Attached(#[expect(dead_code, reason = "held until it is dropped")] Attached),
}

/// What a thread has; guards cannot leave it.
#[derive(Default)]
struct Local {
    guards: Vec<Guard>,
}

type Work = Box<dyn FnOnce(&mut Local) + Send>;

/// A thread that does what it is told, one thing after the other.
struct Thread(Sender<Work>);

impl Thread {
    fn run<R: Send + 'static>(&self, work: impl FnOnce(&mut Local) -> R + Send + 'static) -> R {
        let (sender, receiver) = channel();
        let work = move |local: &mut Local| drop(sender.send(work(local)));
        self.0.send(Box::new(work)).expect("the thread runs");
        receiver.recv().expect("no panic")
    }
}

/// What made a span current.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Entry {
    /// `tracing` knows the span only, so that an exit ends the latest entry.
    Entered(usize),
    /// A guard, by its number.
    Attached(usize, Option<usize>),
}

/// The model: what is current on each thread, and whose child each span is.
#[derive(Default)]
struct Model {
    /// In the order in which they became current.
    current: [Vec<Entry>; 2],
    /// The guards, which may be dropped in any order.
    guards: [Vec<Entry>; 2],
    parents: HashMap<usize, Option<usize>>,
    attached: usize,
}

impl Model {
    fn current(&self, thread: usize) -> Option<usize> {
        match self.current[thread].last()? {
            Entry::Entered(span) => Some(*span),
            Entry::Attached(_, span) => *span,
        }
    }

    fn enter(&mut self, thread: usize, span: usize) {
        self.push(thread, Entry::Entered(span));
    }

    fn attach(&mut self, thread: usize, span: Option<usize>) {
        self.attached += 1;
        self.push(thread, Entry::Attached(self.attached, span));
    }

    fn push(&mut self, thread: usize, entry: Entry) {
        self.current[thread].push(entry);
        self.guards[thread].push(entry);
    }

    /// Drops a guard, and returns which.
    fn exit(&mut self, thread: usize, at: Index) -> Option<usize> {
        let guards = &mut self.guards[thread];
        let at = (!guards.is_empty()).then(|| at.index(guards.len()))?;
        let entry = guards.remove(at);
        let current = &mut self.current[thread];
        current.remove(current.iter().rposition(|known| *known == entry)?);
        Some(at)
    }
}

struct Program {
    capture: Capture,
    threads: [Thread; 2],
    model: Model,
    slots: Vec<(usize, Slot)>,
}

fn name(number: usize) -> String {
    format!("span {number}")
}

impl Program {
    fn step(&mut self, thread: usize, step: &Step) {
        let number = self.model.parents.len();
        let current = self.model.current(thread);
        match step {
            Step::Create => {
                let span = self.threads[thread].run(move |_| info_span!("span", otel.name = name(number)));
                self.add(number, current, Slot::Instrumented(span));
            }
            Step::CreateBelow(at) => {
                let Some((parent, id)) = self.instrumented(*at) else { return };
                let span = self.threads[thread].run(move |_| info_span!(parent: id, "span", otel.name = name(number)));
                self.add(number, Some(parent), Slot::Instrumented(span));
            }
            Step::CreateRoot => {
                let span =
                    self.threads[thread].run(move |_| info_span!(parent: None, "span", otel.name = name(number)));
                self.add(number, None, Slot::Instrumented(span));
            }
            Step::Start => {
                let span = self.threads[thread].run(move |_| throughline::span(name(number)).start());
                self.add(number, current, Slot::Annotated(span));
            }
            Step::Enter(at) => self.enter(thread, *at),
            Step::Exit(at) => {
                if let Some(at) = self.model.exit(thread, *at) {
                    self.threads[thread].run(move |local| drop(local.guards.remove(at)));
                }
            }
            Step::Carry => {
                let carried = self.model.current(1 - thread);
                let snapshot = self.threads[1 - thread].run(|_| Snapshot::capture());
                self.threads[thread].run(move |local| local.guards.push(Guard::Attached(snapshot.attach())));
                self.model.attach(thread, carried);
            }
            Step::Drop(at) => {
                if !self.slots.is_empty() {
                    let slot = self.slots.remove(at.index(self.slots.len())).1;
                    self.threads[thread].run(move |_| end(slot));
                }
            }
        }
    }

    fn add(&mut self, number: usize, parent: Option<usize>, slot: Slot) {
        self.model.parents.insert(number, parent);
        self.slots.push((number, slot));
    }

    /// One of the `tracing` spans that are left.
    fn instrumented(&self, at: Index) -> Option<(usize, Option<tracing::Id>)> {
        let instrumented = |(number, slot): &(usize, Slot)| match slot {
            Slot::Instrumented(span) => Some((*number, span.id())),
            Slot::Annotated(_) => None,
        };
        let all: Vec<_> = self.slots.iter().filter_map(instrumented).collect();
        (!all.is_empty()).then(|| all[at.index(all.len())].clone())
    }

    fn enter(&mut self, thread: usize, at: Index) {
        if self.slots.is_empty() {
            return;
        }
        let (number, slot) = &self.slots[at.index(self.slots.len())];
        match slot {
            Slot::Instrumented(span) => {
                let span = span.clone();
                self.threads[thread].run(move |local| local.guards.push(Guard::Entered(span.entered())));
                self.model.enter(thread, *number);
            }
            Slot::Annotated(span) => {
                let within = throughline::Span::within(span.context());
                self.threads[thread].run(move |local| local.guards.push(Guard::Attached(within.attach())));
                self.model.attach(thread, Some(*number));
            }
        }
    }

    /// Ends everything, and compares.
    fn finish(mut self) -> Result<(), TestCaseError> {
        for thread in &self.threads {
            thread.run(|local| while local.guards.pop().is_some() {});
        }
        for (_, slot) in self.slots.drain(..) {
            // Where the subscriber is the default: the registry needs that to close the parent as well.
            self.threads[0].run(move |_| end(slot));
        }
        let spans = self.capture.spans();
        prop_assert_eq!(self.capture.open(), 0);
        prop_assert_eq!(spans.len(), self.model.parents.len());
        for (number, parent) in &self.model.parents {
            let span = self.capture.span(&name(*number));
            match parent {
                None => prop_assert_eq!(span.parent_id(), None, "{} has no parent", name(*number)),
                Some(parent) => {
                    let parent = self.capture.span(&name(*parent));
                    prop_assert!(span.is_child_of(&parent), "{} is below {}", span.name(), parent.name());
                }
            }
        }
        Ok(())
    }
}

fn end(slot: Slot) {
    match slot {
        Slot::Instrumented(span) => drop(span),
        Slot::Annotated(mut span) => span.end(Outcome::ok),
    }
}

fn run(steps: &[(bool, Step)], dispatch: &Dispatch) -> Result<(), TestCaseError> {
    let capture = Capture::new();
    std::thread::scope(|scope| {
        let thread = || {
            let (sender, receiver) = channel::<Work>();
            let capture = capture.clone();
            scope.spawn(move || {
                let _default = tracing::dispatcher::set_default(dispatch);
                let _captured = capture.context().attach();
                let mut local = Local::default();
                for work in receiver {
                    work(&mut local);
                }
            });
            Thread(sender)
        };
        let threads = [thread(), thread()];
        let mut program = Program { capture: capture.clone(), threads, model: Model::default(), slots: Vec::new() };
        for (second, step) in steps {
            program.step(usize::from(*second), step);
        }
        program.finish()
    })
}

#[test]
fn the_tree_is_that_of_the_model() {
    let seed = match std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => RngSeed::Fixed(seed),
        None => RngSeed::Fixed(1),
    };
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(128);
    let config = Config { cases, rng_seed: seed, failure_persistence: None, ..Config::default() };
    let dispatch = dispatch(tracing_subscriber::registry().with(tracing_layer()));
    let run = |steps: Vec<(bool, Step)>| run(&steps, &dispatch);
    TestRunner::new(config).run(&steps(), run).unwrap_or_else(|error| panic!("{error}"));
}
