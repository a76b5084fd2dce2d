//! Recording on a span, and its end.

use super::*;

on_both! {
    /// "Set Attributes": "Setting an attribute with the same key as an existing attribute SHOULD overwrite".
    fn setting_an_attribute_again_overwrites_it(builder, kept, ours) {
        let mut span = builder.build().tracer("t").start("s");
        for value in [1, 2, 3] {
            span.set_attribute(KeyValue::new("a", value));
        }
        span.set_attributes([KeyValue::new("b", 1), KeyValue::new("a", "four")]);
        drop(span);
        let found: Vec<_> = attributes(&kept.one()).into_iter().filter(|it| it.key.as_str() == "a").collect();
        // The SDK keeps every value.
        let expected = if ours { 1 } else { 4 };
        assert_eq!(found.len(), expected);
        assert_eq!(found.last().map(|it| &it.value), Some(&Value::from("four")));
    }

    /// "Add Events": in the order in which they were added, with the given timestamp.
    fn events_keep_their_order_and_time(builder, kept, ours) {
        let mut span = builder.build().tracer("t").start("s");
        let early = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        span.add_event("second", vec![]);
        span.add_event_with_timestamp("first", early, vec![KeyValue::new("a", 1)]);
        drop(span);
        let events = kept.one().events.events;
        assert_eq!(events.iter().map(|event| event.name.as_ref()).collect::<Vec<_>>(), ["second", "first"]);
        assert_eq!((events[1].timestamp, &events[1].attributes), (early, &vec![KeyValue::new("a", 1)]));
    }

    /// The range of times is larger in the API than in OTLP.
    fn a_time_that_cannot_be_encoded_is_clamped(builder, kept, ours) {
        let mut span = builder.build().tracer("t").start("s");
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        span.add_event_with_timestamp("far", far, vec![]);
        span.end_with_timestamp(far);
        let expected = if ours { SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::MAX) } else { far };
        let span = kept.one();
        assert_eq!((span.events.events[0].timestamp, span.end_time), (expected, expected));
    }

    /// "Record Exception".
    fn an_error_is_an_event(builder, kept, ours) {
        let mut span = builder.build().tracer("t").start("s");
        span.record_error(&std::fmt::Error);
        drop(span);
        let span = kept.one();
        assert_eq!((span.events.events[0].name.as_ref(), &span.status), ("exception", &Status::Unset));
        assert_eq!(span.events.events[0].attributes[0].key.as_str(), "exception.message");
    }

    /// "Add Link" after the start.
    fn links_may_be_added_later(builder, kept, ours) {
        let mut span = builder.build().tracer("t").start("s");
        let to = context(1, 2, TraceFlags::SAMPLED, true, "k=v");
        span.add_link(to.clone(), vec![KeyValue::new("a", 1)]);
        drop(span);
        let link = kept.one().links.links.remove(0);
        assert_eq!((link.span_context, link.attributes), (to, vec![KeyValue::new("a", 1)]));
    }

    /// "Link": one with an invalid span context is recorded if it has attributes or a trace state. The SDK records all
    /// of them.
    fn an_invalid_link_is_recorded_if_it_has_attributes_or_a_trace_state(builder, kept, ours) {
        let mut span = builder.build().tracer("t").start("s");
        let nowhere = |state| context(0, 7, TraceFlags::SAMPLED, true, state);
        span.add_link(nowhere(""), vec![KeyValue::new("why", "cache")]);
        span.add_link(nowhere(""), Vec::new());
        span.add_link(nowhere("vendor=x"), Vec::new());
        drop(span);
        let links = kept.one().links;
        let contexts: Vec<_> = links.iter().map(|link| link.span_context.clone()).collect();
        let empty = if ours { vec![] } else { vec![nowhere("")] };
        assert_eq!(contexts, [vec![nowhere("")], empty, vec![nowhere("vendor=x")]].concat());
        assert_eq!(links[0].attributes, [KeyValue::new("why", "cache")]);
    }

    /// "Set Status": `Ok` is final, `Unset` is ignored, and the last error with a description is kept.
    fn the_status_follows_its_rules(builder, kept, ours) {
        let tracer = builder.build().tracer("t");
        for (set, expected) in [
            (vec![Status::error("a")], Status::error("a")),
            (vec![Status::error("a"), Status::Unset], Status::error("a")),
            (vec![Status::error("a"), Status::error("b")], Status::error("b")),
            (vec![Status::error("a"), Status::error("")], Status::error("a")),
            (vec![Status::error("a"), Status::Ok], Status::Ok),
            (vec![Status::Ok, Status::error("a")], Status::Ok),
            (vec![Status::Ok, Status::Unset], Status::Ok),
        ] {
            let mut span = tracer.start("s");
            for status in set {
                span.set_status(status);
            }
            drop(span);
            assert_eq!(kept.one().status, expected);
        }
        let mut span = tracer.start("s");
        span.set_status(Status::error("b"));
        span.set_status(Status::error("a"));
        drop(span);
        // The SDK keeps the description that sorts last.
        assert_eq!(kept.one().status, Status::error(if ours { "a" } else { "b" }));
    }

    /// "Update name".
    fn the_name_may_change(builder, kept, ours) {
        let mut span = builder.build().tracer("t").start("before");
        span.update_name("after".to_owned());
        drop(span);
        assert_eq!(kept.one().name, "after");
        assert_eq!(*kept.started.lock().expect("no panic"), ["before"]);
    }

    /// "End": with a given timestamp. Later calls have no effect, and the span no longer records.
    fn a_span_ends_once(builder, kept, ours) {
        let mut span = builder.build().tracer("t").start("s");
        let end = SystemTime::now() + Duration::from_secs(100);
        span.end_with_timestamp(end);
        assert!(!span.is_recording());
        span.set_attribute(KeyValue::new("late", 1));
        span.add_event("late", vec![]);
        span.add_link(context(1, 2, TraceFlags::SAMPLED, false, ""), vec![]);
        span.set_status(Status::Ok);
        span.update_name("late");
        span.end();
        drop(span);
        let span = kept.one();
        assert_eq!((span.end_time, span.name.as_ref(), &span.status), (end, "s", &Status::Unset));
        assert!(attributes(&span).is_empty() && span.events.events.is_empty() && span.links.links.is_empty());
    }

    /// Through the context, as other code reaches the current span.
    fn the_span_of_a_context_can_be_changed(builder, kept, ours) {
        let tracer = builder.build().tracer("t");
        let context = Context::new().with_span(tracer.start("s"));
        let span = context.span();
        assert!(span.is_recording());
        span.set_attribute(KeyValue::new("a", 1));
        span.add_event("e", vec![]);
        span.set_status(Status::Ok);
        span.update_name("n");
        span.add_link(super::context(1, 2, TraceFlags::SAMPLED, false, ""), vec![]);
        context.clone().span().end();
        assert!(!context.span().is_recording());
        let span = kept.one();
        assert_eq!((span.name.as_ref(), &span.status, attributes(&span).len()), ("n", &Status::Ok, 1));
        assert_eq!((span.events.events.len(), span.links.links.len()), (1, 1));
    }

    /// Attribute values of every type, at their limits.
    fn values_are_kept_as_they_are(builder, kept, ours) {
        use opentelemetry::Array;
        let values = [
            Value::Bool(false),
            Value::I64(i64::MIN),
            Value::I64(-1),
            Value::F64(f64::NEG_INFINITY),
            Value::String("".into()),
            Value::String("ä\u{0}🦀".into()),
            Value::String("x".repeat(70_000).into()),
            Value::Array(Array::Bool(vec![true])),
            Value::Array(Array::I64(vec![1, -1, i64::MAX])),
            Value::Array(Array::F64(vec![0.5])),
            Value::Array(Array::String(vec!["".into(), "b".into()])),
            Value::Array(Array::String(vec![])),
        ];
        let mut span = builder.build().tracer("t").start("s");
        for (at, value) in values.iter().enumerate() {
            span.set_attribute(KeyValue::new(format!("key {at}"), value.clone()));
        }
        drop(span);
        let kept: Vec<_> = attributes(&kept.one()).into_iter().map(|it| it.value).collect();
        assert_eq!(kept, values);
    }
}
