//! Samplers.

use super::*;

on_both! {
    /// "Built-in samplers": `ParentBased` follows the parent. "SHOULD preserve the parent's flags" is of W3C's level 2.
    fn a_parent_that_is_not_sampled_is_followed(builder, kept, ours) {
        let provider = builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn))).build();
        let parent = below(context(7, 8, TraceFlags::new(0x02), true, "a=1"));
        let span = provider.tracer("t").start_with_context("child", &parent);
        assert!(!span.is_recording() && !span.span_context().is_sampled());
        assert_eq!(span.span_context().trace_id(), TraceId::from(7));
        assert_eq!(span.span_context().trace_state().header(), "a=1");
        // The SDK drops the other flags, so that the random one is lost.
        assert_eq!(span.span_context().trace_flags().to_u8(), if ours { 0x02 } else { 0 });
        drop(span);
        assert!(kept.take().is_empty());
    }

    /// "`ParentBased`" asks its root sampler where there is no parent. The SDK's sees one that is not valid as a parent.
    fn ids_that_are_not_valid_are_no_parent(builder, kept, ours) {
        let provider = builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn))).build();
        for (trace_id, span_id) in [(0, 8), (7, 0), (0, 0)] {
            let parent = below(context(trace_id, span_id, TraceFlags::NOT_SAMPLED, false, "a=1"));
            let span = provider.tracer("t").start_with_context("root", &parent);
            assert_eq!(span.is_recording(), ours);
            assert_eq!(span.span_context().trace_state().header(), if ours { "" } else { "a=1" });
        }
    }

    /// "Sampler": what it is told, and what it decides on: attributes and trace state.
    fn the_sampler_is_asked(builder, kept, ours) {
        let sampler = Asked::answering(SamplingDecision::RecordAndSample);
        let tracer = builder.with_sampler(sampler.clone()).build().tracer("t");
        let link = Link::with_context(context(1, 2, TraceFlags::SAMPLED, false, ""));
        let root = tracer
            .span_builder("root")
            .with_kind(SpanKind::Server)
            .with_attributes([KeyValue::new("a", 1)])
            .with_links(vec![link])
            .start_with_context(&tracer, &Context::new());
        let root = Context::new().with_span(root);
        drop(tracer.start_with_context("child", &root));
        root.span().end();
        let questions = sampler.questions.lock().expect("no panic").clone();
        assert_eq!(questions, [r#"root Server ["a"] 1 parent false"#, "child Internal [] 0 parent true"]);
        for span in kept.take() {
            assert!(attributes(&span).contains(&KeyValue::new("sampler", "asked")));
            assert_eq!(span.span_context.trace_state().header(), "sampler=said");
        }
    }

    /// "Sampling": `RECORD_ONLY` records, and is not sampled; `DROP` does neither.
    fn decisions_have_their_meaning(builder, kept, ours) {
        let provider = builder.with_sampler(Asked::answering(SamplingDecision::RecordOnly)).build();
        let span = provider.tracer("t").start("s");
        assert!(span.is_recording() && !span.span_context().is_sampled());
        drop(span);
        assert_eq!(kept.one().span_context.trace_flags(), TraceFlags::NOT_SAMPLED);
    }

    /// Likewise.
    fn a_dropped_span_has_ids_all_the_same(builder, kept, ours) {
        let provider = builder.with_sampler(Sampler::AlwaysOff).build();
        let mut span = provider.tracer("t").start("s");
        assert!(!span.is_recording() && !span.span_context().is_sampled() && span.span_context().is_valid());
        span.set_attribute(KeyValue::new("a", 1));
        span.end();
        assert!(kept.take().is_empty() && kept.started.lock().expect("no panic").is_empty());
    }

    /// A sampler that is chosen when the program runs.
    fn a_sampler_may_be_boxed(builder, kept, ours) {
        let sampler: Box<dyn ShouldSample> = Box::new(Asked::answering(SamplingDecision::RecordAndSample));
        drop(builder.with_sampler(sampler).build().tracer("t").start("s"));
        assert!(attributes(&kept.one()).contains(&KeyValue::new("sampler", "asked")));
    }
}
