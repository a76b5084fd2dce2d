//! Compares what was done with the spans that arrived, request by request.

use std::collections::{BTreeMap, HashMap, HashSet};

use throughline_load::trace::span::SpanKind;

use crate::facts::{BATCH, Batch, Fact, Outcome};
use crate::received::{NONE, Received, Row};

/// How a trace can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Break {
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
    // Those below do not break a trace, and are counted apart.
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
    /// For each kind: how often, in how many requests, and the first places.
    pub(crate) breaks: BTreeMap<Break, Found>,
    pub(crate) killed: u64,
    pub(crate) batches: u64,
    pub(crate) steps: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) count: u64,
    pub(crate) requests: HashSet<u64>,
    /// By the step or the span where it was.
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

/// The spans, by what they are looked up by.
struct Spans<'a> {
    received: &'a Received,
    by_step: HashMap<u64, &'a Row>,
    /// Spans of a step that another one stands for, too.
    twice: Vec<&'a Row>,
    by_id: HashMap<u64, &'a Row>,
    by_trace: HashMap<u128, Vec<&'a Row>>,
    /// Below each span, those that client libraries have started: of kind client or producer, without a step.
    calls: HashMap<u64, u32>,
}

/// More spans than there are between any two steps.
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

    /// The kinds of the spans between a step and the one above it, and that step; zero at the root.
    fn way_up(&self, row: &Row) -> (String, u64) {
        let mut kinds = Vec::new();
        let mut above = self.parent(row);
        // Spans may be each other's parents.
        for _ in 0..MAX_HOPS {
            let Some(row) = above else { break };
            if row.step != 0 {
                return (kinds.join(","), row.step);
            }
            kinds.push(match row.kind {
                SpanKind::Server => "server",
                SpanKind::Client => "client",
                SpanKind::Producer => "producer",
                SpanKind::Consumer => "consumer",
                _ => "internal",
            });
            above = self.parent(row);
        }
        (kinds.join(","), 0)
    }
}

/// Compares all of it.
pub(crate) fn check(requests: u64, facts: &[Fact], batches: &[Batch], received: &Received) -> Findings {
    let spans = Spans::of(received);
    let mut findings = Findings { batches: batches.len() as u64, ..Findings::default() };
    let mut by_request: HashMap<u64, Vec<&Fact>> = HashMap::new();
    let known: HashSet<u64> = facts.iter().map(|fact| fact.id).collect();
    for fact in facts.iter().filter(|fact| fact.name != BATCH) {
        by_request.entry(fact.request).or_default().push(fact);
    }
    let mut traces = HashMap::new();
    for request in 0..requests {
        let facts = by_request.remove(&request).unwrap_or_default();
        if let Some(trace) = check_request(&mut findings, &spans, request, &facts) {
            traces.insert(trace, request);
        }
    }
    check_batches(&mut findings, &spans, batches, &mut traces);
    for row in &spans.twice {
        let request = traces.get(&row.trace).copied();
        findings.add(Break::Twice, request.unwrap_or(row.order), received.name(row), || format!("{row:?}"));
    }
    for (trace, rows) in &spans.by_trace {
        let request = traces.get(trace).copied();
        for row in rows.iter().filter(|row| row.step != 0 && !known.contains(&row.step)) {
            findings.add(Break::Stranger, request.unwrap_or(row.order), received.name(row), || format!("{row:?}"));
        }
        if request.is_none() {
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
    findings.whole = requests - broken.len() as u64;
    findings
}

/// Checks one request, and returns its trace.
fn check_request(findings: &mut Findings, spans: &Spans<'_>, request: u64, facts: &[&Fact]) -> Option<u128> {
    let first = facts.iter().find(|fact| fact.cause == 0);
    let trace = first.and_then(|fact| spans.by_step.get(&fact.id)).map(|row| row.trace);
    // Where the first step has no span, the trace is the one of any other.
    let trace = trace.or_else(|| facts.iter().find_map(|fact| spans.by_step.get(&fact.id)).map(|row| row.trace));
    for fact in facts {
        if fact.outcome == Outcome::Killed {
            findings.killed += 1;
            continue;
        }
        findings.steps += 1;
        check_step(findings, spans, fact, trace);
    }
    let rows = spans.by_trace.get(&trace?)?;
    let mut roots = 0;
    for row in rows {
        roots += u64::from(row.parent == 0);
        if row.parent != 0 && spans.parent(row).is_none() {
            findings.add(Break::Orphan, request, spans.received.name(row), || format!("{row:?}"));
        }
        if row.order != request || row.tenant != request % 10 {
            let kind = if row.step == 0 { Break::HopTags } else { Break::StepTags };
            findings.add(kind, request, spans.received.name(row), || format!("{row:?}"));
        }
    }
    if roots != 1 {
        findings.add(Break::Roots, request, "", || format!("{roots} roots"));
    }
    trace
}

fn check_step(findings: &mut Findings, spans: &Spans<'_>, fact: &Fact, trace: Option<u128>) {
    let mut add = |kind: Break, detail: String| findings.add(kind, fact.request, fact.name, || detail);
    let Some(row) = spans.by_step.get(&fact.id) else {
        return add(Break::NoSpan, format!("{fact:?}"));
    };
    if Some(row.trace) != trace {
        add(Break::OtherTrace, format!("{fact:?}, {row:?}"));
    }
    let (hops, above) = spans.way_up(row);
    if above != fact.cause {
        add(Break::WrongParent, format!("{fact:?}, but below step {above}"));
    } else if hops != fact.hops {
        add(Break::Hops, format!("{fact:?}, but by way of `{hops}`"));
    }
    let calls = spans.calls.get(&row.id).copied().unwrap_or_default();
    if calls != fact.calls {
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
    // It begins its work when the span above has ended.
    if fact.name == "orders.audit" && spans.parent(row).is_some_and(|parent| parent.end > row.end) {
        add(Break::LateEnd, format!("{fact:?}, {row:?}"));
    }
}

/// Each batch has a link to the producer's span of each of its messages.
fn check_batches(findings: &mut Findings, spans: &Spans<'_>, batches: &[Batch], traces: &mut HashMap<u128, u64>) {
    for batch in batches {
        let Some(row) = spans.by_step.get(&batch.id) else {
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
        for (request, _) in batch.messages.iter().filter(|(_, cause)| !linked.contains(cause)) {
            findings.add(Break::NoLink, *request, BATCH, || format!("batch {} has {} links", batch.id, links.len()));
        }
    }
}

#[cfg(test)]
mod tests;
