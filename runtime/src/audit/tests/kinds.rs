//! Each kind of break, and similar traces that are not broken.

use std::time::Duration;

use super::*;
use crate::audit::Event;

fn server(id: u64, parent: u64) -> Span {
    span(id, parent, "POST /orders").kind(SpanKind::Server)
}

fn job(id: u64, parent: u64) -> Span {
    span(id, parent, "send receipt").tag(semconv::THROUGHLINE_JOB_QUEUE_TIME_US, 12)
}

#[track_caller]
fn finds_in(rules: Rules, spans: impl IntoIterator<Item = Span>, expected: (BreakKind, &str, &str, &str)) -> Report {
    let report = audit(rules, spans);
    let (kind, span, place, detail) = expected;
    assert_eq!(found(&report), [(kind, span, place.to_owned(), detail)], "{report}");
    let is_complete = report.total.complete == report.total.traces;
    assert_eq!(is_complete, !kind.breaks_the_tree(), "{report}");
    assert_eq!(report.traces.len(), 1);
    assert_eq!(report.traces[0].marks[0].kind, kind);
    report
}

#[track_caller]
fn finds(spans: impl IntoIterator<Item = Span>, expected: (BreakKind, &str, &str, &str)) -> Report {
    finds_in(Rules::new(), spans, expected)
}

#[test]
fn a_consumer_without_a_parent() {
    let consume = || span(1, 0, "process orders").kind(SpanKind::Consumer).at("src/worker.rs", 7);
    let detail = "a consumer began a trace, with neither a parent nor a link";
    finds([consume()], (BreakKind::UnparentedEntry, "process orders", "src/worker.rs:7", detail));
    assert_unbroken(&audit(Rules::new(), [consume().linked()]));
    assert_unbroken(&audit(Rules::new().allow_root("process orders"), [consume()]));
    // The link is to the loop in which it runs, and not to the sender of the message.
    let missing = consume().linked().tag(semconv::THROUGHLINE_PARENT_MISSING, true);
    let detail = "a consumer began a trace, with neither a parent nor a link to its cause";
    finds([missing], (BreakKind::UnparentedEntry, "process orders", "src/worker.rs:7", detail));
    // A receive operation without a message has no sender.
    let receive = || consume().tag(semconv::MESSAGING_OPERATION_TYPE, "receive");
    assert_unbroken(&audit(Rules::new(), [receive()]));
    assert_unbroken(&audit(Rules::new(), [receive().tag(semconv::MESSAGING_BATCH_MESSAGE_COUNT, 0)]));
    assert!(!audit(Rules::new(), [receive().tag(semconv::MESSAGING_BATCH_MESSAGE_COUNT, 3)]).is_unbroken());
    assert!(!audit(Rules::new(), [receive().tag(semconv::MESSAGING_MESSAGE_ID, "7")]).is_unbroken());
}

#[test]
fn a_server_without_a_parent_that_is_not_called_from_outside() {
    assert_unbroken(&audit(Rules::new(), [server(1, 0)]));
    assert_unbroken(&audit(Rules::new().edge("orders"), [server(1, 0)]));
    assert_unbroken(&audit(Rules::new().edge("gateway"), [span(1, 0, "tick")]));
    let detail = "a server began a trace, and `orders` is not called from outside";
    finds_in(Rules::new().edge("gateway"), [server(1, 0)], (BreakKind::UnparentedEntry, "POST /orders", "", detail));
}

#[test]
fn a_detached_job_without_a_parent() {
    let detail = "a detached job began a trace, with neither a parent nor a link";
    finds([job(1, 0).at("src/mail.rs", 3)], (BreakKind::UnparentedEntry, "send receipt", "src/mail.rs:3", detail));
    assert_unbroken(&audit(Rules::new(), [job(1, 0).linked()]));
    assert_unbroken(&audit(Rules::new(), [job(1, 0).tag(semconv::THROUGHLINE_JOB_ROOT, true)]));
    assert_unbroken(&audit(Rules::new().partial(), [server(1, 0), job(2, 1)]));
}

#[test]
fn a_root_of_a_kind_that_may_not_be_one() {
    let rules = || Rules::new().root_kinds([SpanKind::Server]);
    assert_unbroken(&audit(rules(), [server(1, 0), span(2, 1, "lost")]));
    for (kind, name) in
        [(SpanKind::Internal, "internal"), (SpanKind::Client, "client"), (SpanKind::Producer, "producer")]
    {
        let lost = Span { kind, ..span(1, 0, "lost") };
        let detail = format!("a span of kind {name} began a trace");
        finds_in(rules(), [lost], (BreakKind::UnparentedEntry, "lost", "", &detail));
    }
    let idle = Span { kind: SpanKind::Consumer, ..span(1, 0, "receive") };
    let idle = idle.tag(semconv::MESSAGING_OPERATION_TYPE, "receive").tag(semconv::MESSAGING_BATCH_MESSAGE_COUNT, 0);
    let detail = "a span of kind consumer began a trace";
    finds_in(rules(), [idle], (BreakKind::UnparentedEntry, "receive", "", detail));
}

#[test]
fn a_parent_that_was_never_received() {
    let spans = [server(1, 0), span(3, 2, "charge card").at("src/pay.rs", 31), span(4, 2, "print"), span(5, 3, "bank")];
    let detail = "its parent 0000000000000002 was never received, and 1 more span has the same parent";
    let report = finds(spans, (BreakKind::MissingParent, "charge card", "src/pay.rs:31", detail));
    let example = &report.breaks[0].examples[0];
    assert_eq!(example.trace_id, Some(TraceId::from(1)));
    assert_eq!(example.spans, [SpanId::from(3), SpanId::from(4)]);
}

/// The span of a process that runs for days has any number of children, and is never received.
#[test]
fn a_missing_parent_of_many_children() {
    let spans = || (1..=1_000).map(|id| span(id, 5_000, "work").times(1_000 + id, 3_000));
    let example = |rules| audit(rules, spans()).breaks[0].examples[0].clone();
    let found = example(Rules::new());
    assert_eq!(found.detail, "its parent 0000000000001388 was never received, and 999 more spans have the same parent");
    assert_eq!(found.spans, (1..=500_u64).map(SpanId::from).collect::<Vec<_>>());
    assert_eq!(example(Rules::new().max_spans_shown(0)).spans, [SpanId::from(1)]);
}

#[test]
fn the_place_of_a_break_is_the_nearest_one() {
    let place = |spans: [Span; 5]| {
        let report = audit(Rules::new(), spans);
        assert_eq!(report.count(BreakKind::EndedBeforeChild), 1, "{report}");
        report.breaks[0].place.as_ref().map(ToString::to_string)
    };
    let late = || span(3, 2, "late").times(1_200, 1_300);
    let (top, above) = (|| span(1, 0, "top"), || span(2, 1, "above").times(1_002, 1_003));
    let below = |id| span(id, 3, "below").times(1_200 + id, 1_250);
    // The place of the span itself, of its ancestors, nearest first, and of its children, in the order of their start.
    let spans = [top().at("top", 1), above().at("above", 2), late().at("own", 3), below(4), below(5)];
    assert_eq!(place(spans).as_deref(), Some("own:3"));
    let spans = [top().at("top", 1), above().at("above", 2), late(), below(4).at("first", 4), below(5)];
    assert_eq!(place(spans).as_deref(), Some("above:2"));
    let spans = [top().at("top", 1), above(), late(), below(4).at("first", 4), below(5)];
    assert_eq!(place(spans).as_deref(), Some("top:1"));
    let spans = [top(), above(), late(), below(4).at("first", 4), below(5).at("second", 5)];
    assert_eq!(place(spans).as_deref(), Some("first:4"));
    let spans = [top(), above(), late(), below(4), below(5).at("second", 5)];
    assert_eq!(place(spans).as_deref(), Some("second:5"));
    let spans = [top(), above(), late(), below(4), below(5)];
    assert_eq!(place(spans), None);
}

#[test]
fn a_parent_in_another_process_is_not_missing_in_a_partial_audit() {
    let mut remote = server(2, 1);
    // Whether the parent is remote is unknown, but likely for a server span.
    assert_unbroken(&audit(Rules::new().partial(), [remote.clone()]));
    remote.parent_is_remote = Some(true);
    assert_unbroken(&audit(Rules::new().partial(), [remote.clone(), span(3, 2, "load")]));
    assert_eq!(audit(Rules::new(), [remote.clone()]).count(BreakKind::MissingParent), 1);
    remote.parent_is_remote = Some(false);
    assert_eq!(audit(Rules::new().partial(), [remote]).count(BreakKind::MissingParent), 1);
}

#[test]
fn two_roots_in_a_trace() {
    let detail = "`POST /orders` is a root of the same trace";
    finds([server(1, 0), span(2, 0, "again")], (BreakKind::SecondRoot, "again", "", detail));
    // Two calls from another process.
    assert_unbroken(&audit(Rules::new().partial(), [server(2, 1), server(3, 1)]));
}

#[test]
fn a_cycle_of_parents() {
    finds([span(1, 1, "self")], (BreakKind::Cycle, "self", "", "it is its own parent"));
    let cycle = [span(1, 3, "a"), span(2, 1, "b"), span(3, 2, "c"), span(4, 3, "below")];
    finds(cycle, (BreakKind::Cycle, "a", "", "it is its own ancestor, through 2 spans"));
}

#[test]
fn two_spans_with_the_same_id() {
    finds(
        [server(1, 0), span(2, 1, "load"), span(2, 1, "store")],
        (BreakKind::Cycle, "store", "", "it has the same ID as `load`"),
    );
    // Spans of two services are different, however much they have in common.
    let other = server(1, 0).of("archive");
    assert_eq!(audit(Rules::new(), [server(1, 0), other]).count(BreakKind::Cycle), 1);
    // The same span, exported twice.
    let report = audit(Rules::new(), [server(1, 0), span(2, 1, "load"), span(2, 1, "load")]);
    assert_unbroken(&report);
    assert_eq!(report.total.spans, 2);
}

#[test]
fn a_span_that_never_ended() {
    let mut open = span(2, 1, "wait").at("src/wait.rs", 5);
    open.end = None;
    finds([server(1, 0), open], (BreakKind::NeverEnded, "wait", "src/wait.rs:5", "it has no end"));
    let ended = span(2, 1, "wait").times(1_002, 4_002).tag(semconv::THROUGHLINE_UNFINISHED, true);
    let detail = "it was still open after 3.0 s, when the process shut down";
    finds([server(1, 0), ended], (BreakKind::NeverEnded, "wait", "", detail));
}

#[test]
fn a_span_that_began_after_its_parent_had_ended() {
    let server = || server(1, 0).times(1_000, 1_100);
    let late = || span(2, 1, "clean up").times(1_103, 1_104).at("src/clean.rs", 9);
    let detail = "it began 3.0 ms after its parent `POST /orders` had ended";
    finds([server(), late()], (BreakKind::EndedBeforeChild, "clean up", "src/clean.rs:9", detail));
    // Tracers that export microseconds round the start up and the end down.
    let just = |nanos| Span { start: 1_100 * MS + nanos, ..late() };
    assert_unbroken(&audit(Rules::new(), [server(), just(2_000)]));
    assert_eq!(audit(Rules::new(), [server(), just(2_001)]).count(BreakKind::EndedBeforeChild), 1);
    assert_unbroken(&audit(Rules::new(), [server(), late().linked()]));
    assert_unbroken(&audit(Rules::new(), [server(), late().kind(SpanKind::Consumer)]));
    assert_unbroken(&audit(Rules::new(), [server(), job(2, 1).times(1_103, 1_104)]));
    assert_unbroken(&audit(Rules::new(), [server(), late().tag(semconv::THROUGHLINE_DETACHED, true)]));
    assert_unbroken(&audit(Rules::new(), [server().kind(SpanKind::Producer), late()]));
    // A child may outlive its parent.
    assert_unbroken(&audit(Rules::new(), [server(), span(2, 1, "stream").times(1_050, 1_200)]));
    // A client that hung up.
    assert_unbroken(&audit(Rules::new(), [server(), late().of("stock").kind(SpanKind::Server)]));
}

#[test]
fn a_required_tag_without_a_value() {
    let mut place = span(2, 1, "place").at("src/orders.rs", 4);
    let key = KeyValue::new(semconv::THROUGHLINE_TAG_KEY, "tenant_id");
    place.events.push(Event::new("throughline.tag.missing", 0, vec![key]));
    let detail = "the required tag `tenant_id` had no value";
    let report = finds([server(1, 0), place], (BreakKind::MissingTag, "place", "src/orders.rs:4", detail));
    assert_eq!(report.breaks[0].subject.as_deref(), Some("tenant_id"));
}

#[test]
fn a_required_tag_that_no_span_of_a_service_has() {
    let rules = || Rules::new().require_tag("tenant_id");
    let orders = || [server(1, 0), span(2, 1, "place").tag("tenant_id", "acme")];
    let stock = || span(3, 2, "GET /stock").kind(SpanKind::Server).of("stock");
    assert_unbroken(&audit(rules(), orders()));
    let detail = "none of 2 spans has the required tag `tenant_id`";
    let spans = orders().into_iter().chain([stock(), span(4, 3, "count").of("stock").at("src/stock.rs", 2)]);
    let report = finds_in(rules(), spans, (BreakKind::MissingTag, "GET /stock", "src/stock.rs:2", detail));
    assert_eq!(&*report.breaks[0].service, "stock");
    assert_unbroken(&audit(rules(), orders().into_iter().chain([stock().tag("tenant_id", "acme")])));
}

#[test]
fn two_values_of_a_business_tag() {
    let rules = || Rules::new().business_tag("tenant_id");
    let tagged = |id, name, tenant: &'static str| span(id, 1, name).tag("tenant_id", tenant);
    let spans =
        |second| [server(1, 0), tagged(2, "place", "acme"), tagged(3, "charge", second), tagged(4, "log", second)];
    assert_unbroken(&audit(rules(), spans("acme")));
    assert_unbroken(&audit(Rules::new(), spans("globex")));
    let number = |id, value: f64| span(id, u64::from(id > 1), "rate").tag("tenant_id", value);
    assert_unbroken(&audit(rules(), [number(1, f64::NAN), number(2, f64::NAN)]));
    // The same text, with different types.
    let mixed = [span(1, 0, "a").tag("tenant_id", 7), span(2, 1, "b").tag("tenant_id", "7")];
    assert_eq!(audit(rules(), mixed).count(BreakKind::ConflictingTag), 1);
    let detail = "`tenant_id` is `globex` here, and `acme` on `place`";
    finds_in(rules(), spans("globex"), (BreakKind::ConflictingTag, "charge", "", detail));
}

#[test]
fn a_sampling_decision_that_flipped() {
    let sampled = |mut span: Span, is_sampled| {
        span.is_sampled = is_sampled;
        span
    };
    let spans = |above, here| [sampled(server(1, 0), above), sampled(span(2, 1, "load").at("src/db.rs", 1), here)];
    for same in [None, Some(true), Some(false)] {
        assert_unbroken(&audit(Rules::new(), spans(same, same)));
        assert_unbroken(&audit(Rules::new(), spans(same, None)));
    }
    let detail = "it is not sampled, and its parent `POST /orders` is sampled";
    let expected = (BreakKind::SamplingFlipped, "load", "src/db.rs:1", detail);
    finds(spans(Some(true), Some(false)), expected);
    let detail = "it is sampled, and its parent `POST /orders` is not sampled";
    finds(spans(Some(false), Some(true)), (BreakKind::SamplingFlipped, "load", "src/db.rs:1", detail));
}

#[test]
fn clocks_that_differ() {
    let client = || span(1, 0, "GET").kind(SpanKind::Client).times(1_000, 1_050);
    let server = |start| span(2, 1, "GET /stock").kind(SpanKind::Server).of("stock").times(start, start + 10);
    let rules = || Rules::new().clock_bound(Duration::from_millis(200));
    assert_unbroken(&audit(rules(), [client(), server(810)]));
    assert_unbroken(&audit(rules(), [client(), server(1_240)]));
    let detail = "it began 250.0 ms before its parent `GET`";
    finds_in(rules(), [client(), server(750)], (BreakKind::ClockSkew, "GET /stock", "", detail));
    let detail = "it began 210.0 ms after its parent `GET` had ended, although that waited for the response";
    finds_in(rules(), [client(), server(1_260)], (BreakKind::ClockSkew, "GET /stock", "", detail));
    // Messages, which the sender does not wait for, and a call within the bound.
    assert_unbroken(&audit(rules(), [client().kind(SpanKind::Producer), server(1_260)]));
    assert_unbroken(&audit(rules(), [client(), server(1_260).kind(SpanKind::Consumer)]));
    assert_unbroken(&audit(rules(), [client(), server(1_250)]));
    assert_unbroken(&audit(rules(), [client(), server(800)]));
    // The client did not wait.
    let mut failed = client();
    failed.is_error = true;
    assert_unbroken(&audit(rules(), [failed, server(1_260)]));
    assert_unbroken(&audit(rules(), [client().tag(semconv::THROUGHLINE_CANCELLED, true), server(1_260)]));
    // A clock that was set back.
    let detail = "it began 500.0 ms before its parent `GET`";
    finds([client(), span(2, 1, "load").times(500, 501)], (BreakKind::ClockSkew, "load", "", detail));
}

#[test]
fn too_many_names_and_keys() {
    let rules = || Rules::new().max_names(10).max_keys(10);
    let named = |count: u64| (1..=count).map(|id| span(id, 0, &format!("GET /orders/{id}")).in_trace(id.into()));
    assert_unbroken(&audit(rules(), named(10)));
    let report = audit(rules(), named(1_000));
    let detail =
        "more than 10 span names, such as `GET /orders/8`, `GET /orders/9`, `GET /orders/10`, `GET /orders/11`";
    assert_eq!(found(&report), [(BreakKind::HighCardinality, "", String::new(), detail)]);
    assert_eq!((report.total.percent(), report.services[0].breaks), ("100.000 %".to_owned(), 1));
    // Further entries are counted together.
    assert_eq!(report.services[0].entries.len(), 11);
    let entry = |name| report.services[0].entry(name).map(|entry| entry.counts.traces);
    assert_eq!([entry("(other)"), entry("GET /orders/7"), entry("GET /orders/11")], [Some(990), Some(1), None]);
    // Metrics count the service once.
    let mut audit_of_many = Audit::new(rules());
    named(1_000).for_each(|span| audit_of_many.push(span));
    audit_of_many.judge_quiet(0, 0, None, |_| false);
    assert_eq!(audit_of_many.tally.recent.breaks.get(&BreakKind::HighCardinality), Some(&1));

    let keys: Vec<String> = (0..11).map(|key| format!("order.{key}")).collect();
    let mut tagged = server(1, 0);
    tagged.attributes.extend(keys.into_iter().map(|key| KeyValue::new(key, 1)));
    let report = audit(rules(), [tagged]);
    let detail = "more than 10 attribute keys, such as `order.7`, `order.8`, `order.9`, `order.10`";
    assert_eq!(found(&report), [(BreakKind::HighCardinality, "", String::new(), detail)]);
}

/// One name or value is in the descriptions of any number of breaks.
#[test]
fn the_descriptions_of_breaks_are_bounded() {
    let long = "é".repeat(50_000);
    let rules = || Rules::new().business_tag("order").edge("gateway");
    let first = || server(1, 0).tag("order", format!("1{long}"));
    let named = |span: Span| Span { name: long.as_str().into(), ..span };
    let sampled = |is_sampled, span: Span| Span { is_sampled: Some(is_sampled), ..span };
    for (kind, spans) in [
        (BreakKind::UnparentedEntry, vec![first().of(&long)]),
        (BreakKind::SecondRoot, vec![named(span(1, 0, "")), span(2, 0, "again")]),
        (BreakKind::Cycle, vec![named(span(1, 0, "")), span(1, 0, "again")]),
        (BreakKind::EndedBeforeChild, vec![named(span(1, 0, "")), span(2, 1, "late").times(1_500, 1_600)]),
        (BreakKind::ClockSkew, vec![named(span(1, 0, "")), span(2, 1, "early").times(500, 600)]),
        (BreakKind::SamplingFlipped, vec![named(sampled(true, span(1, 0, ""))), sampled(false, span(2, 1, "load"))]),
        (BreakKind::ConflictingTag, vec![named(first()), span(2, 1, "charge").tag("order", format!("2{long}"))]),
    ] {
        let report = audit(rules(), spans);
        let found = report.breaks.iter().find(|found| found.kind == kind).unwrap_or_else(|| panic!("{kind}"));
        let detail = &found.examples[0].detail;
        assert!(detail.len() < 1_000 && detail.contains("éé…`"), "{kind}: {} bytes", detail.len());
        assert!(report.traces[0].marks.iter().all(|mark| mark.detail.len() < 1_000));
    }
}
