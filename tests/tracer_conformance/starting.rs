//! The start of a span: its span context, and what it starts with.

use super::*;

on_both! {
    /// "`SpanContext` Creation", "Determining the Parent Span from a Context".
    fn a_root_span_has_a_new_trace_id(builder, kept, ours) {
        let tracer = builder.with_sampler(Sampler::AlwaysOn).build().tracer("t");
        let invalid = Context::new().with_remote_span_context(SpanContext::NONE);
        drop((tracer.start_with_context("a", &Context::new()), tracer.start_with_context("b", &invalid)));
        let spans = kept.take();
        for span in &spans {
            assert!(span.span_context.is_valid() && span.span_context.is_sampled() && !span.span_context.is_remote());
            assert_eq!((span.parent_span_id, span.parent_span_is_remote), (SpanId::INVALID, false));
        }
        assert_ne!(spans[0].span_context.trace_id(), spans[1].span_context.trace_id());
    }

    /// "IsValid": both IDs are non-zero. Nothing is inherited from an invalid span context.
    fn nothing_is_inherited_from_an_invalid_span_context(builder, kept, ours) {
        let tracer = builder.with_sampler(Sampler::AlwaysOn).build().tracer("t");
        for (trace_id, span_id) in [(0, 8), (7, 0), (0, 0)] {
            let parent = below(context(trace_id, span_id, TraceFlags::new(0x03), true, "a=1"));
            drop(tracer.start_with_context("root", &parent));
            let span = kept.one();
            assert_ne!(span.span_context.trace_id(), TraceId::from(trace_id));
            assert_eq!(span.span_context.trace_flags(), TraceFlags::SAMPLED);
            assert_eq!((span.parent_span_id, span.parent_span_is_remote), (SpanId::INVALID, false));
        }
    }

    /// A child has the trace ID, the trace state and the flags of its parent, and records its span ID.
    fn a_child_continues_its_parents_trace(builder, kept, ours) {
        let tracer = builder.build().tracer("t");
        let flags = TraceFlags::new(0x03);
        let parent = below(context(7, 8, flags, true, "a=1,b=2"));
        drop(tracer.start_with_context("child", &parent));
        let span = kept.one();
        assert_eq!(span.span_context.trace_id(), TraceId::from(7));
        assert_eq!((span.parent_span_id, span.parent_span_is_remote), (SpanId::from(8), true));
        assert_eq!(span.span_context.trace_state().header(), "a=1,b=2");
        assert_eq!(span.span_context.trace_flags(), flags);
        assert!(!span.span_context.is_remote() && span.span_context.span_id() != SpanId::from(8));
    }

    /// "Span Creation": name, kind, attributes, links, start timestamp.
    fn a_span_has_everything_that_it_was_built_with(builder, kept, ours) {
        let tracer = builder.build().tracer("t");
        let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_234);
        let link = Link::new(context(1, 2, TraceFlags::SAMPLED, false, ""), vec![KeyValue::new("l", 1)], 0);
        let span = tracer
            .span_builder("name")
            .with_kind(SpanKind::Producer)
            .with_start_time(start)
            .with_attributes([KeyValue::new("a", 1), KeyValue::new("b", "two")])
            .with_links(vec![link.clone()])
            .with_events(vec![Event::new("e", start, vec![KeyValue::new("c", 3)], 0)])
            .start_with_context(&tracer, &Context::new());
        drop(span);
        let span = kept.one();
        assert_eq!((span.name.as_ref(), &span.span_kind, span.start_time), ("name", &SpanKind::Producer, start));
        assert_eq!(attributes(&span), [KeyValue::new("a", 1), KeyValue::new("b", "two")]);
        assert_eq!(span.links.links, [link]);
        assert_eq!(span.events.events[0].name, "e");
        assert_eq!(span.events.events[0].timestamp, start);
        assert_eq!(span.events.events[0].attributes, [KeyValue::new("c", 3)]);
    }

    /// "SpanKind": the default is internal. The status is unset, and nothing is dropped.
    fn a_bare_span_has_the_defaults(builder, kept, ours) {
        let before = SystemTime::now();
        drop(builder.build().tracer("t").start("bare"));
        let span = kept.one();
        assert_eq!((&span.span_kind, &span.status), (&SpanKind::Internal, &Status::Unset));
        assert_eq!(span.dropped_attributes_count + span.events.dropped_count + span.links.dropped_count, 0);
        assert!(before <= span.start_time && span.start_time <= span.end_time && span.end_time <= SystemTime::now());
    }

    /// "End": does not end children, which may even start later.
    fn children_outlive_their_parent(builder, kept, ours) {
        let tracer = builder.build().tracer("t");
        let parent = Context::new().with_span(tracer.start("parent"));
        let child = tracer.start_with_context("child", &parent);
        parent.span().end();
        assert!(child.is_recording());
        drop(child);
        // Below a parent that has ended.
        drop(tracer.start_with_context("late", &parent));
        let spans = kept.take();
        assert_eq!(spans.iter().map(|span| span.name.as_ref()).collect::<Vec<_>>(), ["parent", "child", "late"]);
        let id = parent.span().span_context().span_id();
        assert!(spans[1..].iter().all(|span| span.parent_span_id == id));
    }

    /// A context in which telemetry is suppressed.
    fn suppressed_telemetry_is_not_recorded(builder, kept, ours) {
        let tracer = builder.build().tracer("t");
        let parent = Context::new().with_span(tracer.start("parent")).with_telemetry_suppressed();
        assert!(!tracer.start_with_context("s", &parent).is_recording());
        drop(parent);
        assert_eq!(kept.take().len(), 1);
    }
}
