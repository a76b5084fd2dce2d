//! Providers: limits, IDs, processors, exporters, resources, scopes, shutdown.

use std::collections::BTreeMap;

use super::*;

on_both! {
    /// "Span Limits".
    fn attributes_events_and_links_beyond_a_limit_are_dropped_and_counted(builder, kept, ours) {
        let limits = SpanLimits {
            max_attributes_per_span: 2,
            max_events_per_span: 2,
            max_links_per_span: 1,
            max_attributes_per_event: 1,
            max_attributes_per_link: 1,
        };
        let mut span = builder.with_span_limits(limits).build().tracer("t").start("s");
        let many = || vec![KeyValue::new("a", 1), KeyValue::new("b", 2), KeyValue::new("c", 3)];
        // The processor has set one.
        span.set_attributes(many());
        for _ in 0..4 {
            span.add_event("e", many());
            span.add_link(context(1, 2, TraceFlags::SAMPLED, false, ""), many());
        }
        drop(span);
        let span = kept.one();
        assert_eq!((span.attributes.len(), span.dropped_attributes_count), (2, 2));
        assert_eq!((span.events.events.len(), span.events.dropped_count), (2, 2));
        assert_eq!((span.links.links.len(), span.links.dropped_count), (1, 3));
        let (event, link) = (&span.events.events[0], &span.links.links[0]);
        assert_eq!((event.attributes.len(), event.dropped_attributes_count), (1, 2));
        assert_eq!((link.attributes.len(), link.dropped_attributes_count), (1, 2));
    }

    /// "Id Generators".
    fn ids_come_from_the_generator(builder, kept, ours) {
        let tracer = builder.with_id_generator(Counting(Mutex::new(0))).build().tracer("t");
        let root = Context::new().with_span(tracer.start_with_context("root", &Context::new()));
        drop(tracer.start_with_context("child", &root));
        drop(root);
        let spans = kept.take();
        let ids: Vec<_> = spans.iter().map(|span| span.span_context.span_id()).collect();
        assert!(ids.iter().all(|id| u64::from_be_bytes(id.to_bytes()) <= 3) && ids[0] != ids[1]);
        assert!(spans.iter().all(|span| u128::from_be_bytes(span.span_context.trace_id().to_bytes()) > 1_000));
    }

    /// "Span processor": called for each recorded span. The attributes that it sets in `on_start` are on the span.
    fn processors_see_the_start_and_the_end(builder, kept, ours) {
        let second = Kept::default();
        let tracer = builder.with_span_processor(second.clone()).build().tracer("t");
        drop(tracer.start("s"));
        for kept in [&kept, &second] {
            assert_eq!(*kept.started.lock().expect("no panic"), ["s"]);
            assert!(kept.one().attributes.contains(&KeyValue::new("set.on_start", true)));
        }
    }

    /// "`OnStart`": "It should be possible to keep a reference to this span object and updates to the span SHOULD be
    /// reflected in it". It also has the same span context.
    fn a_processor_may_change_a_span_in_on_start(builder, kept, ours) {
        let (changing, seen) = (Changing::default(), Changing::default());
        let builder = builder.with_sampler(Asked::answering(SamplingDecision::RecordOnly));
        let tracer = builder.with_span_processor(changing.clone()).with_span_processor(seen.clone()).build().tracer("t");
        let links = vec![Link::with_context(context(1, 2, TraceFlags::SAMPLED, true, ""))];
        drop(tracer.span_builder("s").with_links(links).start(&tracer));
        let span = kept.one();
        assert_eq!(span.name, "s, changed, changed");
        let events: Vec<_> = span.events.iter().map(|event| &*event.name).collect();
        assert_eq!(events, ["s", "s, changed"]);
        assert_eq!((span.links.len(), &span.status), (3, &Status::Ok));
        for processor in [changing, seen] {
            assert_eq!(processor.0.lock().expect("no panic").as_ref(), Some(&span.span_context));
        }
    }

    /// What the processor has set before is kept.
    fn a_processor_may_end_a_span_in_on_start(builder, kept, ours) {
        let tracer = builder.with_span_processor(Ending).build().tracer("t");
        let mut span = tracer.start("s");
        assert!(!span.is_recording());
        span.set_attribute(KeyValue::new("late", true));
        drop(span);
        let span = kept.one();
        assert_eq!((attributes(&span), span.end_time), (vec![KeyValue::new("ended", true)], Ending::time()));
    }

    /// "`OnEnd`": the span is locked meanwhile, and starting a child must not deadlock.
    fn a_processor_may_start_a_child_of_the_span_that_ends(builder, kept, ours) {
        let (on_end, sampler) = (OnEnd::default(), Asked::answering(SamplingDecision::RecordOnly));
        let tracer = builder.with_span_processor(on_end.clone()).with_sampler(sampler).build().tracer("t");
        let parent = Context::new().with_span(tracer.start("parent"));
        let (below, nested) = (parent.clone(), tracer.clone());
        *on_end.0.lock().expect("no panic") = Some(Box::new(move || drop(nested.start_with_context("nested", &below))));
        parent.span().end();
        let spans = kept.take();
        let nested = spans.iter().find(|span| span.name == "nested").expect("the span is recorded");
        assert_eq!(nested.parent_span_id, parent.span().span_context().span_id());
    }

    /// "Get a Tracer": the scope with its version, schema URL and attributes.
    fn spans_have_the_scope_of_their_tracer(builder, kept, ours) {
        let scope = InstrumentationScope::builder("lib")
            .with_version("1.2")
            .with_schema_url("https://example.com/1")
            .with_attributes([KeyValue::new("a", 1)])
            .build();
        let provider = builder.build();
        drop(provider.tracer_with_scope(scope.clone()).start("s"));
        drop(provider.tracer("other").start("s"));
        let spans = kept.take();
        assert_eq!(spans[0].instrumentation_scope, scope);
        assert_eq!(spans[0].instrumentation_scope.attributes().count(), 1);
        assert_eq!(spans[1].instrumentation_scope.name(), "other");
    }

    /// "Shutdown": once; spans that start later are not recorded.
    fn after_the_shutdown_nothing_is_recorded(builder, kept, ours) {
        let provider = builder.build();
        let tracer = provider.tracer("t");
        provider.shutdown().expect("the first shutdown succeeds");
        assert!(provider.shutdown().is_err());
        assert!(!tracer.start("s").is_recording() && !provider.tracer("u").start("s").is_recording());
        assert_eq!(*kept.shut_down.lock().expect("no panic"), 1);
        assert!(kept.take().is_empty());
    }

    /// "Shutdown": "SDKs SHOULD return a valid no-op Tracer", whose spans have the span context of their parent. Those of
    /// the SDK have none.
    fn after_the_shutdown_the_context_of_the_parent_is_propagated(builder, kept, ours) {
        let provider = builder.build();
        let tracer = provider.tracer("t");
        let local = Context::new().with_span(tracer.start("before"));
        provider.shutdown().expect("the first shutdown succeeds");
        let remote = below(context(7, 8, TraceFlags::new(0x03), true, "a=1"));
        for parent in [&local, &remote] {
            for tracer in [&tracer, &provider.tracer("u")] {
                let span = tracer.start_with_context("after", parent);
                let expected = if ours { parent.span().span_context().clone() } else { SpanContext::NONE };
                assert_eq!((span.span_context(), span.is_recording()), (&expected, false));
                let suppressed = tracer.start_with_context("after", &parent.with_telemetry_suppressed());
                assert!(!suppressed.span_context().is_valid());
            }
        }
        let invalid = below(context(0, 8, TraceFlags::SAMPLED, true, "a=1"));
        assert_eq!(tracer.start_with_context("after", &invalid).span_context(), &SpanContext::NONE);
        drop(local);
        drop(kept.take());
    }

    /// Dropping the provider and all of its tracers and spans shuts it down.
    fn a_provider_that_is_dropped_is_shut_down(builder, kept, ours) {
        let provider = builder.build();
        let span = provider.tracer("t").start("s");
        drop(provider);
        drop(span);
        assert_eq!(kept.take().len(), 1);
        assert_eq!(*kept.shut_down.lock().expect("no panic"), 1);
    }

    /// "Span Limits", with a method for each limit.
    fn limits_may_be_set_one_by_one(builder, kept, ours) {
        let builder = builder.with_max_attributes_per_span(3).with_max_events_per_span(2).with_max_links_per_span(1);
        let builder = builder.with_max_attributes_per_event(1).with_max_attributes_per_link(0);
        let mut span = builder.build().tracer("t").start("s");
        let many = || vec![KeyValue::new("a", 1), KeyValue::new("b", 2), KeyValue::new("c", 3)];
        span.set_attributes(many());
        for _ in 0..4 {
            span.add_event("e", many());
            span.add_link(context(1, 2, TraceFlags::SAMPLED, false, ""), many());
        }
        drop(span);
        let span = kept.one();
        assert_eq!((span.attributes.len(), span.events.events.len(), span.links.links.len()), (3, 2, 1));
        let (event, link) = (&span.events.events[0], &span.links.links[0]);
        assert_eq!((event.attributes.len(), event.dropped_attributes_count), (1, 2));
        assert_eq!((link.attributes.len(), link.dropped_attributes_count), (0, 3));
    }

    /// "Simple processor": exported when the span ends.
    fn a_simple_exporter_exports_a_span_when_it_ends(builder, kept, ours) {
        let exporter = InMemorySpanExporter::default();
        let provider = builder.with_simple_exporter(exporter.clone()).build();
        let span = provider.tracer("t").start("s");
        assert!(exporter.get_finished_spans().expect("no panic").is_empty());
        drop(span);
        let spans = exporter.get_finished_spans().expect("no panic");
        assert_eq!(spans.iter().map(|span| span.name.as_ref()).collect::<Vec<_>>(), ["s"]);
        assert_eq!(spans[0].span_context, kept.one().span_context);
    }

    /// "Batching processor": exported by `ForceFlush` at the latest.
    fn a_batch_exporter_has_exported_all_spans_after_a_flush(builder, kept, ours) {
        let exporter = InMemorySpanExporter::default();
        let provider = builder.with_batch_exporter(exporter.clone()).build();
        for name in ["a", "b"] {
            drop(provider.tracer("t").start(name));
        }
        provider.force_flush().expect("an in-memory exporter");
        let spans = exporter.get_finished_spans().expect("no panic");
        assert_eq!(spans.iter().map(|span| span.name.as_ref()).collect::<Vec<_>>(), ["a", "b"]);
        provider.shutdown().expect("the first shutdown succeeds");
        assert_eq!(kept.take().len(), 2);
    }

    /// "Resource Creation": processors get the resource of the provider, into which later ones are merged.
    fn processors_get_the_resource(builder, kept, ours) {
        let resource = |key: &'static str, value: &'static str| {
            let both = [KeyValue::new("service.name", value), KeyValue::new(key, value)];
            Resource::builder_empty().with_attributes(both).build()
        };
        let provider = builder.with_resource(resource("a", "first")).with_resource(resource("b", "second")).build();
        let known = kept.resource.lock().expect("no panic").clone().expect("a resource");
        let text = |key: &'static str| known.get(&key.into()).map(|value| value.to_string());
        assert_eq!(text("service.name").as_deref(), Some("second"));
        assert_eq!((text("a").as_deref(), text("b").as_deref()), (Some("first"), Some("second")));
        drop(provider);
    }

    /// "Resource Creation": without one, there is the default resource.
    fn there_is_a_default_resource(builder, kept, ours) {
        let provider = builder.build();
        let known = kept.resource.lock().expect("no panic").clone().expect("a resource");
        assert_is_like(&known, &Resource::builder().build(), ours);
        assert!(known.get(&"service.name".into()).is_some());
        drop(provider);
    }

    fn a_given_resource_names_the_sdk_that_records_the_spans(builder, kept, ours) {
        let orders = Resource::builder().with_service_name("orders").build();
        let provider = builder.with_resource(orders.clone()).build();
        let known = kept.resource.lock().expect("no panic").clone().expect("a resource");
        assert_is_like(&known, &orders, ours);
        drop(provider);
    }

    /// Only the name of the SDK is replaced.
    fn a_resource_may_name_another_sdk(builder, kept, ours) {
        let other = Resource::builder().with_attribute(KeyValue::new("telemetry.sdk.name", "orders-agent")).build();
        let provider = builder.with_resource(other.clone()).build();
        assert_eq!(kept.resource.lock().expect("no panic").as_ref(), Some(&other));
        drop(provider);
    }
}

/// Asserts that the resource is that of the SDK, except that `telemetry.sdk.*` names us if the tracer is ours
/// ("Telemetry SDK" in the semantic conventions: "The identifier `opentelemetry` is reserved").
fn assert_is_like(actual: &Resource, sdk: &Resource, ours: bool) {
    let attributes = |resource: &Resource| -> BTreeMap<_, _> {
        resource.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    };
    let mut expected = attributes(sdk);
    assert_eq!(expected["telemetry.sdk.name"], "opentelemetry");
    if ours {
        let own = [("name", "throughline"), ("language", "rust"), ("version", env!("CARGO_PKG_VERSION"))];
        expected.extend(own.map(|(key, value)| (format!("telemetry.sdk.{key}"), value.to_owned())));
    }
    assert_eq!(attributes(actual), expected);
}
