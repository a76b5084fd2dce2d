//! The propagation of a context between processes.

mod b3;
mod baggage;
mod carriers;
mod composite;
mod environment;
mod jaeger;
mod java_agent;
mod traceparent;
mod tracestate;
mod xray;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use throughline::propagation::{Format, Pairs, PairsMut, Propagator};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn extract(headers: &[(&str, &str)]) -> SpanContext {
    Propagator::default().extract(&Pairs(headers)).span().span_context().clone()
}

fn with(formats: impl IntoIterator<Item = Format>, headers: &[(&str, &str)]) -> SpanContext {
    Propagator::new(formats).extract(&Pairs(headers)).span().span_context().clone()
}

fn inject(propagator: &Propagator, context: &Context) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    propagator.inject(context, &mut PairsMut(&mut headers));
    headers
}

fn value<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn remote(flags: u8) -> Context {
    let span = SpanContext::new(
        TraceId::from_hex(TRACE).unwrap(),
        SpanId::from_hex(SPAN).unwrap(),
        TraceFlags::new(flags),
        true,
        TraceState::NONE,
    );
    Context::new().with_remote_span_context(span)
}
