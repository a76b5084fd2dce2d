//! Runs a program, and compares the recorded spans with the model.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context as TaskContext, Waker};
use std::thread::scope;

use proptest::prelude::*;
use proptest::sample::Index;
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Context, ContextExt as _, KeyValue, Outcome, Snapshot, Value};
use tracing::dispatcher::{set_default, with_default};
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Instrument as _, Span, error, info, info_span};
use tracing_subscriber::Registry;
use tracing_subscriber::reload::Handle;

use super::Step;
use super::events::{Loud, WIDE, wide};
use super::expected::{Current, Expected, Model};
use super::threads::{Guard, Local, Thread};
use throughline::tracing_layer::OpenTelemetrySpanExt as _;

pub(super) struct Subscribers {
    pub(super) all: [Dispatch; 2],
    /// The filter of the second subscriber's layer.
    pub(super) filter: Handle<LevelFilter, Registry>,
}

/// A span of either kind. Those of `tracing` have the number of their subscriber.
enum Slot {
    Instrumented(Span, usize),
    Annotated(throughline::Span),
}

/// A `tracing` span of the program.
#[derive(Clone)]
struct Known {
    number: usize,
    span: Span,
    subscriber: usize,
}

struct Program<'a> {
    capture: Capture,
    subscribers: &'a Subscribers,
    threads: [Thread; 2],
    model: Model,
    slots: Vec<(usize, Slot)>,
    lets_pass: bool,
}

fn name(number: usize) -> String {
    format!("span {number}")
}

impl Program<'_> {
    fn step(&mut self, thread: usize, step: &Step) {
        match step {
            Step::Create { .. } | Step::CreateBelow(_) | Step::CreateRoot | Step::Start | Step::Call => {
                self.create(thread, step);
            }
            Step::Enter(at) => self.enter(thread, *at),
            Step::Exit(at) => {
                if let Some(at) = self.model.exit(thread, *at) {
                    self.threads[thread].run(move |local| local.guards.remove(at).end());
                }
            }
            Step::Carry => {
                let carried = Current { is_span: false, ..self.model.current(1 - thread) };
                let snapshot = self.threads[1 - thread].run(|_| Snapshot::capture());
                self.threads[thread].run(move |local| local.guards.push(Guard::Attached(snapshot.attach())));
                self.model.attach(thread, carried);
            }
            Step::Tag => self.tag(thread),
            Step::Drop(at) => self.drop_slot(thread, *at),
            Step::Filter { lets_pass } => {
                self.lets_pass = *lets_pass;
                let level = if *lets_pass { LevelFilter::TRACE } else { LevelFilter::OFF };
                self.subscribers.filter.reload(level).expect("the subscriber is there");
            }
            _ => self.change(thread, step),
        }
    }

    /// Runs code on a thread, with one of the subscribers as the default.
    fn by<R: Send + 'static>(&self, thread: usize, by: usize, f: impl FnOnce(&mut Local) -> R + Send + 'static) -> R {
        let dispatch = self.subscribers.all[by].clone();
        self.threads[thread].run(move |local| with_default(&dispatch, || f(local)))
    }

    fn create(&mut self, thread: usize, step: &Step) {
        let number = self.model.spans.len();
        let current = self.model.current(thread);
        match step {
            Step::Create { second } => {
                let by = usize::from(*second);
                let create = move |_: &mut _| info_span!("span", otel.name = name(number), value = Empty);
                let span = self.by(thread, by, create);
                if *second && !self.lets_pass {
                    // The span is in the registry, but not recorded by the layer.
                    self.forget(thread, span, by);
                } else {
                    self.add(number, current, Slot::Instrumented(span, by));
                }
            }
            Step::CreateBelow(at) => {
                let Some(Known { number: parent, span, subscriber }) = self.instrumented(*at, None) else { return };
                if subscriber == 1 && !self.lets_pass {
                    return;
                }
                let id = span.id();
                let create = move |_: &mut _| info_span!(parent: id, "span", otel.name = name(number), value = Empty);
                let created = self.by(thread, subscriber, create);
                self.forget(thread, span, subscriber);
                self.model.start(parent);
                self.add(number, self.model.within(parent), Slot::Instrumented(created, subscriber));
            }
            Step::CreateRoot => {
                let create = move |_: &mut _| info_span!(parent: None, "span", otel.name = name(number), value = Empty);
                let span = self.by(thread, 0, create);
                self.add(number, Current { span: None, ..current }, Slot::Instrumented(span, 0));
                self.model.spans[number].links.extend(current.span);
            }
            Step::Start => {
                let span = self.threads[thread].run(move |_| throughline::span(name(number)).start());
                self.add(number, current, Slot::Annotated(span));
            }
            _ => {
                self.threads[thread].run(move |_| {
                    let within = || info_span!("span", otel.name = name(number + 1)).in_scope(|| ());
                    throughline::span(name(number)).run(within);
                });
                self.model.add(current);
                self.model.add(self.model.within(number));
                self.model.spans[number].has_ended = true;
            }
        }
    }

    fn add(&mut self, number: usize, below: Current, slot: Slot) {
        self.model.add(below);
        self.slots.push((number, slot));
    }

    /// One of the remaining `tracing` spans, of this subscriber if one is given.
    fn instrumented(&self, at: Index, subscriber: Option<usize>) -> Option<Known> {
        let instrumented = |(number, slot): &(usize, Slot)| match slot {
            Slot::Instrumented(span, by) if subscriber.is_none_or(|wanted| wanted == *by) => {
                Some(Known { number: *number, span: span.clone(), subscriber: *by })
            }
            _ => None,
        };
        let mut all: Vec<_> = self.slots.iter().filter_map(instrumented).collect();
        (!all.is_empty()).then(|| all.swap_remove(at.index(all.len())))
    }

    /// Drops a handle where its subscriber is the default.
    fn forget(&self, thread: usize, span: Span, by: usize) {
        self.by(thread, by, move |_| drop(span));
    }

    fn enter(&mut self, thread: usize, at: Index) {
        if self.slots.is_empty() {
            return;
        }
        let (number, slot) = &self.slots[at.index(self.slots.len())];
        match slot {
            Slot::Instrumented(span, by) => {
                let (span, dispatch) = (span.clone(), self.subscribers.all[*by].clone());
                self.by(thread, *by, move |local| local.guards.push(Guard::Entered(span.entered(), dispatch)));
                self.model.enter(thread, *number);
            }
            Slot::Annotated(span) => {
                let within = throughline::Span::within(span.context());
                self.threads[thread].run(move |local| local.guards.push(Guard::Attached(within.attach())));
                self.model.attach(thread, self.model.within(*number));
            }
        }
    }

    fn tag(&mut self, thread: usize) {
        let current = self.model.current(thread);
        // The context alone does not keep a span open.
        if current.is_span && self.slots.iter().all(|(number, _)| Some(*number) != current.span) {
            return;
        }
        let tag = i64::try_from(self.model.spans.len()).expect("it fits");
        self.threads[thread].run(move |local| {
            let context = Context::current().with_tags([KeyValue::new("tenant", tag)]);
            local.guards.push(Guard::Attached(throughline::Span::within(context).attach()));
        });
        self.model.attach(thread, Current { tag: Some(tag), ..current });
    }

    fn drop_slot(&mut self, thread: usize, at: Index) {
        if self.slots.is_empty() {
            return;
        }
        let at = at.index(self.slots.len());
        match self.slots[at].1 {
            // A context does not keep the span open.
            Slot::Instrumented(..) if self.model.is_attached(self.slots[at].0) => return,
            Slot::Instrumented(..) => {}
            Slot::Annotated(_) => self.model.spans[self.slots[at].0].has_ended = true,
        }
        let slot = self.slots.remove(at).1;
        self.end(thread, slot);
    }

    fn end(&self, thread: usize, slot: Slot) {
        match slot {
            Slot::Instrumented(span, by) => self.forget(thread, span, by),
            Slot::Annotated(mut span) => self.threads[thread].run(move |_| span.end(Outcome::ok)),
        }
    }

    fn change(&mut self, thread: usize, step: &Step) {
        let count = self.model.spans.iter().map(|span| span.events.len()).sum::<usize>();
        let text = format!("event {count}");
        match step {
            Step::Event | Step::Fail => {
                let fails = matches!(step, Step::Fail);
                let said = text.clone();
                self.threads[thread].run(move |_| {
                    let _none = Span::none().entered();
                    if fails { error!(error = said) } else { wide(&said) }
                });
                let Some(span) = self.model.recording(thread) else { return };
                if fails {
                    span.events.push("exception".to_owned());
                    span.failed = Some(text);
                } else {
                    span.events.push(text);
                }
            }
            Step::SetParent(at, to) | Step::Follow(at, to) => {
                let Some(Known { number, span, subscriber }) = self.instrumented(*at, None) else { return };
                let other = self.instrumented(*to, Some(subscriber)).expect("there is at least the span itself");
                let to = other.span.clone();
                if matches!(step, Step::Follow(..)) {
                    self.by(thread, subscriber, move |_| {
                        span.follows_from(&to);
                    });
                    self.model.start(other.number);
                    self.model.spans[number].links.push(other.number);
                } else {
                    let set = self.by(thread, subscriber, move |_| span.set_parent(to.context()).is_ok());
                    assert_eq!(set, self.model.set_parent(number, other.number));
                }
                self.forget(thread, other.span, subscriber);
            }
            Step::Record(at) | Step::EventOf(at) | Step::Panic(at) | Step::Poll(at) => {
                if let Some(known) = self.instrumented(*at, None) {
                    self.change_one(thread, step, known, text);
                }
            }
            _ => {}
        }
    }

    fn change_one(&mut self, thread: usize, step: &Step, known: Known, text: String) {
        let Known { number, span, subscriber } = known;
        let said = text.clone();
        match step {
            Step::Record(_) => {
                let value = i64::try_from(self.model.spans.len()).expect("it fits");
                self.by(thread, subscriber, move |_| {
                    span.record("value", value).record("undeclared", value);
                });
                self.model.spans[number].value = Some(value);
                return;
            }
            Step::EventOf(_) => self.by(thread, subscriber, move |_| info!(parent: &span, "{said}")),
            Step::Panic(_) => self.by(thread, subscriber, move |_| {
                let panics = || {
                    info!("{said}");
                    resume_unwind(Box::new(()))
                };
                let caught: Result<(), _> = catch_unwind(AssertUnwindSafe(|| span.in_scope(panics)));
                assert!(caught.is_err());
            }),
            _ => {
                let future = async move {
                    let loud = Loud(said);
                    info!("{}", loud.0);
                    std::future::pending::<()>().await;
                };
                let mut future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(future.instrument(span));
                let future = self.by(thread, subscriber, move |_| {
                    assert!(future.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_pending());
                    future
                });
                self.by(1 - thread, subscriber, move |_| drop(future));
            }
        }
        // Events are subject to the filter, too.
        let is_let_pass = subscriber == 0 || self.lets_pass;
        if is_let_pass || !matches!(step, Step::EventOf(_)) {
            self.model.start(number);
        }
        if !is_let_pass {
            return;
        }
        let dropped = matches!(step, Step::Poll(_)).then(|| format!("{text} dropped"));
        self.model.spans[number].events.extend([text].into_iter().chain(dropped));
    }

    /// Ends all spans, and compares them with the model.
    fn finish(mut self) -> Result<(), TestCaseError> {
        for thread in &self.threads {
            thread.run(|local| {
                while let Some(guard) = local.guards.pop() {
                    guard.end();
                }
            });
        }
        for (_, slot) in std::mem::take(&mut self.slots) {
            self.end(0, slot);
        }
        prop_assert_eq!(self.capture.open(), 0);
        prop_assert_eq!(self.capture.spans().len(), self.model.spans.len());
        for (number, expected) in self.model.spans.iter().enumerate() {
            self.compare(&self.capture.span(&name(number)), expected)?;
        }
        Ok(())
    }

    fn compare(&self, span: &FinishedSpan, expected: &Expected) -> Result<(), TestCaseError> {
        let of = |number: &usize| self.capture.span(&name(*number)).span_id();
        let named = span.name();
        prop_assert_eq!(span.parent_id(), expected.parent.as_ref().map(of), "the parent of {}", named);
        let links: Vec<_> = span.links.iter().map(|link| link.span_context.span_id()).collect();
        prop_assert_eq!(links, expected.links.iter().map(of).collect::<Vec<_>>(), "the links of {}", named);
        prop_assert_eq!(crate::event_names(span), expected.events.clone(), "the events of {}", named);
        for event in span.events.iter().filter(|event| event.attributes.iter().any(|it| it.key.as_str() == "ae")) {
            prop_assert_eq!(event.attributes.len(), WIDE);
        }
        let number = |key| match span.attribute(key) {
            Some(Value::I64(number)) => Some(*number),
            _ => None,
        };
        prop_assert_eq!(number("tenant"), expected.tag, "the tag of {}", named);
        prop_assert_eq!(number("value"), expected.value, "the field of {}", named);
        prop_assert_eq!(span.attribute("undeclared"), None);
        let failed = expected.failed.clone().map(opentelemetry::trace::Status::error).unwrap_or_default();
        prop_assert_eq!(&span.status, &failed, "the status of {}", named);
        Ok(())
    }
}

pub(super) fn run(steps: &[(bool, Step)], subscribers: &Subscribers) -> Result<(), TestCaseError> {
    let capture = Capture::new();
    subscribers.filter.reload(LevelFilter::TRACE).expect("the subscriber is there");
    scope(|scope| {
        let thread = || {
            let (thread, works) = Thread::new();
            let capture = capture.clone();
            scope.spawn(move || {
                let _default = set_default(&subscribers.all[0]);
                let _captured = capture.context().attach();
                let mut local = Local::default();
                for work in works {
                    work(&mut local);
                }
            });
            thread
        };
        let threads = [thread(), thread()];
        let capture = capture.clone();
        let (model, slots) = (Model::default(), Vec::new());
        let mut program = Program { capture, subscribers, threads, model, slots, lets_pass: true };
        for (second, step) in steps {
            program.step(usize::from(*second), step);
        }
        program.finish()
    })
}
