//! Calls below an unsampled span, in a process without log formatters that need tags. Those of `throughline::log`
//! change which tags are evaluated there, so no test of this program may use one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, Span, SpanData, SpanProcessor,
};
use throughline::testing::Capture;
use throughline::{Carrier, Tag, TagValue as _, biz_tags, traced};

/// Samples or records new traces by the name of their root span, and follows the parent in others.
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
        let sampler = Sampler::ParentBased(Box::new(sampler));
        let mut result = sampler.should_sample(parent, trace_id, name, kind, attributes, links);
        if name.starts_with("recorded") {
            result.decision = SamplingDecision::RecordOnly;
        }
        result
    }
}

/// Runs `f` below an unsampled span.
fn below<R>(f: impl FnOnce() -> R) -> (Capture, R) {
    let capture = Capture::with_sampler(ByName);
    let result = capture.run(|| throughline::in_span("quiet", f));
    (capture, result)
}

#[test]
fn an_explicit_parent_decides() {
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
fn a_new_trace_has_its_own_sampling_decision() {
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
fn propagated_tags_are_sent() {
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

/// The SDK's tracer drops the flags of an unsampled parent.
#[test]
fn the_random_flag_of_the_caller_is_propagated() {
    let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
    throughline::install(&SdkTracerProvider::builder().with_sampler(sampler).build());
    let trace = "00-0af7651916cd43dd8448eb211c80319c-";
    for flags in ["-00", "-02", "-01", "-03"] {
        let headers = [("traceparent", format!("{trace}b7ad6b7169203331{flags}"))];
        let (sent, other) = throughline::span("server").parent(&headers).run(|| {
            let other = throughline::span("another trace").root().run(Carrier::capture);
            (Carrier::capture(), other)
        });
        let (sent, other) = (sent.traceparent.unwrap(), other.traceparent.unwrap());
        assert!(sent.starts_with(trace) && sent.ends_with(flags), "{sent}");
        assert!(!other.starts_with(trace) && other.ends_with("-00"), "{other}");
    }
}

/// The name, the status and the attributes of each ended span. A [`Capture`] has only those that are sampled.
#[derive(Debug, Clone, Default)]
struct Ended(Arc<Mutex<Vec<String>>>);

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let attributes = span.attributes.iter().filter(|attribute| !attribute.key.as_str().starts_with("code."));
        let attributes: Vec<_> = attributes.map(|attribute| format!("{}={}", attribute.key, attribute.value)).collect();
        self.0.lock().unwrap().push(format!("{} {:?} {attributes:?}", span.name, span.status));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[test]
fn a_span_that_is_recorded_but_not_sampled_has_an_outcome() {
    let ended = Ended::default();
    let capture = Capture::with_provider(|provider| provider.with_sampler(ByName).with_span_processor(ended.clone()));
    capture.run(|| {
        let failed = || throughline::in_span("below", || Err::<(), _>("no paper"));
        throughline::try_in_span("recorded", failed).unwrap_err();
        drop(throughline::span("recorded, and dropped").start());
    });
    let expected = [
        r#"recorded Error { description: "no paper" } ["error.type=&str"]"#,
        r#"recorded, and dropped Unset ["throughline.cancelled=true"]"#,
    ];
    assert_eq!(*ended.0.lock().unwrap(), expected);
}
