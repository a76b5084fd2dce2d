//! Each kind of break is detected as such.

use super::*;

/// A request that was accepted, placed by a call, and audited by a detached job; and a batch with its event.
struct World {
    facts: Vec<Fact>,
    batches: Vec<Batch>,
    received: Received,
}

const TRACE: u128 = 7;

fn fact(id: u64, cause: u64, name: &'static str, hops: &'static str, calls: u32) -> Fact {
    Fact { request: 0, id, cause, name, outcome: Outcome::Done, calls, hops, ended: id }
}

fn row(id: u64, parent: u64, step: u64, kind: SpanKind) -> Row {
    Row {
        trace: TRACE,
        id,
        parent,
        step,
        order: 0,
        tenant: 0,
        end: id,
        kind,
        error: false,
        cancelled: false,
        name: 0,
        process: 0,
    }
}

impl World {
    /// Without any breaks.
    fn new() -> Self {
        let facts = vec![
            fact(1, 0, "gateway.accept", "server", 1),
            fact(2, 1, "orders.place", "server,client", 1),
            fact(3, 2, "orders.audit", "", 0),
            Fact { request: u64::MAX, ..fact(4, 0, BATCH, "", 0) },
        ];
        let rows = vec![
            row(10, 0, 0, SpanKind::Server),
            row(11, 10, 1, SpanKind::Internal),
            row(12, 11, 0, SpanKind::Client),
            row(13, 12, 0, SpanKind::Server),
            row(14, 13, 2, SpanKind::Internal),
            row(15, 14, 0, SpanKind::Producer),
            row(16, 14, 3, SpanKind::Internal),
            Row { trace: 8, order: NONE, tenant: NONE, ..row(17, 0, 4, SpanKind::Consumer) },
        ];
        let links = HashMap::from([(4, vec![(TRACE, 15)])]);
        let batches = vec![Batch { id: 4, messages: vec![(0, 2)] }];
        Self { facts, batches, received: Received::of(rows, links) }
    }

    /// Without the span of this id.
    fn without(id: u64) -> Self {
        let mut world = Self::new();
        world.received.rows.retain(|row| row.id != id);
        world
    }

    /// With a change to the span of this id.
    fn with(id: u64, change: impl FnOnce(&mut Row)) -> Self {
        let mut world = Self::new();
        change(world.received.rows.iter_mut().find(|row| row.id == id).expect("there is one"));
        world
    }

    fn check(&self) -> Findings {
        self.check_with(&[])
    }

    fn check_with(&self, deaths: &[Death]) -> Findings {
        check(1, &self.facts, &self.batches, &self.received, deaths)
    }

    /// Checks with a kill of the process that placed the order, so many nanoseconds after the end of its step.
    fn killed(mut self, after: u64) -> Findings {
        const PROCESS: u64 = 1 << 40;
        for fact in &mut self.facts {
            if [2, 3].contains(&fact.id) {
                fact.id += PROCESS;
            }
            if [2, 3].contains(&fact.cause) {
                fact.cause += PROCESS;
            }
        }
        for row in &mut self.received.rows {
            if (13..=16).contains(&row.id) {
                row.process = 1;
            }
            if [2, 3].contains(&row.step) {
                row.step += PROCESS;
            }
        }
        self.batches[0].messages[0].1 += PROCESS;
        self.check_with(&[Death { process: 1, role: "orders", at: 3 + after }])
    }

    /// The kinds of breaks, and how many requests are whole.
    fn breaks(&self) -> (Vec<Break>, u64) {
        let findings = self.check();
        (findings.breaks.into_keys().collect(), findings.whole)
    }
}

#[test]
fn a_whole_trace_is_whole() {
    assert_eq!(World::new().breaks(), (Vec::new(), 1));
}

#[test]
fn a_request_without_facts_is_not_whole() {
    let world = World::new();
    let findings = check(2, &world.facts, &world.batches, &world.received, &[]);
    assert_eq!((findings.breaks.into_keys().collect::<Vec<_>>(), findings.whole), (vec![Break::NoStep], 1));
}

#[test]
fn a_lost_span_is_seen() {
    assert_eq!(World::without(16).breaks(), (vec![Break::NoSpan], 0), "of a step without children");
    assert_eq!(
        World::without(14).breaks(),
        (vec![Break::NoSpan, Break::Orphan, Break::WrongParent, Break::NoLink], 0),
        "of a step with children, to which the batch was linked"
    );
    assert_eq!(World::without(15).breaks(), (vec![Break::Calls, Break::NoLink], 0), "of a producer");
    assert_eq!(World::without(13).breaks(), (vec![Break::Orphan, Break::WrongParent], 0), "of a server");
    assert_eq!(World::without(17).breaks(), (vec![Break::NoSpan], 0), "of a batch");
    assert_eq!(World::without(10).breaks(), (vec![Break::Orphan, Break::Roots, Break::Hops], 0), "of the root");
}

#[test]
fn a_new_trace_is_seen() {
    let mut world = World::with(13, |row| row.parent = 0);
    world.received.rows.iter_mut().filter(|row| (13..=16).contains(&row.id)).for_each(|row| row.trace = 9);
    world.received.links.insert(4, vec![(9, 15)]);
    assert_eq!(world.breaks(), (vec![Break::OtherTrace, Break::WrongParent, Break::Stray], 0));
}

#[test]
fn a_wrong_parent_is_seen() {
    assert_eq!(World::with(16, |row| row.parent = 11).breaks(), (vec![Break::WrongParent], 0));
    assert_eq!(World::with(16, |row| row.parent = 0).breaks(), (vec![Break::Roots, Break::WrongParent], 0));
}

#[test]
fn a_hop_of_another_kind_is_seen() {
    assert_eq!(World::with(13, |row| row.kind = SpanKind::Internal).breaks(), (vec![Break::Hops], 0));
    let twice = World::with(16, |row| (row.parent, row.step, row.kind) = (14, 0, SpanKind::Client));
    assert_eq!(twice.breaks(), (vec![Break::NoSpan, Break::Calls], 0));
}

#[test]
fn a_span_of_a_step_that_nobody_took_is_seen() {
    let mut world = World::new();
    world.facts.remove(2);
    assert_eq!(world.breaks(), (vec![Break::Stranger], 0));
}

#[test]
fn a_step_with_two_spans_is_seen() {
    let mut world = World::new();
    world.received.rows.push(row(18, 14, 3, SpanKind::Internal));
    assert_eq!(world.breaks(), (vec![Break::Twice], 0));
}

#[test]
fn a_cycle_of_parents_is_seen() {
    // The parent of 13 is 12.
    let world = World::with(12, |row| row.parent = 13);
    assert_eq!(world.breaks(), (vec![Break::WrongParent, Break::Calls], 0));
}

#[test]
fn a_lost_link_is_seen() {
    let mut world = World::new();
    world.received.links.clear();
    assert_eq!(world.breaks(), (vec![Break::NoLink], 0));
}

#[test]
fn flaws_in_a_whole_trace_are_seen() {
    assert_eq!(World::with(14, |row| row.order = 1).breaks(), (vec![Break::StepTags], 1));
    assert_eq!(World::with(15, |row| row.tenant = NONE).breaks(), (vec![Break::HopTags], 1));
    assert_eq!(World::with(14, |row| row.error = true).breaks(), (vec![Break::Outcome], 1));
    assert_eq!(World::with(14, |row| row.end = 99).breaks(), (vec![Break::LateEnd], 1));
    for outcome in [Outcome::Failed, Outcome::Panicked, Outcome::Cancelled] {
        let mut world = World::new();
        world.facts[2].outcome = outcome;
        assert_eq!(world.breaks(), (vec![Break::Outcome], 1), "{outcome:?}");
    }
}

#[test]
fn a_killed_attempt_is_counted_and_needs_no_span() {
    let mut world = World::without(16);
    world.facts[2].outcome = Outcome::Killed;
    assert_eq!((world.breaks(), world.check().killed), ((Vec::new(), 1), 1));
}

#[test]
fn what_a_kill_loses_is_not_a_break() {
    let whole = World::new().killed(0);
    assert_eq!((whole.breaks.len(), whole.whole, whole.kills.requests.len()), (0, 1, 0));
    let lost = World::without(16).killed(0);
    assert_eq!((lost.breaks.len(), lost.whole, lost.kills.requests.len()), (0, 0, 1), "a step");
    assert_eq!(lost.kills.tolls["orders"].ended, 1);
    for (ids, what) in [
        (vec![13], "the server's span"),
        (vec![15], "a producer's span, and with it the link of the batch"),
        (vec![13, 14, 15, 16], "everything"),
    ] {
        let mut world = World::new();
        world.received.rows.retain(|row| !ids.contains(&row.id));
        let findings = world.killed(0);
        assert_eq!((findings.breaks.len(), findings.whole), (0, 0), "{what}: {:?}", findings.breaks);
    }
    let mut open = World::without(16);
    open.facts[2].outcome = Outcome::Killed;
    let open = open.killed(0);
    assert_eq!((open.breaks.len(), open.kills.tolls["orders"].open), (0, 1));
}

#[test]
fn what_a_kill_does_not_lose_is_a_break() {
    let kinds = |findings: Findings| findings.breaks.into_keys().collect::<Vec<_>>();
    assert_eq!(
        kinds(World::without(16).killed(12_000_000_000)),
        vec![Break::NoSpan],
        "it was due long before the kill"
    );
    assert_eq!(
        kinds(World::without(11).killed(0)),
        vec![Break::NoSpan, Break::Orphan, Break::WrongParent],
        "a span of another process"
    );
    assert_eq!(kinds(World::with(16, |row| row.parent = 11).killed(0)), vec![Break::WrongParent], "another parent");
    assert_eq!(
        kinds(World::with(16, |row| row.trace = 9).killed(0)),
        vec![Break::OtherTrace, Break::Stray],
        "a new trace"
    );
    assert_eq!(kinds(World::with(16, |row| row.order = 1).killed(0)), vec![Break::StepTags], "no tags");
}

#[test]
fn a_request_that_is_made_again_has_a_trace_for_each_attempt() {
    let mut world = World::new();
    let again = Fact { outcome: Outcome::Killed, ..fact(5, 0, "gateway.accept", "server", 0) };
    world.facts.push(again);
    world.facts.push(fact(6, 5, "pricing.quote", "server,client", 0));
    world.received.rows.push(Row { trace: 9, ..row(20, 19, 0, SpanKind::Server) });
    world.received.rows.push(Row { trace: 9, ..row(21, 20, 6, SpanKind::Internal) });
    let findings = world.check_with(&[Death { process: 0, role: "gateway", at: 7 }]);
    assert_eq!((findings.breaks.len(), findings.kills.requests.len()), (0, 1), "{:?}", findings.breaks);
}
