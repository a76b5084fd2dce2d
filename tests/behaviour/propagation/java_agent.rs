//! Headers in the form in which OpenTelemetry's Java agent writes them. Its carriers for messages compare names with
//! regard to case, unlike those for HTTP and gRPC.

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::TraceContextExt as _;
use throughline::Context;
use throughline::messaging::TraceHeaders;
use throughline::propagation::{Format, Pairs, Propagator};

use super::{SPAN, TRACE, inject, remote, value};

/// The span of the other headers.
const XRAY: &str = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331";

fn read(formats: &[Format], headers: &[(&str, String)]) -> Context {
    Propagator::new(formats.iter().copied()).extract(&Pairs(headers))
}

#[test]
fn what_the_agent_writes_is_read() {
    let sampled = |flag: &str| ("X-B3-Sampled", flag.to_owned());
    let multi = || vec![("X-B3-TraceId", TRACE.to_owned()), ("X-B3-SpanId", SPAN.to_owned())];
    for (format, headers, flags) in [
        (Format::TraceContext, vec![("traceparent", format!("00-{TRACE}-{SPAN}-01"))], 1),
        (Format::TraceContext, vec![("traceparent", format!("00-{TRACE}-{SPAN}-00"))], 0),
        (Format::TraceContext, vec![("traceparent", format!("00-{TRACE}-{SPAN}-03"))], 3),
        (Format::B3, vec![("b3", format!("{TRACE}-{SPAN}-1"))], 1),
        (Format::B3, vec![("b3", format!("{TRACE}-{SPAN}-0"))], 0),
        (Format::B3, vec![("b3", format!("{TRACE}-{SPAN}-d"))], 1),
        (Format::B3Multi, [multi(), vec![sampled("1")]].concat(), 1),
        (Format::B3Multi, [multi(), vec![sampled("0")]].concat(), 0),
        // Of a debug trace, the agent writes both.
        (Format::B3Multi, [vec![("X-B3-Flags", "1".to_owned())], multi(), vec![sampled("1")]].concat(), 1),
        (Format::Jaeger, vec![("uber-trace-id", format!("{TRACE}:{SPAN}:0:1"))], 1),
        (Format::Jaeger, vec![("uber-trace-id", format!("{TRACE}:{SPAN}:0:0"))], 0),
        (Format::XRay, vec![("X-Amzn-Trace-Id", format!("{XRAY};Sampled=1"))], 1),
        (Format::XRay, vec![("X-Amzn-Trace-Id", format!("{XRAY};Sampled=0;Lineage=32767:e65a2c4d:255"))], 0),
    ] {
        let context = read(&[format], &headers);
        let span = context.span().span_context().clone();
        let ids = (span.trace_id().to_string(), span.span_id().to_string());
        assert_eq!(ids, (TRACE.to_owned(), SPAN.to_owned()), "{headers:?}");
        assert_eq!(span.trace_flags().to_u8(), flags, "{headers:?}");
    }
}

#[test]
fn baggage_goes_through_unchanged() {
    // The agent encodes the separators of metadata, too.
    const SENT: &str = "meta=meta-value;somemetadata%3B%20someother%3Dfoo,name=caf%C3%A9%20au%20lait,plus=a%2Bb";
    let context = read(&[Format::Baggage], &[("baggage", SENT.to_owned())]);
    let member = |key: &str| context.baggage().get(key).map(ToString::to_string);
    assert_eq!(member("meta").as_deref(), Some("meta-value"));
    assert_eq!(member("name").as_deref(), Some("café au lait"));
    assert_eq!(member("plus").as_deref(), Some("a+b"));
    let written = inject(&Propagator::new([Format::Baggage]), &context);
    // A plus sign need not be encoded, and the agent does not read it as a space.
    assert_eq!(value(&written, "baggage"), Some(SENT.replace("%2B", "+").as_str()));
}

#[test]
fn what_the_agent_reads_from_a_message_is_written() {
    let written: Vec<_> = TraceHeaders::from_context(&remote(1).with_baggage([opentelemetry::KeyValue::new("k", "v")]))
        .into_iter()
        .collect();
    let expected = [("traceparent".to_owned(), format!("00-{TRACE}-{SPAN}-01")), ("baggage".to_owned(), "k=v".into())];
    assert_eq!(written, expected);
}
