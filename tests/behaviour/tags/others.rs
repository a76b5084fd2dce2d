//! Spans of other code, and samplers.

use std::sync::{Arc, Mutex};

use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};
use throughline::testing::Capture;
use throughline::{biz_tags, in_span, traced};

#[test]
fn spans_of_the_opentelemetry_api_have_the_tags() {
    #[traced]
    #[biz_tags(tenant_id)]
    fn place(capture: &Capture, tenant_id: &str) {
        let tracer = capture.tracer("library");
        drop(tracer.start("plain"));
        let own = tracer.span_builder("own").with_attributes([KeyValue::new("tenant_id", "set by the library")]);
        let context = Context::current_with_span(own.start(&tracer));
        let _attached = context.attach();
        in_span("below", || {});
        let _ = tenant_id;
    }
    let capture = Capture::new();
    capture.run(|| place(&capture, "acme"));
    capture.assert_tree_with(
        &["tenant_id"],
        "
        place tenant_id=acme
        ├── plain tenant_id=acme
        └── own tenant_id=\"set by the library\"
            └── below tenant_id=acme
        ",
    );
    // Each span has them once: ours from their start, the others from the processor.
    for span in capture.spans() {
        let count = span.attributes.iter().filter(|attribute| attribute.key.as_str() == "tenant_id").count();
        assert_eq!(count, 1, "{}", span.name());
    }
}

#[test]
fn the_sampler_sees_the_tags() {
    #[derive(Clone, Debug, Default)]
    struct Seeing(Arc<Mutex<Vec<Asked>>>);

    /// The name of the span and the keys of its tags.
    type Asked = (String, Vec<String>);

    impl ShouldSample for Seeing {
        fn should_sample(
            &self,
            parent: Option<&Context>,
            trace_id: TraceId,
            name: &str,
            kind: &SpanKind,
            attributes: &[KeyValue],
            links: &[Link],
        ) -> SamplingResult {
            let keys = attributes.iter().map(|attribute| attribute.key.to_string());
            let tags = keys.filter(|key| !key.starts_with("code.")).collect();
            self.0.lock().expect("no panic in a sampler").push((name.to_owned(), tags));
            Sampler::AlwaysOn.should_sample(parent, trace_id, name, kind, attributes, links)
        }
    }

    #[traced(tags(own = 1))]
    #[biz_tags(tenant_id)]
    fn place(tenant_id: &str) {
        in_span("below", || {});
        let _ = tenant_id;
    }
    let sampler = Seeing::default();
    Capture::with_sampler(sampler.clone()).run(|| place("acme"));
    let seen = sampler.0.lock().expect("no panic in a sampler").clone();
    let below = ("below".to_owned(), vec!["tenant_id".to_owned()]);
    assert_eq!(seen, [("place".to_owned(), vec!["own".to_owned(), "tenant_id".to_owned()]), below]);
}
