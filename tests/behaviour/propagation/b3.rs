//! B3 in both encodings: a single header, and multiple headers.

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::SpanContext;
use throughline::Snapshot;
use throughline::propagation::{Format, Pairs, PairsMut, Propagator};
use throughline::testing::Capture;

use super::{SPAN, TRACE, inject, remote, value, with};

fn single(header: &str) -> SpanContext {
    with([Format::B3], &[("b3", header)])
}

#[test]
fn single_header() {
    for (header, sampled) in [
        (format!("{TRACE}-{SPAN}-1"), true),
        (format!("{TRACE}-{SPAN}-d"), true),
        (format!("{TRACE}-{SPAN}-0"), false),
        (format!("{TRACE}-{SPAN}-1-00000000000000cd"), true),
        // The sampling decision is deferred to the receiver.
        (format!("{TRACE}-{SPAN}"), true),
    ] {
        let span = single(&header);
        assert_eq!((span.trace_id().to_string(), span.span_id().to_string()), (TRACE.into(), SPAN.into()), "{header}");
        assert_eq!(span.trace_flags().to_u8(), u8::from(sampled), "{header}");
    }
    let short = single("a3ce929d0e0e4736-00f067aa0ba902b7-1");
    assert_eq!(short.trace_id().to_string(), "0000000000000000a3ce929d0e0e4736");
}

#[test]
fn invalid_single_headers() {
    for header in [
        "",
        "0",
        "1",
        "d",
        "-",
        "--",
        "---",
        TRACE,
        &format!("{TRACE}-"),
        &format!("{TRACE}-{SPAN}-"),
        &format!("{TRACE}-{SPAN}-true"),
        &format!("{TRACE}-{SPAN}-2"),
        &format!("{TRACE}-{SPAN}-1-"),
        &format!("{TRACE}-{SPAN}-1-cd"),
        &format!("{TRACE}-{SPAN}-1-{SPAN}-1"),
        &format!("{}-{SPAN}-1", TRACE.to_uppercase()),
        &format!("{TRACE}0-{SPAN}-1"),
        &format!("{}-{SPAN}-1", &TRACE[1..]),
        &format!("+{}-{SPAN}-1", &TRACE[1..]),
        &format!("{}-{SPAN}-1", "0".repeat(32)),
        &format!("{TRACE}-{}-1", "0".repeat(16)),
        "é-é-é",
    ] {
        assert!(!single(header).is_valid(), "{header}");
    }
}

#[test]
fn multiple_headers() {
    let of = |more: &[(&str, &str)]| {
        let mut headers = vec![("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)];
        headers.extend(more);
        with([Format::B3Multi], &headers)
    };
    for (more, sampled) in [
        (vec![("X-B3-Sampled", "1")], true),
        (vec![("X-B3-Sampled", "true")], true),
        (vec![("X-B3-Sampled", "0")], false),
        (vec![("X-B3-Sampled", "false")], false),
        (vec![("X-B3-Flags", "1"), ("X-B3-Sampled", "0")], true),
        (vec![("X-B3-Flags", "0"), ("X-B3-Sampled", "0")], false),
        (vec![("X-B3-ParentSpanId", "anything")], true),
    ] {
        assert_eq!(of(&more).trace_flags().to_u8(), u8::from(sampled), "{more:?}");
        assert!(of(&more).is_valid());
    }
    assert!(!of(&[("X-B3-Sampled", "d")]).is_valid());
    assert!(!with([Format::B3Multi], &[("X-B3-TraceId", TRACE)]).is_valid());
    assert!(!with([Format::B3Multi], &[("X-B3-SpanId", SPAN)]).is_valid());
    assert!(!with([Format::B3Multi], &[("X-B3-Sampled", "0")]).is_valid());
}

/// Both encodings are extracted, whichever is injected, because the caller may use the other one.
#[test]
fn both_encodings_are_read() {
    let other = "1".repeat(32);
    let multi = [("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN), ("X-B3-Sampled", "1")];
    for format in [Format::B3, Format::B3Multi] {
        let of = |more: &[(&str, &str)]| with([format], &[&multi[..], more].concat()).trace_id().to_string();
        assert_eq!(of(&[]), TRACE, "{format:?}");
        assert_eq!(of(&[("b3", &format!("{other}-{SPAN}-1"))]), other, "the single header takes precedence");
        assert_eq!(of(&[("b3", "nonsense")]), TRACE);
        let single = format!("{other}-{SPAN}-1");
        assert_eq!(with([format], &[("b3", &single)]).trace_id().to_string(), other);
    }
}

#[test]
fn the_debug_flag_goes_on_with_its_trace() {
    let single = format!("{TRACE}-{SPAN}-d");
    let multi = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-flags", "1")];
    let w3c = format!("00-{TRACE}-{SPAN}-01");
    for (headers, debugged) in [
        (&[("b3", single.as_str())][..], true),
        (&multi, true),
        (&[("traceparent", &w3c), ("b3", &single)], true),
        (&[("traceparent", &w3c.replace("-01", "-00")), ("b3", &single)], false),
        (&[("traceparent", &w3c.replace('0', "1")), ("b3", &single)], false),
        (&[("b3", &single.replace("-d", "-1"))], false),
    ] {
        let formats = [Format::TraceContext, Format::B3, Format::B3Multi];
        let propagator = Propagator::new(formats);
        let incoming = propagator.extract(&Pairs(headers));
        let sent = |context: &Context| {
            let sent = inject(&propagator, context);
            let single = value(&sent, "b3").unwrap().ends_with("-d");
            assert_eq!(value(&sent, "x-b3-flags"), single.then_some("1"));
            // Debug implies sampled, so the sampling state is not injected.
            assert_eq!(value(&sent, "x-b3-sampled").is_none(), single);
            single
        };
        assert_eq!(sent(&incoming), debugged, "{headers:?}");
        let capture = Capture::new();
        let (below, in_job, elsewhere) = capture.run(|| {
            throughline::span("server").parent(&incoming).run(|| {
                let snapshot = Snapshot::capture();
                let in_job = std::thread::spawn(move || snapshot.run(Context::current)).join().unwrap();
                (Context::current(), in_job, throughline::span("tick").root().run(Context::current))
            })
        });
        assert_eq!((sent(&below), sent(&in_job)), (debugged, debugged), "{headers:?}");
        assert!(!sent(&elsewhere), "the flag belongs to one trace");
    }
}

/// A forwarded message has the headers of another context, which a receiver could prefer or combine with the new ones.
#[test]
fn headers_of_a_previous_context_are_removed() {
    let other = "1".repeat(32);
    let single = format!("{other}-{SPAN}-d");
    let multi =
        [("X-B3-TraceId", other.as_str()), ("X-B3-SpanId", SPAN), ("X-B3-Flags", "1"), ("X-B3-ParentSpanId", SPAN)];
    for format in [Format::B3, Format::B3Multi] {
        let propagator = Propagator::new([format]);
        for stale in [&multi[..], &[("B3", &single)]] {
            let mut headers: Vec<_> = stale.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            let context = remote(0);
            propagator.inject(&context, &mut PairsMut(&mut headers));
            assert_eq!(headers, inject(&propagator, &context), "{format:?} over {stale:?}");
        }
    }
    // Those of the same context are kept.
    let both = Propagator::new([Format::B3, Format::B3Multi]);
    let mut headers = inject(&both, &remote(1));
    assert_eq!(headers.len(), 4);
    both.inject(&remote(1), &mut PairsMut(&mut headers));
    assert_eq!(headers, inject(&both, &remote(1)));
}

#[test]
fn written() {
    let single = inject(&Propagator::new([Format::B3]), &remote(3));
    assert_eq!(single, [("b3".to_owned(), format!("{TRACE}-{SPAN}-1"))]);
    let multi = inject(&Propagator::new([Format::B3Multi]), &remote(0));
    let expected = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "0")];
    assert_eq!(multi, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let both = Propagator::new([Format::B3, Format::B3Multi]);
    assert!(inject(&both, &Context::new()).is_empty());
    let all: Vec<_> = both.fields().collect();
    let names = ["b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "x-b3-parentspanid"];
    assert_eq!(all, names, "each field is listed once, including those that are only removed");
}
