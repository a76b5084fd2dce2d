//! Several formats in one propagator.

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use throughline::propagation::{Format, Pairs, Propagator};

use super::{SPAN, TRACE, inject, remote, with};

const ALL: [Format; 6] =
    [Format::XRay, Format::Jaeger, Format::Baggage, Format::B3Multi, Format::B3, Format::TraceContext];

/// The headers of each format, each with a different trace ID.
fn headers() -> Vec<(&'static str, String)> {
    let id = |digit: &str| digit.repeat(32);
    vec![
        ("traceparent", format!("00-{}-{SPAN}-01", id("1"))),
        ("b3", format!("{}-{SPAN}-1", id("2"))),
        ("x-b3-traceid", id("3")),
        ("x-b3-spanid", SPAN.into()),
        ("uber-trace-id", format!("{}:{SPAN}:0:1", id("4"))),
        ("x-amzn-trace-id", format!("Root=1-{}-{};Parent={SPAN};Sampled=1", &id("5")[..8], &id("5")[8..])),
    ]
}

#[test]
fn the_first_valid_format_wins_in_any_order_of_configuration() {
    for (broken, digit) in ["1", "2", "3", "4", "5"].into_iter().enumerate() {
        // The headers of the preceding formats are invalid.
        let headers: Vec<_> = headers()
            .into_iter()
            .map(|(name, value)| (name, if order(name) < broken { format!("x{value}") } else { value }))
            .collect();
        for formats in [ALL.to_vec(), ALL.into_iter().rev().collect()] {
            let span = Propagator::new(formats).extract(&Pairs(&headers)).span().span_context().clone();
            assert_eq!(span.trace_id().to_string(), digit.repeat(32));
        }
    }
}

fn order(header: &str) -> usize {
    ["traceparent", "b3", "x-b3-", "uber-", "x-amzn"].iter().position(|start| header.starts_with(start)).unwrap()
}

#[test]
fn all_formats_are_injected() {
    let context = remote(1).with_baggage([opentelemetry::KeyValue::new("k", "v")]);
    let propagator = Propagator::new(ALL);
    let written = inject(&propagator, &context);
    let names: Vec<_> = written.iter().map(|(name, _)| name.as_str()).collect();
    let of_b3 = ["b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"];
    let others = ["uber-trace-id", "X-Amzn-Trace-Id", "baggage"];
    assert_eq!(names, [&["traceparent"][..], &of_b3, &others].concat());
    let fields: Vec<_> = propagator.fields().collect();
    assert!(names.iter().all(|name| fields.contains(&&*name.to_ascii_lowercase())), "{fields:?}");
}

#[test]
fn only_configured_formats_are_extracted() {
    assert!(!with([Format::B3], &[("traceparent", &format!("00-{TRACE}-{SPAN}-01"))]).is_valid());
    assert!(!with([], &[("traceparent", &format!("00-{TRACE}-{SPAN}-01"))]).is_valid());
    assert!(inject(&Propagator::new([]), &remote(1)).is_empty());
}

#[test]
fn names() {
    for format in ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
    let error = "zipkin".parse::<Format>().unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown propagation format `zipkin`; expected one of `tracecontext`, `b3`, `b3multi`, `jaeger`, `xray`, `baggage`"
    );
}
