//! AWS X-Ray's `X-Amzn-Trace-Id`.

use opentelemetry::trace::SpanContext;
use throughline::propagation::{Format, Propagator};

use super::{SPAN, TRACE, inject, remote, with};

const ROOT: &str = "Root=1-0af76519-16cd43dd8448eb211c80319c";

fn of(header: &str) -> SpanContext {
    with([Format::XRay], &[("X-Amzn-Trace-Id", header)])
}

#[test]
fn valid() {
    for (header, sampled) in [
        (format!("{ROOT};Parent={SPAN};Sampled=1"), true),
        (format!("{ROOT};Parent={SPAN};Sampled=0"), false),
        (format!("Sampled=0;Parent={SPAN};{ROOT}"), false),
        (format!(" {ROOT}; Parent={SPAN} ;;Sampled=0;"), false),
        (format!("Self=1-67891234-12456789abcdef012345678;{ROOT};Parent={SPAN};Sampled=0;Lineage=1:a2:3"), false),
        // The decision is left to the receiver.
        (format!("{ROOT};Parent={SPAN};Sampled=?"), true),
        (format!("{ROOT};Parent={SPAN}"), true),
    ] {
        let span = of(&header);
        assert_eq!((span.trace_id().to_string(), span.span_id().to_string()), (TRACE.into(), SPAN.into()), "{header}");
        assert_eq!(span.trace_flags().to_u8(), u8::from(sampled), "{header}");
    }
    let short = of(&format!("Root=1-1a-16cd43dd8448eb211c80319c;Parent={SPAN};Sampled=1"));
    assert_eq!(short.trace_id().to_string(), "0000001a16cd43dd8448eb211c80319c");
}

#[test]
fn invalid() {
    for header in [
        "",
        ";",
        "=",
        ROOT,
        // As a load balancer sends it with a request that is not traced.
        &format!("{ROOT};Sampled=1"),
        &format!("Parent={SPAN};Sampled=1"),
        &format!("{ROOT};Parent={SPAN};Sampled="),
        &format!("{ROOT};Parent={SPAN};Sampled=2"),
        &format!("{ROOT};Parent={SPAN};Sampled=11"),
        &format!("{ROOT};Parent={SPAN};Sampled"),
        &format!("{ROOT};{ROOT};Parent={SPAN};Sampled=1"),
        &format!("{ROOT};Parent={SPAN};Sampled=0;Sampled=1"),
        &format!("{ROOT};Parent={SPAN}0;Sampled=1"),
        &format!("{ROOT};Parent=abcdefghijklmnop;Sampled=1"),
        &format!("{ROOT};Parent=0000000000000000;Sampled=1"),
        &format!("{ROOT}00;Parent={SPAN};Sampled=1"),
        &format!("Root=2-0af76519-16cd43dd8448eb211c80319c;Parent={SPAN};Sampled=1"),
        &format!("Root=1-0af7651911-16cd43dd8448eb211c80319c;Parent={SPAN};Sampled=1"),
        &format!("Root=1--16cd43dd8448eb211c80319c;Parent={SPAN};Sampled=1"),
        &format!("Root=1-16cd43dd8448eb211c80319c;Parent={SPAN};Sampled=1"),
        &format!("Root={TRACE};Parent={SPAN};Sampled=1"),
        &format!("Root=1-0-{};Parent={SPAN};Sampled=1", "0".repeat(24)),
        &format!("{ROOT};Parent={SPAN};Sampled=1;{}=", "a".repeat(1024)),
    ] {
        assert!(!of(header).is_valid(), "{header}");
    }
}

#[test]
fn written() {
    let headers = inject(&Propagator::new([Format::XRay]), &remote(1));
    assert_eq!(headers, [("X-Amzn-Trace-Id".to_owned(), format!("{ROOT};Parent={SPAN};Sampled=1"))]);
}
