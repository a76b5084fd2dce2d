//! Invariants of every header parser, for arbitrary input: one function for each fuzz target, which panics if an
//! invariant is violated.
//!
//! The property tests of the workspace (`tests/propagation_properties.rs`) include this file, so every test run checks
//! the same invariants. Only the public API is used.

mod grammar;

use std::collections::HashMap;
use std::sync::LazyLock;

use grammar::{Identity, Members};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use throughline::Carrier;
use throughline::propagation::{self, Format, Pairs, PairsMut, Propagator};

const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// How many values of one header are read.
const MAX_VALUES: usize = 64;

type Headers = Vec<(String, String)>;

/// `traceparent`, one header per line.
pub fn traceparent(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let headers = named("traceparent", &text);
    let propagator = Propagator::new([Format::TraceContext]);
    let context = propagator.extract(&Pairs(&headers));
    let expected = if let [(_, one)] = headers.as_slice() { grammar::traceparent(one) } else { None };
    assert_eq!(identity(&context), expected);
    let written = round_trip(&propagator, &context);
    if expected.is_some() {
        assert_eq!(value(&written, "traceparent").map(str::len), Some(55));
    }
    assert_eq!(value(&written, "tracestate"), None);
}

/// `tracestate` next to a valid `traceparent`, one header per line.
pub fn tracestate(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut headers = named("tracestate", &text);
    let values: Vec<_> = headers.iter().map(|(_, value)| *value).take(MAX_VALUES).collect();
    let expected = grammar::tracestate(&values).unwrap_or_default();
    headers.push(("traceparent", VALID));
    let propagator = Propagator::new([Format::TraceContext]);
    let context = propagator.extract(&Pairs(&headers));
    // An invalid state does not invalidate the identity.
    assert_eq!(identity(&context), grammar::traceparent(VALID));
    let sent = round_trip(&propagator, &context);
    let sent = value(&sent, "tracestate");
    assert_eq!(sent.is_some(), !expected.is_empty());
    assert_eq!(sent.map(|sent| grammar::tracestate(&[sent])), sent.map(|_| Some(expected.clone())));
    // OpenTelemetry's type holds a part of it.
    let span = context.span().span_context().clone();
    for member in span.trace_state().header().split(',').filter(|member| !member.is_empty()) {
        assert!(expected.iter().any(|(key, value)| format!("{key}={value}") == member), "{member}");
    }

    // A member that a sampler adds comes first, followed by the others, 32 in total.
    let Ok(more) = span.trace_state().insert("throughline", "1") else { panic!("a valid member is rejected") };
    // If the member was there, alone and with this value, nothing has changed.
    if more == *span.trace_state() {
        return;
    }
    let more = SpanContext::new(span.trace_id(), span.span_id(), span.trace_flags(), true, more);
    let written = written(&propagator, &context.with_remote_span_context(more));
    let mut sent = value(&written, "tracestate").and_then(|sent| grammar::tracestate(&[sent])).unwrap_or_default();
    assert_eq!(sent.remove(0), ("throughline".to_owned(), "1".to_owned()));
    assert!(sent.iter().all(|member| expected.contains(member)));
    let others = expected.iter().filter(|(key, _)| key != "throughline").count();
    assert_eq!(sent.len(), others.min(31));
}

/// `baggage`, one header per line.
pub fn baggage(data: &[u8]) {
    const ALLOWED: [&str; 3] = ["tenant_id", "a", "order_no"];
    static NARROW: LazyLock<Propagator> =
        LazyLock::new(|| Propagator::new([Format::Baggage]).accept_baggage(ALLOWED).send_baggage(ALLOWED));
    static OPEN: LazyLock<Propagator> = LazyLock::new(|| Propagator::new([Format::Baggage]));
    let text = String::from_utf8_lossy(data);
    let headers = named("baggage", &text);
    let values: Vec<_> = headers.iter().map(|(_, value)| *value).take(MAX_VALUES).collect();
    let context = OPEN.extract(&Pairs(&headers));
    assert_eq!(identity(&context), None);
    assert_eq!(members(&context), grammar::baggage(&values, |_| true));
    round_trip(&OPEN, &context);

    // No allowed member is lost, and no other one is accepted or sent.
    let accepted = NARROW.extract(&Pairs(&headers));
    assert_eq!(members(&accepted), grammar::baggage(&values, |key| ALLOWED.contains(&key)));
    let sent = written(&NARROW, &context);
    assert!(members(&OPEN.extract(&Pairs(&sent))).keys().all(|key| ALLOWED.contains(&key.as_str())));
}

/// Zipkin's one header.
pub fn b3(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let propagator = Propagator::new([Format::B3]);
    let context = propagator.extract(&Pairs(&[("b3", &*text)]));
    assert_eq!(identity(&context), grammar::b3(&text));
    round_trip(&propagator, &context);
}

/// Zipkin's four headers, one per line; a dash stands for an absent header.
pub fn b3multi(data: &[u8]) {
    const NAMES: [&str; 4] = ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"];
    let text = String::from_utf8_lossy(data);
    let headers: Vec<_> = NAMES.into_iter().zip(text.split('\n')).filter(|(_, value)| *value != "-").collect();
    let propagator = Propagator::new([Format::B3Multi]);
    let context = propagator.extract(&Pairs(&headers));
    let [trace_id, span_id, sampled, flags] = NAMES.map(|name| value(&headers, name));
    assert_eq!(identity(&context), grammar::b3multi(trace_id, span_id, sampled, flags));
    round_trip(&propagator, &context);
}

/// Jaeger's header.
pub fn jaeger(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let propagator = Propagator::new([Format::Jaeger]);
    let context = propagator.extract(&Pairs(&[("uber-trace-id", &*text)]));
    assert_eq!(identity(&context), grammar::jaeger(&text));
    round_trip(&propagator, &context);
}

/// The header of AWS X-Ray.
pub fn xray(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let propagator = Propagator::new([Format::XRay]);
    let context = propagator.extract(&Pairs(&[("X-Amzn-Trace-Id", &*text)]));
    assert_eq!(identity(&context), grammar::xray(&text));
    round_trip(&propagator, &context);
}

/// Every format at once: lines of `name: value`.
pub fn composite(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let headers: Vec<_> = text.split('\n').filter_map(|line| line.split_once(": ")).collect();
    let formats = [Format::Baggage, Format::XRay, Format::Jaeger, Format::B3Multi, Format::B3, Format::TraceContext];
    let propagator = Propagator::new(formats);
    let context = propagator.extract(&Pairs(&headers));

    // The first valid header counts, even after an invalid one.
    let w3c = match values(&headers, "traceparent").as_slice() {
        [one] => grammar::traceparent(one),
        _ => None,
    };
    let b3 = || grammar::b3(value(&headers, "b3")?);
    let b3multi = || {
        let [trace_id, span_id, sampled, flags] =
            ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"].map(|name| value(&headers, name));
        grammar::b3multi(trace_id, span_id, sampled, flags)
    };
    let jaeger = || grammar::jaeger(value(&headers, "uber-trace-id")?);
    let xray = || grammar::xray(value(&headers, "x-amzn-trace-id")?);
    let expected = w3c.or_else(b3).or_else(b3multi).or_else(jaeger).or_else(xray);
    assert_eq!(identity(&context), expected);

    // Identity and baggage do not affect each other.
    let baggage = Propagator::new([Format::Baggage]).extract(&Pairs(&headers));
    assert_eq!(members(&context), members(&baggage));
    let without = propagator.extract_identity(&Pairs(&headers));
    assert_eq!(identity(&without), expected);
    assert!(without.baggage().is_empty());

    let written = round_trip(&propagator, &context);
    if w3c.is_none() {
        assert_eq!(value(&written, "tracestate"), None);
    }
    // Each format has the same identity, with the flags that it knows.
    for format in formats.into_iter().filter(|format| *format != Format::Baggage) {
        let known = if format == Format::TraceContext { 3 } else { 1 };
        let alone = identity(&Propagator::new([format]).extract(&Pairs(&written)));
        assert_eq!(alone, expected.map(|span| Identity { flags: span.flags & known, ..span }), "{format:?}");
    }

    // A carrier with one value per name agrees with the list, if no name occurs twice there.
    let mut map = HashMap::new();
    let single = headers.iter().all(|(name, value)| map.insert(name.to_ascii_lowercase(), *value).is_none());
    let by_closure = propagation::extract_with(|name| map.get(name).copied());
    let by_list = Propagator::default().extract(&Pairs(&headers));
    if single {
        assert_eq!(identity(&by_closure), identity(&by_list));
        assert_eq!(members(&by_closure), members(&by_list));
    }
}

/// A stored context, as JSON.
pub fn carrier(data: &[u8]) {
    let Ok(carrier) = serde_json::from_slice::<Carrier>(data) else { return };
    let context = carrier.to_context();
    let fields =
        [("traceparent", &carrier.traceparent), ("tracestate", &carrier.tracestate), ("baggage", &carrier.baggage)];
    let headers: Vec<_> = fields.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
    let by_list = Propagator::new([Format::TraceContext, Format::Baggage]).extract(&Pairs(&headers));
    assert_eq!(identity(&context), carrier.traceparent.as_deref().and_then(grammar::traceparent));
    assert_eq!(identity(&context), identity(&by_list));
    assert_eq!(members(&context), members(&by_list));

    let stored = Carrier::from_context(&context);
    let json = serde_json::to_string(&stored).expect("a carrier is JSON");
    assert_eq!(serde_json::from_str::<Carrier>(&json).expect("it is read back"), stored);
    let state = carrier.tracestate.as_deref().filter(|_| stored.traceparent.is_some());
    let state = state.and_then(|state| grammar::tracestate(&[state])).filter(|members| !members.is_empty());
    assert_eq!(stored.tracestate.as_deref().and_then(|state| grammar::tracestate(&[state])), state);
    assert_eq!(stored.traceparent.is_some(), identity(&context).is_some());
    assert!(stored.baggage.is_none() || !context.baggage().is_empty());
    assert_eq!(identity(&stored.to_context()), identity(&context));
    assert_eq!(Carrier::from_context(&stored.to_context()), stored);
}

fn named<'a>(name: &'static str, lines: &'a str) -> Vec<(&'static str, &'a str)> {
    lines.split('\n').map(|line| (name, line)).collect()
}

fn values<'a>(headers: &'a [(impl AsRef<str>, impl AsRef<str>)], name: &str) -> Vec<&'a str> {
    let named = headers.iter().filter(|(other, _)| other.as_ref().eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_ref()).collect()
}

fn value<'a>(headers: &'a [(impl AsRef<str>, impl AsRef<str>)], name: &str) -> Option<&'a str> {
    values(headers, name).first().copied()
}

/// The identity in a context, which is a remote one with known flags, or none at all.
fn identity(context: &Context) -> Option<Identity> {
    let span = context.span();
    let span = span.span_context();
    if !context.has_active_span() {
        return None;
    }
    assert!(span.is_valid(), "zeros were taken for an identity");
    assert!(span.is_remote());
    let flags = span.trace_flags().to_u8();
    assert_eq!(flags & !3, 0, "unknown flags were kept");
    let (trace_id, span_id) = (span.trace_id().to_bytes(), span.span_id().to_bytes());
    Some(Identity { trace_id: u128::from_be_bytes(trace_id), span_id: u64::from_be_bytes(span_id), flags })
}

fn members(context: &Context) -> Members {
    let baggage = context.baggage();
    assert!(baggage.len() <= 64);
    let members: Members = baggage
        .iter()
        .map(|(key, (value, properties))| (key.to_string(), (value.to_string(), properties.as_str().to_owned())))
        .collect();
    assert!(members.iter().map(|(key, (value, more))| key.len() + value.len() + more.len()).sum::<usize>() <= 8192);
    members
}

/// Injects a context. The headers are valid, occur once, and are among the announced fields.
fn written(propagator: &Propagator, context: &Context) -> Headers {
    let mut headers = Vec::new();
    propagator.inject(context, &mut PairsMut(&mut headers));
    for (at, (name, value)) in headers.iter().enumerate() {
        assert!(propagator.fields().any(|field| field.eq_ignore_ascii_case(name)), "`{name}` is not among the fields");
        assert!(headers[..at].iter().all(|(other, _)| other != name), "`{name}` is written twice");
        assert!(!value.is_empty(), "`{name}` is empty");
        assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "`{name}` has illegal characters: {value:?}");
        assert!(!value.starts_with(' ') && !value.ends_with(' '), "`{name}` has spaces around it: {value:?}");
    }
    if let Some(state) = value(&headers, "tracestate") {
        let members = grammar::tracestate(&[state]);
        assert!(members.is_some_and(|members| !members.is_empty()), "invalid tracestate: {state:?}");
    }
    if let Some(baggage) = value(&headers, "baggage") {
        assert!(grammar::is_strict_baggage(baggage), "invalid baggage: {baggage:?}");
    }
    headers
}

/// Injects a context, extracts it, and injects it again: nothing is lost except baggage that exceeds the limit only
/// when it is encoded. Returns the headers.
fn round_trip(propagator: &Propagator, context: &Context) -> Headers {
    let once = written(propagator, context);
    let back = propagator.extract(&Pairs(&once));
    assert_eq!(identity(&back), identity(context));
    let (sent, read) = (members(context), members(&back));
    let count = value(&once, "baggage").map_or(0, |baggage| baggage.split(',').count());
    assert_eq!(read.len(), count);
    if count == sent.len() {
        assert_eq!(read, sent);
    } else {
        assert!(read.iter().all(|(key, member)| sent.get(key) == Some(member)));
        assert!(encoded_length(&sent) > 8192, "members were left out without a reason");
    }
    assert_eq!(written(propagator, &back), once);
    once
}

/// The maximum length of a baggage when it is encoded.
fn encoded_length(members: &Members) -> usize {
    members.iter().map(|(key, (value, more))| key.len() + 3 * value.len() + more.len() + 3).sum()
}
