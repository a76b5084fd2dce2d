//! What the services have reported so far, and who waits for what.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::facts::{Batch, Fact, STEPS};
use crate::kills::Death;

/// A message of a service that the storm has to respond to.
#[derive(Debug)]
pub(crate) enum Event {
    /// It is ready, at this address if it listens.
    Ready(String),
    /// It wants to be killed.
    Kill,
    /// It has ended.
    Report(Report),
}

/// The final report of a service: CPU time in milliseconds, and how many spans were exported and lost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Report {
    pub(crate) processor: u64,
    pub(crate) exported: u64,
    pub(crate) lost: u64,
}

impl Report {
    fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.split(' ').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self { processor: next()?, exported: next()?, lost: next()? })
    }
}

/// The facts of a run.
#[derive(Default)]
pub(crate) struct Board {
    facts: Mutex<Vec<Fact>>,
    batches: Mutex<Vec<Batch>>,
    /// For each request, a bit set of its missing steps, and a permit that is released when none is missing.
    open: Mutex<HashMap<u64, (u32, OwnedSemaphorePermit)>>,
    /// Callers that hang up as soon as the gateway holds their request.
    holds: Mutex<HashMap<u64, oneshot::Sender<()>>>,
    /// The steps that have begun and not ended.
    begun: Mutex<HashMap<u64, Fact>>,
    /// Callers that have hung up. They are told whether their order was fulfilled or lost with the gateway.
    fates: Mutex<HashMap<u64, oneshot::Sender<bool>>>,
    deaths: Mutex<Vec<Death>>,
    done: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bit of the batch that contains the request's message.
const COUNTED: u32 = 1 << STEPS.len();

impl Board {
    /// Begins a request. `permit` is released when all of its steps are done.
    pub(crate) fn open(&self, request: u64, permit: OwnedSemaphorePermit) {
        locked(&self.open).insert(request, (COUNTED * 2 - 1, permit));
    }

    /// Completes when the gateway holds the request.
    pub(crate) fn held(&self, request: u64) -> oneshot::Receiver<()> {
        let (send, receive) = oneshot::channel();
        locked(&self.holds).insert(request, send);
        receive
    }

    /// Completes when the order was fulfilled, or lost with the gateway that had accepted it.
    pub(crate) fn fate(&self, request: u64) -> oneshot::Receiver<bool> {
        let (send, receive) = oneshot::channel();
        locked(&self.fates).insert(request, send);
        receive
    }

    /// Notes that a process was killed, after all of its output has been noted.
    pub(crate) fn died(&self, death: Death) {
        let ids: Vec<u64> = locked(&self.begun).keys().copied().collect();
        for id in ids {
            let mut begun = locked(&self.begun);
            let Some(fact) = begun.get(&id).filter(|fact| fact.process() == death.process).copied() else { continue };
            begun.remove(&id);
            drop(begun);
            let lost = STEPS.iter().enumerate().filter(|(_, name)| fact.was_due_to(name));
            self.did(fact.request, lost.fold(0, |steps, (bit, _)| steps | 1 << bit));
            self.decide(&fact, false);
            locked(&self.facts).push(Fact { ended: death.at, ..fact });
        }
        locked(&self.deaths).push(death);
    }

    /// Takes all kills.
    pub(crate) fn take_deaths(&self) -> Vec<Death> {
        std::mem::take(&mut *locked(&self.deaths))
    }

    fn decide(&self, fact: &Fact, fulfilled: bool) {
        if fact.name == "gateway.fulfil" {
            // Without kills, no caller waits for it.
            let _ = locked(&self.fates).remove(&fact.request).map(|fate| fate.send(fulfilled));
        }
    }

    /// The number of requests that have all of their steps.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Takes all facts and batches.
    pub(crate) fn take(&self) -> (Vec<Fact>, Vec<Batch>) {
        (std::mem::take(&mut *locked(&self.facts)), std::mem::take(&mut *locked(&self.batches)))
    }

    /// Describes the requests that are not done.
    pub(crate) fn missing(&self) -> Vec<String> {
        let open = locked(&self.open);
        let lacks = |missing: u32| {
            let steps = STEPS.iter().chain(&["batch"]).enumerate().filter(|(bit, _)| missing & 1 << bit != 0);
            steps.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
        };
        open.iter().map(|(request, (missing, _))| format!("request {request} lacks {}", lacks(*missing))).collect()
    }

    fn did(&self, request: u64, steps: u32) {
        let mut open = locked(&self.open);
        let Some((missing, _)) = open.get_mut(&request) else { return };
        *missing &= !steps;
        if *missing == 0 {
            open.remove(&request);
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes one line of a service's output.
    pub(crate) fn note(&self, line: &str, events: &mpsc::UnboundedSender<Event>) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "begin" => {
                let fact = Fact::parse(rest).unwrap_or_else(|| panic!("no fact: {line}"));
                locked(&self.begun).insert(fact.id, fact);
            }
            "step" => {
                let fact = Fact::parse(rest).unwrap_or_else(|| panic!("no fact: {line}"));
                locked(&self.begun).remove(&fact.id);
                self.decide(&fact, true);
                let step = STEPS.iter().position(|name| *name == fact.name);
                if let Some(step) = step.filter(|_| fact.is_final()) {
                    self.did(fact.request, 1 << step);
                }
                locked(&self.facts).push(fact);
            }
            "batch" => {
                let batch = Batch::parse(rest).unwrap_or_else(|| panic!("no batch: {line}"));
                batch.messages.iter().for_each(|(request, _)| self.did(*request, COUNTED));
                locked(&self.batches).push(batch);
            }
            "hold" => {
                let held = rest.parse().ok().and_then(|request: u64| locked(&self.holds).remove(&request));
                // A caller that is gone has hung up.
                let _ = held.map(|held| held.send(()));
            }
            "ready" => drop(events.send(Event::Ready(rest.to_owned()))),
            "kill" => drop(events.send(Event::Kill)),
            "report" => drop(events.send(Event::Report(Report::parse(rest).expect("three numbers")))),
            _ => eprintln!("{line}"),
        }
    }
}
