//! `tracestate` of W3C Trace Context.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceId};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use throughline::propagation::{Pairs, Propagator};
use throughline::testing::Capture;
use throughline::{Carrier, Snapshot};

use super::{SPAN, TRACE, extract, inject, value};

fn of(states: &[&str]) -> String {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let mut headers = vec![("traceparent", parent.as_str())];
    headers.extend(states.iter().map(|state| ("tracestate", *state)));
    let context = Propagator::default().extract(&Pairs(&headers));
    assert!(context.span().span_context().is_valid(), "tracestate has no say in the parent's validity");
    let sent = inject(&Propagator::default(), &context);
    value(&sent, "tracestate").unwrap_or_default().to_owned()
}

#[test]
fn valid_members_are_propagated_in_order() {
    let all: String = (' '..='~').filter(|c| !matches!(c, ',' | '=')).collect();
    let value = "v".repeat(256);
    for (states, sent) in [
        (vec!["foo=1,bar=2"], "foo=1,bar=2".to_owned()),
        (vec!["foo=1,bar=2", "rojo=1", "baz=3"], "foo=1,bar=2,rojo=1,baz=3".into()),
        (vec!["foo=1 \t , \t bar=2,\tbaz=3 "], "foo=1,bar=2,baz=3".into()),
        (vec!["", "foo=1", ""], "foo=1".into()),
        (vec!["foo=1,,bar=2, ,"], "foo=1,bar=2".into()),
        (vec![&format!("a_-*/0@b_-*/9={all}")], format!("a_-*/0@b_-*/9={all}").trim_end().into()),
        (vec!["0digit=1"], "0digit=1".into()),
        (vec![&format!("k={value}")], format!("k={value}")),
        (vec!["k= leading blanks count"], "k= leading blanks count".into()),
        (vec![""], String::new()),
    ] {
        assert_eq!(of(&states), sent, "{states:?}");
    }
}

#[test]
fn one_invalid_member_discards_all() {
    let long = format!("{}=1", "z".repeat(257));
    let tenant = format!("{}@v=1", "t".repeat(255));
    let value = format!("k={}", "v".repeat(257));
    for bad in [
        "foo",
        "foo=",
        "=1",
        "foo=bar=baz",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "_foo=1",
        "@foo=1",
        "@=1",
        "foo@bar.baz=1",
        "foo=a\u{7f}",
        "foo=é",
        "ok=",
        &long,
        &tenant,
        &value,
    ] {
        assert_eq!(of(&["ok=1", bad]), "", "{bad}");
        assert_eq!(of(&[&format!("ok=1,{bad}")]), "", "{bad}");
    }
}

#[test]
fn at_most_32_members_are_propagated() {
    let members: Vec<_> = (0..33).map(|at| format!("bar{at:02}={at}")).collect();
    assert_eq!(of(&[&members[..20].join(","), &members[20..32].join(",")]), members[..32].join(","));
    assert_eq!(of(&[&members.join(",")]), "");
}

/// Level 2 of W3C Trace Context allows these keys, but OpenTelemetry's `TraceState` rejects them.
#[test]
fn keys_with_an_at_sign_are_propagated() {
    let longest = format!("{}@{}", "t".repeat(241), "v".repeat(14));
    let tenant = format!("{}@v", "t".repeat(254));
    let system = format!("t@{}", "v".repeat(254));
    let simple = "z".repeat(256);
    for key in ["foo@", "0@", "foo@@bar", "foo@bar@baz", "t@_", "a@@@", &longest, &tenant, &system, &simple] {
        let state = format!("foo=1,{key}=2,bar=3");
        assert_eq!(of(&[&state]), state);
        assert_eq!(of(&[&format!("{key}=2")]), format!("{key}=2"));
    }
}

/// One vendor's mistake does not discard the state of the others.
#[test]
fn the_first_member_of_a_key_is_kept() {
    for (states, sent) in [
        (&["foo=1,foo=1"][..], "foo=1"),
        (&["foo=1,foo=2"], "foo=1"),
        (&["foo=1", "foo=1"], "foo=1"),
        (&["foo=1", "bar=2", "foo=3,bar=4,baz=5"], "foo=1,bar=2,baz=5"),
        (&["t@=1,foo=2,t@=3"], "t@=1,foo=2"),
    ] {
        assert_eq!(of(states), sent, "{states:?}");
    }
    let members: Vec<_> = (0..32).map(|at| format!("bar{at:02}={at}")).collect();
    assert_eq!(of(&[&members.join(","), &members.join(",")]), members.join(","), "32 keys, each twice");
}

#[derive(Debug, Clone)]
struct Adds;

impl ShouldSample for Adds {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &opentelemetry::trace::SpanKind,
        _: &[opentelemetry::KeyValue],
        _: &[opentelemetry::trace::Link],
    ) -> SamplingResult {
        let state = parent.map(|parent| parent.span().span_context().trace_state().clone()).unwrap_or_default();
        SamplingResult {
            decision: SamplingDecision::RecordAndSample,
            attributes: Vec::new(),
            trace_state: state.insert("ours", "1").unwrap(),
        }
    }
}

#[test]
fn members_added_by_a_sampler_come_first() {
    let capture = Capture::with_sampler(Adds);
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let longest = format!("t@{}=1", "v".repeat(14));
    for (state, sent) in [
        ("foo=1".to_owned(), "ours=1,foo=1".to_owned()),
        (format!("{longest},foo=1"), format!("ours=1,{longest},foo=1")),
        (format!("foo=1,{longest},bar=2"), format!("ours=1,foo=1,{longest},bar=2")),
        // It replaces the member that it added before.
        (format!("foo=1,{longest},ours=0,bar=2"), format!("ours=1,foo=1,{longest},bar=2")),
        (format!("foo=1,{longest},ours=1,bar=2"), format!("ours=1,foo=1,{longest},bar=2")),
    ] {
        let headers = [("traceparent", &parent), ("tracestate", &state)];
        let carrier = capture.run(|| throughline::span("server").parent(&headers).run(Carrier::capture));
        assert_eq!(carrier.tracestate, Some(sent));
    }
}

#[test]
fn a_member_added_to_32_replaces_the_last_one() {
    let capture = Capture::with_sampler(Adds);
    let parent = format!("00-{TRACE}-{SPAN}-01");
    for longest in [0, 15, 31] {
        let mut members: Vec<_> = (0..32).map(|at| format!("bar{at:02}={at}")).collect();
        members[longest] = format!("t@{}=1", "v".repeat(14));
        let state = members.join(",");
        let headers = [("traceparent", &parent), ("tracestate", &state)];
        let carrier = capture.run(|| throughline::span("server").parent(&headers).run(Carrier::capture));
        assert_eq!(carrier.tracestate, Some(format!("ours=1,{}", members[..31].join(","))));
    }
}

#[test]
fn snapshots_and_jobs_keep_the_state() {
    let capture = Capture::new();
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let longest = format!("foo=1,t@{}=1", "v".repeat(14));
    let headers = [("traceparent", &parent), ("tracestate", &longest)];
    let sent = capture.run(|| {
        let snapshot = throughline::span("server").parent(&headers).run(Snapshot::capture);
        std::thread::spawn(snapshot.wrap(|| throughline::in_span("job", Carrier::capture))).join().unwrap()
    });
    assert_eq!(sent.tracestate, Some(longest));
}

#[test]
fn the_state_does_not_apply_to_other_traces() {
    let capture = Capture::new();
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let longest = format!("foo=1,t@{}=1", "v".repeat(14));
    let headers = [("traceparent", &parent), ("tracestate", &longest)];
    let sent = capture.run(|| {
        throughline::span("server")
            .parent(&headers)
            .run(|| throughline::span("tick").root().run(|| (Carrier::capture(), Snapshot::capture())))
    });
    assert_eq!(sent.0.tracestate, None, "the state of one trace is not sent in another");
    assert_eq!(sent.1.run(Carrier::capture), sent.0);
}

#[test]
fn the_state_is_ignored_without_traceparent() {
    assert_eq!(extract(&[("tracestate", "foo=1")]), SpanContext::NONE);
}
