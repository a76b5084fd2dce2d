//! Below a span that is not sampled, in a process whose log formatters do not need tags: those of `throughline::log`
//! change what is evaluated there, so no test of this program may use one.

use opentelemetry::Context;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};
use throughline::testing::Capture;
use throughline::{Carrier, Tag, TagValue as _, biz_tags, traced};

/// Samples new traces by the name of their first span, and others like their parent.
#[derive(Debug, Clone)]
struct ByName;

impl ShouldSample for ByName {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[opentelemetry::KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let sampler = if name.starts_with("sampled") { Sampler::AlwaysOn } else { Sampler::AlwaysOff };
        Sampler::ParentBased(Box::new(sampler)).should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

/// Runs `f` below a span that is not sampled.
fn below<R>(f: impl FnOnce() -> R) -> (Capture, R) {
    let capture = Capture::with_sampler(ByName);
    let result = capture.run(|| throughline::in_span("quiet", f));
    (capture, result)
}

#[test]
fn another_parent_decides() {
    #[traced("handle", parent = sent)]
    fn handle(sent: &Carrier) {
        throughline::in_span("below", || ());
    }
    let sent = Capture::new().run(|| throughline::in_span("send", Carrier::capture));
    let (capture, ()) = below(|| handle(&sent));
    assert_eq!(capture.tree(), "handle (remote parent) ~> (other)\n└── below");
    let trace = sent.to_context().span().span_context().trace_id();
    assert_eq!(capture.span("handle").trace_id(), trace);
}

#[test]
fn a_new_trace_is_sampled_by_itself() {
    #[traced("sampled function", root)]
    fn function() {}
    let (capture, ()) = below(|| {
        function();
        throughline::span("sampled block").root().run(|| ());
        throughline::span("not this one").root().run(|| throughline::in_span("nor this", || ()));
    });
    assert_eq!(capture.tree(), "sampled function ~> (other)\nsampled block ~> (other)");
}

#[test]
fn what_is_propagated_leaves() {
    #[traced]
    #[biz_tags(propagate(tenant_id), order_no = 7)]
    fn of_a_function(tenant_id: &str) -> Carrier {
        Carrier::capture()
    }
    #[biz_tags(propagate(tenant_id), order_no = 7)]
    fn without_a_span(tenant_id: &str) -> Carrier {
        Carrier::capture()
    }
    fn of_a_block(tenant_id: &str) -> Carrier {
        let tag = || Tag::new(tenant_id.tag_value()).propagate();
        let block = throughline::span("block").propagate(|tags| tags.scope("tenant_id", tag));
        block.biz_tag("order_no", 7).run(Carrier::capture)
    }
    for send in [of_a_function, without_a_span, of_a_block] {
        let (capture, sent) = below(|| send("acme"));
        assert_eq!(sent.baggage.as_deref(), Some("tenant_id=acme"));
        assert!(sent.traceparent.is_some_and(|parent| parent.ends_with("-00")));
        assert!(capture.spans().is_empty());
    }
}
