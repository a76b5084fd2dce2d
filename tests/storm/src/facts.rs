//! The record of what was done, independent of tracing: a line of text on the standard output of the service, flushed
//! at once. The number of the request and the causing step are sent in the payload of messages.

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

/// The payload of every call and message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The number of the request.
    pub(crate) request: u64,
    /// The step that has sent this; zero at the beginning.
    pub(crate) cause: u64,
    /// The faults that are planned for it; see [`fault`].
    pub(crate) faults: u32,
    /// The number of the attempt, from 1.
    pub(crate) attempt: u32,
}

impl Order {
    /// Whether `fault` is planned for it.
    pub(crate) fn has(self, fault: u32) -> bool {
        self.faults & fault != 0
    }

    /// Whether `fault` is planned, and this is the first attempt.
    pub(crate) fn first_has(self, fault: u32) -> bool {
        self.attempt == 1 && self.has(fault)
    }

    /// The same order, sent by `step`.
    pub(crate) fn from(self, step: &Step) -> Self {
        Self { cause: step.id, attempt: 1, ..self }
    }

    pub(crate) fn to_text(self) -> String {
        format!("{} {} {} {}", self.request, self.cause, self.faults, self.attempt)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ');
        Some(Self {
            request: numbers.next()?.parse().ok()?,
            cause: numbers.next()?.parse().ok()?,
            faults: numbers.next()?.parse().ok()?,
            attempt: numbers.next()?.parse().ok()?,
        })
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Failed,
    Panicked,
    /// Dropped before it was done.
    Cancelled,
    /// The process was killed before it was done.
    Killed,
}

impl Outcome {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Done, "done"),
        (Self::Failed, "failed"),
        (Self::Panicked, "panicked"),
        (Self::Cancelled, "cancelled"),
        (Self::Killed, "killed"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(outcome, _)| *outcome == self).map_or("", |(_, name)| name)
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(outcome, _)| *outcome)
    }
}

/// One step of a request, until it ends. Dropping it writes the fact.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) id: u64,
    request: u64,
    cause: u64,
    name: &'static str,
    hops: &'static str,
    calls: AtomicU32,
    outcome: Option<Outcome>,
}

/// The number of this process, and whether it reports steps when they begin.
static PROCESS: OnceLock<(u64, bool)> = OnceLock::new();
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Sets the unique number of this process, and whether it reports its steps when they begin.
pub(crate) fn set_process(number: u64, announces: bool) {
    PROCESS.get_or_init(|| (number, announces));
}

/// Nanoseconds since 1970, as in spans.
pub(crate) fn now() -> u64 {
    UNIX_EPOCH.elapsed().map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or_default())
}

/// The bits of a step's ID above these are the number of its process.
const PROCESS_SHIFT: u32 = 40;

impl Step {
    /// Begins a step that `order` has caused. `hops` are the kinds of the spans that client libraries and middleware
    /// start between the step that sent the order and this one, from the inside: `server,client`.
    pub(crate) fn begin(name: &'static str, order: Order, hops: &'static str) -> Self {
        let (process, announces) = PROCESS.get().expect("`main` sets it");
        let id = process << PROCESS_SHIFT | NEXT.fetch_add(1, Ordering::Relaxed);
        if *announces {
            say(&format!("begin {} {id} {} {name} killed 0 {hops} 0", order.request, order.cause));
        }
        Self { id, request: order.request, cause: order.cause, name, hops, calls: AtomicU32::new(0), outcome: None }
    }

    /// Begins the step of a batch, which is in a trace of its own.
    pub(crate) fn batch() -> Self {
        Self::begin(BATCH, Order { request: u64::MAX, cause: 0, faults: 0, attempt: 1 }, "")
    }

    /// Begins a step within the same process.
    pub(crate) fn below(&self, name: &'static str) -> Self {
        self.below_by(name, "")
    }

    /// Begins a step within the same process, with the spans in `hops` in between.
    pub(crate) fn below_by(&self, name: &'static str, hops: &'static str) -> Self {
        let order = Order { request: self.request, cause: self.id, faults: 0, attempt: 1 };
        Self::begin(name, order, hops)
    }

    /// Notes that the step calls another process, for which a span of kind client or producer is expected.
    pub(crate) fn calls(&self) -> &Self {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self
    }

    /// The value of `storm.step` on the span of the step.
    pub(crate) fn tag(&self) -> i64 {
        i64::try_from(self.id).unwrap_or_default()
    }

    pub(crate) fn done(mut self) {
        self.outcome = Some(Outcome::Done);
    }

    pub(crate) fn failed(mut self) {
        self.outcome = Some(Outcome::Failed);
    }

    pub(crate) fn killed(mut self) {
        self.outcome = Some(Outcome::Killed);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let ended = if std::thread::panicking() { Outcome::Panicked } else { Outcome::Cancelled };
        let Self { id, request, cause, name, hops, .. } = self;
        let outcome = self.outcome.unwrap_or(ended).name();
        let calls = self.calls.load(Ordering::Relaxed);
        say(&format!("step {request} {id} {cause} {name} {outcome} {calls} {hops} {}", now()));
    }
}

/// Writes one line, and flushes it.
pub(crate) fn say(line: &str) {
    let line = format!("{line}\n");
    let mut out = std::io::stdout().lock();
    // The reader is only gone if the whole storm is.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

/// A step that has ended, as the storm reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) request: u64,
    pub(crate) id: u64,
    pub(crate) cause: u64,
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) calls: u32,
    pub(crate) hops: &'static str,
    /// When it ended.
    pub(crate) ended: u64,
}

/// A batch, with the requests and the steps that have sent its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) id: u64,
    pub(crate) messages: Vec<(u64, u64)>,
}

impl Batch {
    /// Reads what follows `batch ` in a line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let id = words.next()?.parse().ok()?;
        let pair = |word: &str| {
            let (request, cause) = word.split_once(':')?;
            Some((request.parse().ok()?, cause.parse().ok()?))
        };
        Some(Self { id, messages: words.map(pair).collect::<Option<_>>()? })
    }
}

/// The names of all steps. Each request has every one of them.
pub(crate) const STEPS: [&str; 18] = [
    "gateway.accept",
    "gateway.verify",
    "gateway.fulfil",
    "pricing.quote",
    "pricing.estimate",
    "pricing.rank",
    "pricing.weigh",
    "pricing.measure",
    "orders.place",
    "orders.sign",
    "orders.audit",
    "stock.reserve",
    "billing.bill",
    "shipping.ship",
    "archive.store",
    "archive.index",
    "archive.write",
    "archive.remind",
];

/// Steps that not every request has. The last one belongs to a batch.
const OTHERS: [&str; 3] = ["pricing.fast", "pricing.slow", BATCH];

/// The step of a batch of messages, which belongs to no single request.
pub(crate) const BATCH: &str = "analytics.count";

const HOPS: [&str; 5] = ["", "internal", "server", "server,client", "producer"];

fn known(list: &[&'static str], text: &str) -> Option<&'static str> {
    list.iter().find(|name| **name == text).copied()
}

impl Fact {
    /// The number of the process that took the step.
    pub(crate) fn process(&self) -> u64 {
        self.id >> PROCESS_SHIFT
    }

    /// Whether the step called `name` may never happen because this step was killed. If this step is repeated
    /// nevertheless, the steps that it causes are still awaited.
    pub(crate) fn was_due_to(&self, name: &str) -> bool {
        self.name == name || self.name == "pricing.rank" && ["pricing.weigh", "pricing.measure"].contains(&name)
    }

    /// Whether no other attempt at this step follows.
    pub(crate) fn is_final(&self) -> bool {
        self.outcome == Outcome::Done || ["gateway.accept", "pricing.estimate", "orders.audit"].contains(&self.name)
    }

    /// Reads what follows `step ` in a line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let (request, id, cause) = (number()?, number()?, number()?);
        let name = words.next()?;
        Some(Self {
            request,
            id,
            cause,
            name: known(&STEPS, name).or_else(|| known(&OTHERS, name))?,
            outcome: Outcome::parse(words.next()?)?,
            calls: words.next()?.parse().ok()?,
            hops: known(&HOPS, words.next()?)?,
            ended: words.next()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_and_a_fact_are_read_as_written() {
        let order = Order { request: 7, cause: 1 << 41, faults: 5, attempt: 2 };
        assert_eq!(Order::parse(&order.to_text()), Some(order));
        let fact = Fact::parse("7 12 11 orders.place failed 3 server,client 99").expect("a fact");
        assert_eq!(
            (fact.name, fact.outcome, fact.calls, fact.hops, fact.ended),
            ("orders.place", Outcome::Failed, 3, "server,client", 99)
        );
        assert_eq!(Fact::parse("7 12 11 orders.place done 0  99").map(|fact| fact.hops), Some(""));
        assert_eq!(Fact::parse("7 12 11 orders.plac"), None);
    }
}
