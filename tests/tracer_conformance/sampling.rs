//! Samplers.

use super::*;

on_both! {
    /// "Built-in samplers": `ParentBased` follows the parent. That other flags are kept is from W3C Trace Context,
    /// level 2.
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

    /// "`ParentBased`" consults its root sampler if there is no parent. That of the SDK follows even an invalid parent.
    fn an_invalid_span_context_is_not_a_parent(builder, kept, ours) {
        let provider = builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn))).build();
        for (trace_id, span_id) in [(0, 8), (7, 0), (0, 0)] {
            let parent = below(context(trace_id, span_id, TraceFlags::NOT_SAMPLED, false, "a=1"));
            let span = provider.tracer("t").start_with_context("root", &parent);
            assert_eq!(span.is_recording(), ours);
            assert_eq!(span.span_context().trace_state().header(), if ours { "" } else { "a=1" });
        }
    }

    /// "Sampler": its arguments, and the attributes and the trace state of its result.
    fn the_sampler_is_consulted(builder, kept, ours) {
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

    /// "Sampling": with `RECORD_ONLY`, a span is recorded but not sampled.
    fn a_record_only_span_is_recorded_but_not_sampled(builder, kept, ours) {
        let provider = builder.with_sampler(Asked::answering(SamplingDecision::RecordOnly)).build();
        let span = provider.tracer("t").start("s");
        assert!(span.is_recording() && !span.span_context().is_sampled());
        drop(span);
        assert_eq!(kept.one().span_context.trace_flags(), TraceFlags::NOT_SAMPLED);
    }

    /// "Sampling": with `DROP`, a span is neither recorded nor sampled.
    fn a_dropped_span_has_a_valid_span_context(builder, kept, ours) {
        let provider = builder.with_sampler(Sampler::AlwaysOff).build();
        let mut span = provider.tracer("t").start("s");
        assert!(!span.is_recording() && !span.span_context().is_sampled() && span.span_context().is_valid());
        span.set_attribute(KeyValue::new("a", 1));
        span.end();
        assert!(kept.take().is_empty() && kept.started.lock().expect("no panic").is_empty());
    }

    /// For a sampler that is chosen at run time.
    fn a_sampler_may_be_boxed(builder, kept, ours) {
        let sampler: Box<dyn ShouldSample> = Box::new(Asked::answering(SamplingDecision::RecordAndSample));
        drop(builder.with_sampler(sampler).build().tracer("t").start("s"));
        assert!(attributes(&kept.one()).contains(&KeyValue::new("sampler", "asked")));
    }
}
