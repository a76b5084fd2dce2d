//! Compares what was done with the spans that arrived, request by request.

use std::collections::{BTreeMap, HashMap, HashSet};

use throughline_load::trace::span::SpanKind;

use crate::facts::{BATCH, Batch, Fact, Outcome};
use crate::kills::{Death, Kills};
use crate::received::{NONE, Received, Row};

/// How a trace can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Break {
    NoStep,
    NoSpan,
    OtherTrace,
    Orphan,
    Roots,
    WrongParent,
    Hops,
    Calls,
    Stranger,
    Twice,
    NoLink,
    Stray,
    // The following do not break a trace, and are counted separately.
    StepTags,
    HopTags,
    Outcome,
    LateEnd,
}

impl Break {
    /// Whether the trace is no longer whole.
    pub(crate) fn is_fatal(self) -> bool {
        self < Self::StepTags
    }

    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::NoStep => "a request has no steps",
            Self::NoSpan => "a step has no span",
            Self::OtherTrace => "a step is in another trace",
            Self::Orphan => "the parent of a span has not arrived",
            Self::Roots => "a trace has no root, or several",
            Self::WrongParent => "a step is below another one than its cause",
            Self::Hops => "the spans of a hop are missing, or of another kind",
            Self::Calls => "a call has no span, or too many",
            Self::Stranger => "a span stands for a step that nobody took",
            Self::Twice => "a step has several spans",
            Self::NoLink => "a batch has no link to one of its messages",
            Self::Stray => "a trace belongs to no request",
            Self::StepTags => "the span of a step lacks the tags of its request",
            Self::HopTags => "the span of a hop lacks the tags of its request",
            Self::Outcome => "an error, a panic or a cancellation is not on its span",
            Self::LateEnd => "a span ends after a detached job that it did not wait for",
        }
    }
}

/// The result for one run.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The requests whose trace is whole.
    pub(crate) whole: u64,
    /// What was found, by kind.
    pub(crate) breaks: BTreeMap<Break, Found>,
    pub(crate) killed: u64,
    pub(crate) batches: u64,
    pub(crate) steps: u64,
    /// What is missing because a service was killed, which is not a break.
    pub(crate) kills: Kills,
}

#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) count: u64,
    pub(crate) requests: HashSet<u64>,
    /// How often, by step or span.
    pub(crate) places: BTreeMap<String, u64>,
    pub(crate) example: String,
}

impl Findings {
    fn add(&mut self, kind: Break, request: u64, place: &str, detail: impl FnOnce() -> String) {
        let found = self.breaks.entry(kind).or_default();
        found.count += 1;
        found.requests.insert(request);
        *found.places.entry(place.to_owned()).or_default() += 1;
        if found.example.is_empty() {
            found.example = format!("request {request}: {}", detail());
        }
    }
}

/// The spans, indexed.
struct Spans<'a> {
    received: &'a Received,
    by_step: HashMap<u64, &'a Row>,
    /// Additional spans of steps that already have one.
    twice: Vec<&'a Row>,
    by_id: HashMap<u64, &'a Row>,
    by_trace: HashMap<u128, Vec<&'a Row>>,
    /// How many children of each span client libraries have started: of kind client or producer, without a step.
    calls: HashMap<u64, u32>,
}

/// More than there are spans between any two steps.
const MAX_HOPS: usize = 16;

impl<'a> Spans<'a> {
    fn of(received: &'a Received) -> Self {
        let mut spans = Self {
            received,
            by_step: HashMap::new(),
            twice: Vec::new(),
            by_id: HashMap::with_capacity(received.rows.len()),
            by_trace: HashMap::new(),
            calls: HashMap::new(),
        };
        for row in &received.rows {
            spans.by_id.insert(row.id, row);
            spans.by_trace.entry(row.trace).or_default().push(row);
            if row.step != 0 {
                spans.twice.extend(spans.by_step.insert(row.step, row));
            } else if matches!(row.kind, SpanKind::Client | SpanKind::Producer) {
                *spans.calls.entry(row.parent).or_default() += 1;
            }
        }
        spans
    }

    /// The parent of a span, if it has arrived and is in the same trace.
    fn parent(&self, row: &Row) -> Option<&'a Row> {
        self.by_id.get(&row.parent).filter(|parent| parent.trace == row.trace).copied()
    }

    /// Walks up from the span of a step to the step above it. Returns the kinds of the spans in between, the step above
    /// (zero at the root), and the last span if its parent has not arrived.
    fn way_up(&self, row: &'a Row) -> (String, u64, Option<&'a Row>) {
        let mut kinds = Vec::new();
        let mut last = row;
        let mut above = self.parent(row);
        // Bounded, because spans may form a cycle.
        for _ in 0..MAX_HOPS {
            let Some(row) = above else { break };
            if row.step != 0 {
                return (kinds.join(","), row.step, None);
            }
            last = row;
            kinds.push(match row.kind {
                SpanKind::Server => "server",
                SpanKind::Client => "client",
                SpanKind::Producer => "producer",
                SpanKind::Consumer => "consumer",
                _ => "internal",
            });
            above = self.parent(row);
        }
        (kinds.join(","), 0, Some(last).filter(|last| last.parent != 0 && self.parent(last).is_none()))
    }
}

/// The steps, by ID.
type Steps<'a> = HashMap<u64, &'a Fact>;

/// Compares the facts and batches with the spans.
pub(crate) fn check(
    requests: u64,
    facts: &[Fact],
    batches: &[Batch],
    received: &Received,
    deaths: &[Death],
) -> Findings {
    let spans = Spans::of(received);
    let mut findings = Findings { batches: batches.len() as u64, kills: Kills::new(deaths), ..Findings::default() };
    let known: Steps<'_> = facts.iter().map(|fact| (fact.id, fact)).collect();
    // A caller whose gateway was killed repeats its request, in a new trace.
    let mut attempts: HashMap<u64, BTreeMap<u64, Vec<&Fact>>> = HashMap::new();
    for fact in facts.iter().filter(|fact| fact.name != BATCH) {
        let first = std::iter::successors(Some(fact), |fact| known.get(&fact.cause).copied()).last();
        let attempt = first.map_or(0, |first| first.id);
        attempts.entry(fact.request).or_default().entry(attempt).or_default().push(fact);
    }
    let mut traces = HashMap::new();
    for request in 0..requests {
        let attempts = attempts.remove(&request).unwrap_or_default();
        if attempts.is_empty() {
            findings.add(Break::NoStep, request, "", || "nothing was recorded of it".to_owned());
        }
        for facts in attempts.values() {
            if let Some(trace) = check_request(&mut findings, &spans, request, facts, &known) {
                traces.insert(trace, request);
            }
        }
    }
    check_batches(&mut findings, &spans, batches, &mut traces, &known);
    for row in &spans.twice {
        let request = traces.get(&row.trace).copied();
        findings.add(Break::Twice, request.unwrap_or(row.order), received.name(row), || format!("{row:?}"));
    }
    for (trace, rows) in &spans.by_trace {
        let request = traces.get(trace).copied();
        for row in rows.iter().filter(|row| row.step != 0 && !known.contains_key(&row.step)) {
            findings.add(Break::Stranger, request.unwrap_or(row.order), received.name(row), || format!("{row:?}"));
        }
        if request.is_none() && !is_remnant(&findings.kills, &spans, rows) {
            let row = rows[0];
            findings.add(Break::Stray, row.order, received.name(row), || format!("{row:?}"));
        }
    }
    let broken: HashSet<u64> = findings
        .breaks
        .iter()
        .filter(|(kind, _)| kind.is_fatal())
        .flat_map(|(_, found)| &found.requests)
        .copied()
        .filter(|request| *request < requests)
        .collect();
    findings.whole =
        (0..requests).filter(|it| !broken.contains(it) && !findings.kills.requests.contains(it)).count() as u64;
    findings
}

/// Whether these are the spans of a call by a killed process that led to no step.
fn is_remnant(kills: &Kills, spans: &Spans<'_>, rows: &[&Row]) -> bool {
    let torn = rows.iter().any(|row| row.parent != 0 && spans.parent(row).is_none());
    torn && rows.iter().all(|row| row.step == 0 && kills.requests.contains(&row.order))
}

/// Checks one attempt at a request, and returns its trace.
fn check_request(
    findings: &mut Findings,
    spans: &Spans<'_>,
    request: u64,
    facts: &[&Fact],
    known: &Steps<'_>,
) -> Option<u128> {
    let first = facts.iter().find(|fact| fact.cause == 0);
    let trace = first.and_then(|fact| spans.by_step.get(&fact.id)).map(|row| row.trace);
    // If the first step has no span, any other step determines the trace.
    let trace = trace.or_else(|| facts.iter().find_map(|fact| spans.by_step.get(&fact.id)).map(|row| row.trace));
    let mut torn = HashSet::new();
    for fact in facts {
        if fact.outcome == Outcome::Killed {
            findings.killed += 1;
            findings.kills.take_step(fact);
            continue;
        }
        findings.steps += 1;
        torn.extend(check_step(findings, spans, fact, trace, known));
    }
    let rows = spans.by_trace.get(&trace?)?;
    // The parents of these may have been in the same process.
    let took_from =
        |process| facts.iter().any(|fact| fact.process() == process && is_lost(&findings.kills, spans, fact));
    let lost: HashSet<u64> =
        rows.iter().map(|row| row.process).filter(|it| findings.kills.has(*it) && took_from(*it)).collect();
    let anything_lost = facts.iter().any(|fact| is_lost(&findings.kills, spans, fact));
    let root_is_lost = first.is_some_and(|first| is_lost(&findings.kills, spans, first) || torn.contains(&ROOT));
    let mut roots = 0;
    for row in rows {
        roots += u64::from(row.parent == 0);
        // A call without a step: its caller was killed in the meantime.
        let dropped = || row.step == 0 && anything_lost && rows.iter().all(|below| below.parent != row.id);
        let excused = || torn.contains(&row.id) || lost.contains(&row.process) || dropped();
        if row.parent != 0 && spans.parent(row).is_none() && !excused() {
            findings.add(Break::Orphan, request, spans.received.name(row), || format!("{row:?}"));
        }
        if row.order != request || row.tenant != request % 10 {
            let kind = if row.step == 0 { Break::HopTags } else { Break::StepTags };
            findings.add(kind, request, spans.received.name(row), || format!("{row:?}"));
        }
    }
    if roots != 1 && !(roots == 0 && root_is_lost) {
        findings.add(Break::Roots, request, "", || format!("{roots} roots"));
    }
    trace
}

/// Whether the span of this step is lost by a kill.
fn is_lost(kills: &Kills, spans: &Spans<'_>, fact: &Fact) -> bool {
    kills.may_take(fact).is_some() && !spans.by_step.contains_key(&fact.id)
}

/// Stands for the root of the trace, in place of a span ID.
const ROOT: u64 = 0;

/// Checks one step, and returns the span above it whose parent was lost by a kill, if there is one.
fn check_step(
    findings: &mut Findings,
    spans: &Spans<'_>,
    fact: &Fact,
    trace: Option<u128>,
    known: &Steps<'_>,
) -> Vec<u64> {
    let Some(row) = spans.by_step.get(&fact.id) else {
        if !findings.kills.take_step(fact) {
            findings.add(Break::NoSpan, fact.request, fact.name, || format!("{fact:?}"));
        }
        return Vec::new();
    };
    let (hops, above, torn) = spans.way_up(row);
    let torn = torn.filter(|torn| {
        let cause = known.get(&fact.cause).copied();
        // These have their parent in the process above, and all others in their own.
        let remote = matches!(torn.kind, SpanKind::Server | SpanKind::Consumer) && fact.cause != 0;
        let process = if remote { cause.map(Fact::process) } else { Some(torn.process) };
        let there = [Some(fact), cause].into_iter().flatten().filter(|fact| Some(fact.process()) == process);
        there.into_iter().any(|fact| findings.kills.may_take(fact).is_some())
    });
    let mut excused: Vec<u64> = torn.map(|row| row.id).into_iter().collect();
    if torn.is_some() && fact.cause == 0 {
        excused.push(ROOT);
    }
    let calls = spans.calls.get(&row.id).copied().unwrap_or_default();
    let lost_calls = calls < fact.calls && findings.kills.take_calls(fact, fact.calls - calls);
    if torn.is_some() {
        findings.kills.requests.insert(fact.request);
    }
    let mut add = |kind: Break, detail: String| findings.add(kind, fact.request, fact.name, || detail);
    if Some(row.trace) != trace {
        add(Break::OtherTrace, format!("{fact:?}, {row:?}"));
    }
    if torn.is_some() {
        // The step above is unknown, so neither the parent nor the hops can be checked.
    } else if above != fact.cause {
        add(Break::WrongParent, format!("{fact:?}, but below step {above}"));
    } else if hops != fact.hops {
        add(Break::Hops, format!("{fact:?}, but by way of `{hops}`"));
    }
    if calls != fact.calls && !lost_calls {
        add(Break::Calls, format!("{fact:?}, but {calls} spans"));
    }
    let shown = match fact.outcome {
        Outcome::Failed | Outcome::Panicked => row.error,
        Outcome::Cancelled => row.cancelled,
        _ => !row.error && !row.cancelled,
    };
    if !shown {
        add(Break::Outcome, format!("{fact:?}, {row:?}"));
    }
    // This job starts to work when the span above has ended.
    if fact.name == "orders.audit" && spans.parent(row).is_some_and(|parent| parent.end > row.end) {
        add(Break::LateEnd, format!("{fact:?}, {row:?}"));
    }
    excused
}

/// Each batch has a link to the producer's span of each of its messages.
fn check_batches(
    findings: &mut Findings,
    spans: &Spans<'_>,
    batches: &[Batch],
    traces: &mut HashMap<u128, u64>,
    known: &Steps<'_>,
) {
    for batch in batches {
        let Some(row) = spans.by_step.get(&batch.id) else {
            if known.get(&batch.id).is_some_and(|fact| findings.kills.take_step(fact)) {
                findings.kills.requests.extend(batch.messages.iter().map(|(request, _)| request));
                continue;
            }
            for (request, _) in &batch.messages {
                findings.add(Break::NoSpan, *request, BATCH, || format!("batch {}", batch.id));
            }
            continue;
        };
        traces.insert(row.trace, NONE);
        let links = spans.received.links.get(&batch.id).map(Vec::as_slice).unwrap_or_default();
        let linked: HashSet<u64> = links
            .iter()
            .filter_map(|(trace, id)| spans.by_id.get(id).filter(|row| row.trace == *trace))
            .filter_map(|producer| spans.parent(producer))
            .map(|above| above.step)
            .collect();
        for (request, cause) in batch.messages.iter().filter(|(_, cause)| !linked.contains(cause)) {
            // The producer's span, or the one above it, was lost, which is counted in their own checks.
            let sent = |fact: &&Fact| {
                spans.by_step.get(&fact.id).is_some_and(|row| spans.calls.get(&row.id) >= Some(&fact.calls))
            };
            let missing = known.get(cause).filter(|fact| !sent(fact));
            if missing.is_some_and(|cause| findings.kills.may_take(cause).is_some()) {
                findings.kills.requests.insert(*request);
                continue;
            }
            findings.add(Break::NoLink, *request, BATCH, || format!("batch {} has {} links", batch.id, links.len()));
        }
    }
}

#[cfg(test)]
mod tests;
