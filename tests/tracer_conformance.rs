//! What OpenTelemetry's specification says of tracers and spans ("Tracing API", "Tracing SDK"), asked of our own tracer
//! and of the SDK's, side by side. Where the SDK does something else, the test says what.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Event, Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    IdGenerator, Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, Span, SpanData,
    SpanLimits, SpanProcessor,
};
use throughline::telemetry::TracerProvider;

/// Keeps what has ended, and what has started.
#[derive(Debug, Clone, Default)]
struct Kept {
    ended: Arc<Mutex<Vec<SpanData>>>,
    started: Arc<Mutex<Vec<String>>>,
    shut_down: Arc<Mutex<usize>>,
}

impl Kept {
    fn take(&self) -> Vec<SpanData> {
        std::mem::take(&mut *self.ended.lock().expect("no panic"))
    }

    /// The one span that has ended.
    #[track_caller]
    fn one(&self) -> SpanData {
        let mut spans = self.take();
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans.remove(0)
    }
}

impl SpanProcessor for Kept {
    fn on_start(&self, span: &mut Span, _parent: &Context) {
        span.set_attribute(KeyValue::new("set.on_start", true));
        let name = span.exported_data().expect("it is recorded").name.into_owned();
        self.started.lock().expect("no panic").push(name);
    }

    fn on_end(&self, span: SpanData) {
        self.ended.lock().expect("no panic").push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        *self.shut_down.lock().expect("no panic") += 1;
        Ok(())
    }
}

/// The attributes but for the processor's.
fn attributes(span: &SpanData) -> Vec<KeyValue> {
    span.attributes.iter().filter(|it| it.key.as_str() != "set.on_start").cloned().collect()
}

fn context(trace_id: u128, span_id: u64, flags: TraceFlags, is_remote: bool, state: &str) -> SpanContext {
    let state = if state.is_empty() { TraceState::NONE } else { state.parse().expect("it is valid") };
    SpanContext::new(TraceId::from(trace_id), SpanId::from(span_id), flags, is_remote, state)
}

fn below(span: SpanContext) -> Context {
    Context::new().with_remote_span_context(span)
}

/// A sampler that answers always the same, and records what it was asked.
#[derive(Debug, Clone)]
struct Asked {
    answer: SamplingDecision,
    questions: Arc<Mutex<Vec<String>>>,
}

impl Asked {
    fn answering(answer: SamplingDecision) -> Self {
        Self { answer, questions: Arc::default() }
    }
}

impl ShouldSample for Asked {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parent = parent.is_some_and(|parent| parent.span().span_context().is_valid());
        let keys: Vec<_> = attributes.iter().map(|it| it.key.as_str()).collect();
        let question = format!("{name} {kind:?} {keys:?} {} parent {parent}", links.len());
        self.questions.lock().expect("no panic").push(question);
        SamplingResult {
            decision: self.answer.clone(),
            attributes: vec![KeyValue::new("sampler", "asked")],
            trace_state: "sampler=said".parse().expect("it is valid"),
        }
    }
}

#[derive(Debug)]
struct Counting(Mutex<u64>);

impl IdGenerator for Counting {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(u128::from(self.next()) + 1_000)
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(self.next())
    }
}

impl Counting {
    fn next(&self) -> u64 {
        let mut last = self.0.lock().expect("no panic");
        *last += 1;
        *last
    }
}

type Action = Box<dyn FnOnce() + Send>;

/// Does something when a span ends, while that is current.
#[derive(Clone, Default)]
struct OnEnd(Arc<Mutex<Option<Action>>>);

impl std::fmt::Debug for OnEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnEnd")
    }
}

impl SpanProcessor for OnEnd {
    fn on_start(&self, _span: &mut Span, _parent: &Context) {}

    fn on_end(&self, _span: SpanData) {
        let taken = self.0.lock().expect("no panic").take();
        if let Some(f) = taken {
            f();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

macro_rules! on_both {
    ($(
        $(#[doc = $doc:literal])*
        fn $name:ident($builder:ident, $kept:ident, $ours:ident) $body:block
    )*) => {
        mod our_tracer {
            use super::*;
            $($(#[doc = $doc])* #[test] fn $name() {
                let ($builder, $kept, $ours) = (TracerProvider::builder(), Kept::default(), true);
                let $builder = $builder.with_span_processor($kept.clone());
                let _ = $ours;
                $body
            })*
        }

        mod tracer_of_the_sdk {
            use super::*;
            $($(#[doc = $doc])* #[test] fn $name() {
                let ($builder, $kept, $ours) = (SdkTracerProvider::builder(), Kept::default(), false);
                let $builder = $builder.with_span_processor($kept.clone());
                let _ = $ours;
                $body
            })*
        }
    };
}

on_both! {
    /// "`SpanContext` Creation", "Determining the Parent Span from a Context".
    fn a_root_span_has_a_trace_of_its_own(builder, kept, ours) {
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

    /// A child has the trace id, the trace state and the flags of its parent, whose id it keeps.
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

    /// "Span Creation": name, kind, attributes, links, start timestamp.
    fn what_a_span_starts_with_is_kept(builder, kept, ours) {
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

    /// "SpanKind": the default is internal; an unset status; no dropped counts.
    fn a_bare_span_has_the_defaults(builder, kept, ours) {
        let before = SystemTime::now();
        drop(builder.build().tracer("t").start("bare"));
        let span = kept.one();
        assert_eq!((&span.span_kind, &span.status), (&SpanKind::Internal, &Status::Unset));
        assert_eq!(span.dropped_attributes_count + span.events.dropped_count + span.links.dropped_count, 0);
        assert!(before <= span.start_time && span.start_time <= span.end_time && span.end_time <= SystemTime::now());
    }

    /// "Set Attributes": "Setting an attribute with the same key as an existing attribute SHOULD overwrite".
    fn an_attribute_that_is_set_again_is_overwritten(builder, kept, ours) {
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

    /// "Add Events": in the order in which they were added, with the time that was given.
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

    /// "Set Status": `Ok` is final, `Unset` is ignored, the last error counts.
    fn the_status_follows_its_rules(builder, kept, ours) {
        let tracer = builder.build().tracer("t");
        for (set, expected) in [
            (vec![Status::error("a")], Status::error("a")),
            (vec![Status::error("a"), Status::Unset], Status::error("a")),
            (vec![Status::error("a"), Status::error("b")], Status::error("b")),
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

    /// "End": with a time that is given; later calls have no effect; the span records no more.
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

    /// "End": does not end children, and works for a span that is not current any more.
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

    /// "Span Limits".
    fn what_exceeds_a_limit_is_dropped_and_counted(builder, kept, ours) {
        let limits = SpanLimits {
            max_attributes_per_span: 2,
            max_events_per_span: 2,
            max_links_per_span: 1,
            max_attributes_per_event: 1,
            max_attributes_per_link: 1,
        };
        let mut span = builder.with_span_limits(limits).build().tracer("t").start("s");
        let many = || vec![KeyValue::new("a", 1), KeyValue::new("b", 2), KeyValue::new("c", 3)];
        // One has been set at the start.
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

    /// "Span processor": called for each span that is recorded; what it sets at the start is on the span.
    fn processors_see_the_start_and_the_end(builder, kept, ours) {
        let second = Kept::default();
        let tracer = builder.with_span_processor(second.clone()).build().tracer("t");
        drop(tracer.start("s"));
        for kept in [&kept, &second] {
            assert_eq!(*kept.started.lock().expect("no panic"), ["s"]);
            assert!(kept.one().attributes.contains(&KeyValue::new("set.on_start", true)));
        }
    }

    /// "`OnEnd`": the span that ends is locked by then, and a span that starts below it must not wait for it.
    fn a_processor_may_start_spans_below_the_one_that_ends(builder, kept, ours) {
        let (on_end, sampler) = (OnEnd::default(), Asked::answering(SamplingDecision::RecordOnly));
        let tracer = builder.with_span_processor(on_end.clone()).with_sampler(sampler).build().tracer("t");
        let parent = Context::new().with_span(tracer.start("parent"));
        let (below, nested) = (parent.clone(), tracer.clone());
        *on_end.0.lock().expect("no panic") = Some(Box::new(move || drop(nested.start_with_context("nested", &below))));
        parent.span().end();
        let spans = kept.take();
        let nested = spans.iter().find(|span| span.name == "nested").expect("it was recorded");
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
        provider.shutdown().expect("it is the first");
        assert!(provider.shutdown().is_err());
        assert!(!tracer.start("s").is_recording() && !provider.tracer("u").start("s").is_recording());
        assert_eq!(*kept.shut_down.lock().expect("no panic"), 1);
        assert!(kept.take().is_empty());
    }

    /// A context in which telemetry is suppressed.
    fn suppressed_telemetry_is_not_recorded(builder, kept, ours) {
        let tracer = builder.build().tracer("t");
        let parent = Context::new().with_span(tracer.start("parent")).with_telemetry_suppressed();
        assert!(!tracer.start_with_context("s", &parent).is_recording());
        drop(parent);
        assert_eq!(kept.take().len(), 1);
    }

    /// Dropping the provider and all that it has made shuts it down.
    fn a_provider_that_is_dropped_is_shut_down(builder, kept, ours) {
        let provider = builder.build();
        let span = provider.tracer("t").start("s");
        drop(provider);
        drop(span);
        assert_eq!(kept.take().len(), 1);
        assert_eq!(*kept.shut_down.lock().expect("no panic"), 1);
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
