//! Jaeger's `uber-trace-id`.

use opentelemetry::trace::SpanContext;
use throughline::propagation::{Format, Propagator};

use super::{SPAN, TRACE, inject, remote, with};

fn of(header: &str) -> SpanContext {
    with([Format::Jaeger], &[("uber-trace-id", header)])
}

#[test]
fn valid() {
    for (header, sampled) in [
        (format!("{TRACE}:{SPAN}:0:1"), true),
        (format!("{TRACE}:{SPAN}:{SPAN}:0"), false),
        (format!("{TRACE}:{SPAN}:0:3"), true),
        (format!("{TRACE}:{SPAN}:0:02"), false),
        (format!("{TRACE}%3A{SPAN}%3a0%3A1"), true),
        // The maximum length.
        (format!("{TRACE}%3A{SPAN}%3A{SPAN}%3A01"), true),
    ] {
        let span = of(&header);
        assert_eq!((span.trace_id().to_string(), span.span_id().to_string()), (TRACE.into(), SPAN.into()), "{header}");
        assert_eq!(span.trace_flags().to_u8(), u8::from(sampled), "{header}");
    }
    assert_eq!(of("af7651916cd43dd:3:0:1").trace_id().to_string(), "00000000000000000af7651916cd43dd");
}

#[test]
fn invalid() {
    for header in [
        "",
        ":",
        ":::",
        "0:0:0:0",
        "0:1:0:1",
        "1:0:0:1",
        "1:1:0",
        "1:1:0:1:1",
        "1:1:0:100",
        "1:1:0:",
        "1:1::1",
        "g:1:0:1",
        "1:1:x:1",
        "+1:1:0:1",
        "%ff:1:0:1",
        "é:1:0:1",
        &format!("0{TRACE}:{SPAN}:0:1"),
        &format!("{TRACE}:0{SPAN}:0:1"),
        &"1".repeat(10_000),
        // Longer than any header in which only the colons are encoded.
        &format!("{}1:{SPAN}:0:1", "%30".repeat(31)),
    ] {
        assert!(!of(header).is_valid(), "{header}");
    }
}

#[test]
fn written() {
    let headers = inject(&Propagator::new([Format::Jaeger]), &remote(1));
    assert_eq!(headers, [("uber-trace-id".to_owned(), format!("{TRACE}:{SPAN}:0:1"))]);
}
