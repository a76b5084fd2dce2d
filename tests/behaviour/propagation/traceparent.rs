//! `traceparent` of W3C Trace Context.

use opentelemetry::Context;
use throughline::Carrier;
use throughline::propagation::Propagator;
use throughline::testing::Capture;

use super::{SPAN, TRACE, extract, inject, remote};

#[test]
fn valid() {
    for (header, flags) in [
        (format!("00-{TRACE}-{SPAN}-00"), 0),
        (format!("00-{TRACE}-{SPAN}-01"), 1),
        (format!("00-{TRACE}-{SPAN}-02"), 2),
        (format!("00-{TRACE}-{SPAN}-03"), 3),
        // Undefined flags are dropped.
        (format!("00-{TRACE}-{SPAN}-ff"), 3),
        (format!(" \t00-{TRACE}-{SPAN}-01\t "), 1),
        // Future versions.
        (format!("cc-{TRACE}-{SPAN}-01"), 1),
        (format!("cc-{TRACE}-{SPAN}-01-"), 1),
        (format!("fe-{TRACE}-{SPAN}-01-what-the-future-brings"), 1),
    ] {
        let span = extract(&[("traceparent", &header)]);
        assert_eq!(span.trace_id().to_string(), TRACE, "{header}");
        assert_eq!(span.span_id().to_string(), SPAN, "{header}");
        assert_eq!(span.trace_flags().to_u8(), flags, "{header}");
        assert!(span.is_remote());
    }
}

#[test]
fn invalid() {
    let zero_trace = "0".repeat(32);
    let zero_span = "0".repeat(16);
    for header in [
        String::new(),
        "00".into(),
        format!("00-{TRACE}-{SPAN}"),
        format!("00-{TRACE}-{SPAN}-"),
        format!("00-{TRACE}-{SPAN}-1"),
        format!("00-{TRACE}-{SPAN}-001"),
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("00-{TRACE}-{SPAN}-01."),
        format!("00-{TRACE}-{SPAN}-.1"),
        format!("00-{TRACE}-{SPAN}-0."),
        format!("00-{TRACE}-{SPAN}-+1"),
        format!("00-{TRACE}-{SPAN}-0A"),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("0-{TRACE}-{SPAN}-01"),
        format!("000-{TRACE}-{SPAN}-01"),
        format!(".0-{TRACE}-{SPAN}-01"),
        format!("cc-{TRACE}-{SPAN}-01.more"),
        format!("00-{zero_trace}-{SPAN}-01"),
        format!("00-{TRACE}-{zero_span}-01"),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
        format!("00-+{}-{SPAN}-01", &TRACE[1..]),
        format!("00-{TRACE}-+{}-01", &SPAN[1..]),
        format!("00-{TRACE}0-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", &TRACE[1..]),
        format!("00-{TRACE}-{SPAN}0-01"),
        format!("00-{TRACE}-{}-01", &SPAN[1..]),
        format!("00_{TRACE}_{SPAN}_01"),
        format!("00-{TRACE}-{SPAN}-0\u{e9}"),
        format!("00-é{}-{SPAN}-01", &TRACE[2..]),
        format!("00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01"),
    ] {
        assert!(!extract(&[("traceparent", &header)]).is_valid(), "{header}");
    }
}

#[test]
fn duplicates_are_invalid() {
    let header = format!("00-{TRACE}-{SPAN}-01");
    assert!(!extract(&[("traceparent", &header), ("traceparent", &header)]).is_valid());
    assert!(!extract(&[("traceparent", &header), ("TraceParent", "nonsense")]).is_valid());
}

#[test]
fn the_name_is_case_insensitive() {
    let header = format!("00-{TRACE}-{SPAN}-01");
    for name in ["TRACEPARENT", "TrAcEpArEnT"] {
        assert!(extract(&[(name, &header)]).is_valid());
    }
    for name in ["trace-parent", "trace.parent", "x-traceparent"] {
        assert!(!extract(&[(name, &header)]).is_valid());
    }
}

#[test]
fn only_known_flags_are_injected() {
    for (flags, written) in [(0u8, "00"), (1, "01"), (2, "02"), (3, "03"), (0xff, "03")] {
        let headers = inject(&Propagator::default(), &remote(flags));
        assert_eq!(headers, [("traceparent".to_owned(), format!("00-{TRACE}-{SPAN}-{written}"))]);
    }
    assert!(inject(&Propagator::default(), &Context::new()).is_empty());
}

#[test]
fn the_random_flag_reaches_the_next_service() {
    let capture = Capture::new();
    capture.run(|| {
        let header = format!("00-{TRACE}-{SPAN}-03");
        let headers = [("traceparent", header.as_str())];
        let sent = throughline::span("server").parent(&headers).run(Carrier::capture);
        let sent = sent.traceparent.unwrap();
        assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-03"), "{sent}");
    });
}
