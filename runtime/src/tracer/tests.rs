use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context, KeyValue, Value};
use opentelemetry_sdk::trace::{Sampler, SpanData, SpanLimits};

use super::encoded::{EncodedSpans, frames, message};
use super::kept::Kept;
use super::{TracerProvider, TracerProviderBuilder, decode};
use crate::context::local::{self, Locked};

/// The names of the spans in each buffer that was handed over.
fn names(kept: &Kept, provider: &TracerProvider) -> Vec<Vec<String>> {
    let names = |spans: &EncodedSpans| decoded(provider, spans).iter().map(|span| span.name.to_string()).collect();
    kept.take().iter().map(names).collect()
}

fn decoded(provider: &TracerProvider, spans: &EncodedSpans) -> Vec<SpanData> {
    let mut all = Vec::new();
    spans.each_run(|scope, run| {
        let scope = provider.shared().scopes.get(scope).expect("it has a tracer");
        all.extend(frames(run).map(|frame| decode::span(message(frame), &scope)));
    });
    assert_eq!(all.len(), spans.count as usize);
    all
}

pub(super) fn provider(
    build: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder,
) -> (TracerProvider, Arc<Kept>) {
    let kept = Arc::new(Kept::default());
    (build(TracerProvider::builder()).with_sink(Arc::<Kept>::clone(&kept)).build(), kept)
}

/// The one span that was handed over.
pub(super) fn only(provider: &TracerProvider, kept: &Kept) -> SpanData {
    let spans = kept.take();
    let mut all: Vec<_> = spans.iter().flat_map(|spans| decoded(provider, spans)).collect();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn everything_is_encoded() {
    let (provider, kept) = provider(|builder| builder);
    let tracer = provider.tracer("tests");
    let state: TraceState = "vendor=a,other=b".parse().expect("it is valid");
    let remote = SpanContext::new(TraceId::from(7), SpanId::from(9), TraceFlags::SAMPLED, true, state.clone());
    let other = SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::NOT_SAMPLED, false, TraceState::NONE);
    let parent = Context::new().with_remote_span_context(remote.clone());
    let (start, end) = (SystemTime::UNIX_EPOCH + Duration::from_nanos(5), SystemTime::UNIX_EPOCH + Duration::new(9, 1));
    let mut span = tracer
        .span_builder("first")
        .with_kind(SpanKind::Consumer)
        .with_start_time(start)
        .with_attributes([KeyValue::new("bool", true), KeyValue::new("int", -3_i64), KeyValue::new("float", 0.5)])
        .with_links(vec![Link::new(other.clone(), vec![KeyValue::new("a", 1)], 0)])
        .start_with_context(&tracer, &parent);
    for (key, array) in [
        ("bools", Array::Bool(vec![true, false])),
        ("ints", Array::I64(vec![i64::MIN, 0, i64::MAX])),
        ("floats", Array::F64(vec![f64::MAX, -0.0])),
        ("texts", Array::String(vec!["ä".into(), "".into()])),
    ] {
        span.set_attribute(KeyValue::new(key, Value::Array(array)));
    }
    span.set_attribute(KeyValue::new("text", "x".repeat(1_000)));
    span.add_event_with_timestamp("event", end, vec![KeyValue::new("b", "2")]);
    span.add_link(remote.clone(), Vec::new());
    span.set_status(Status::error("why"));
    span.update_name("second");
    let context = span.span_context().clone();
    span.end_with_timestamp(end);

    let data = only(&provider, &kept);
    assert_eq!(data.span_context, context);
    assert_eq!(context.trace_state(), &state);
    assert_eq!((data.parent_span_id, data.parent_span_is_remote), (SpanId::from(9), true));
    assert_eq!((data.name.as_ref(), data.span_kind), ("second", SpanKind::Consumer));
    assert_eq!((data.start_time, data.end_time), (start, end));
    assert_eq!(data.status, Status::error("why"));
    let expected = [
        KeyValue::new("bool", true),
        KeyValue::new("int", -3_i64),
        KeyValue::new("float", 0.5),
        KeyValue::new("bools", Value::Array(Array::Bool(vec![true, false]))),
        KeyValue::new("ints", Value::Array(Array::I64(vec![i64::MIN, 0, i64::MAX]))),
        KeyValue::new("floats", Value::Array(Array::F64(vec![f64::MAX, -0.0]))),
        KeyValue::new("texts", Value::Array(Array::String(vec!["ä".into(), "".into()]))),
        KeyValue::new("text", "x".repeat(1_000)),
    ];
    assert_eq!(data.attributes, expected);
    let event = &data.events.events[0];
    assert_eq!((event.name.as_ref(), event.timestamp), ("event", end));
    assert_eq!(event.attributes, [KeyValue::new("b", "2")]);
    let links: Vec<_> =
        data.links.links.iter().map(|link| (link.span_context.clone(), link.attributes.len())).collect();
    assert_eq!(links, [(other, 1), (remote, 0)]);
    assert_eq!(data.instrumentation_scope.name(), "tests");
}

#[test]
fn an_attribute_has_its_last_value() {
    let (provider, kept) = provider(|builder| builder);
    let mut span = provider.tracer("tests").start("span");
    for attribute in [("a", 1), ("b", 2), ("a", 3), ("", 4)] {
        span.set_attribute(KeyValue::new(attribute.0, attribute.1));
    }
    span.add_event("event", vec![KeyValue::new("c", 1), KeyValue::new("d", 2), KeyValue::new("c", 3)]);
    span.end();
    let data = only(&provider, &kept);
    assert_eq!(data.attributes, [KeyValue::new("b", 2), KeyValue::new("a", 3)]);
    assert_eq!(data.events.events[0].attributes, [KeyValue::new("d", 2), KeyValue::new("c", 3)]);
}

#[test]
fn what_exceeds_a_limit_is_counted() {
    let limits = SpanLimits {
        max_attributes_per_span: 2,
        max_events_per_span: 1,
        max_links_per_span: 0,
        max_attributes_per_event: 1,
        max_attributes_per_link: 0,
    };
    let (provider, kept) = provider(|builder| builder.with_span_limits(limits).with_value_length(Some(3)));
    let mut span = provider.tracer("tests").start("span");
    for (key, value) in [("a", "äöüß"), ("b", "b"), ("c", "c"), ("b", "last")] {
        span.set_attribute(KeyValue::new(key, value));
    }
    for _ in 0..3 {
        span.add_event("event", vec![KeyValue::new("a", "12345"), KeyValue::new("b", 2)]);
    }
    span.add_link(
        SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, false, TraceState::NONE),
        vec![],
    );
    span.end();
    let data = only(&provider, &kept);
    assert_eq!(data.attributes, [KeyValue::new("a", "äöü"), KeyValue::new("b", "las")]);
    assert_eq!(data.dropped_attributes_count, 1);
    assert_eq!((data.events.events.len(), data.events.dropped_count), (1, 2));
    assert_eq!(data.events.events[0].attributes, [KeyValue::new("a", "123")]);
    assert_eq!(data.events.events[0].dropped_attributes_count, 1);
    assert_eq!((data.links.links.len(), data.links.dropped_count), (0, 1));
}

#[test]
fn the_status_ok_is_final() {
    let (provider, kept) = provider(|builder| builder);
    for (set, expected) in [
        (vec![Status::error("a"), Status::error("A")], Status::error("A")),
        (vec![Status::Ok, Status::error("a")], Status::Ok),
        (vec![Status::error("a"), Status::Ok, Status::Unset], Status::Ok),
        (vec![Status::error("a"), Status::Unset], Status::error("a")),
    ] {
        let mut span = provider.tracer("tests").start("span");
        for status in set {
            span.set_status(status);
        }
        span.end();
        assert_eq!(only(&provider, &kept).status, expected);
    }
}

#[test]
fn nothing_changes_after_the_end() {
    let (provider, kept) = provider(|builder| builder);
    let mut span = provider.tracer("tests").start("span");
    span.end();
    assert!(!span.is_recording());
    span.set_attribute(KeyValue::new("late", true));
    span.add_event("late", vec![]);
    span.update_name("late");
    span.set_status(Status::Ok);
    span.end();
    drop(span);
    let data = only(&provider, &kept);
    assert!(data.attributes.is_empty() && data.events.events.is_empty() && data.name == "span");
    assert_eq!(data.status, Status::Unset);
}

#[test]
fn a_trace_is_handed_over_when_its_local_root_ends() {
    let (provider, kept) = provider(|builder| builder);
    let (one, two) = (provider.tracer("one"), provider.tracer("two"));
    let root = Context::new().with_span(one.start("root"));
    let late = root.with_span(one.start_with_context("late", &root));
    let child = root.with_span(two.start_with_context("child", &root));
    drop(two.start_with_context("grandchild", &child));
    child.span().end();
    assert!(kept.take().is_empty());
    root.span().end();
    assert_eq!(names(&kept, &provider), [["grandchild", "child", "root"]]);
    drop(one.start_with_context("later", &late));
    late.span().end();
    assert_eq!(names(&kept, &provider), [["later"], ["late"]], "what ends later follows at once");
}

#[test]
fn a_flush_finds_the_spans_of_traces_that_are_not_complete() {
    let (provider, kept) = provider(|builder| builder);
    let tracer = provider.tracer("tests");
    let roots: Vec<_> = (0..3).map(|_| Context::new().with_span(tracer.start("root"))).collect();
    for root in &roots {
        drop(tracer.start_with_context("child", root));
    }
    provider.force_flush().expect("it succeeds");
    assert_eq!(names(&kept, &provider), [["child"], ["child"], ["child"]]);
    drop(tracer.start_with_context("another", &roots[1]));
    for root in &roots {
        root.span().end();
    }
    assert_eq!(names(&kept, &provider), [vec!["root"], vec!["another", "root"], vec!["root"]]);
    provider.force_flush().expect("it succeeds");
    assert!(kept.take().is_empty());
}

#[test]
fn a_trace_that_runs_for_long_is_handed_over_in_parts() {
    let (provider, kept) = provider(|builder| builder);
    let tracer = provider.tracer("tests");
    let root = Context::new().with_span(tracer.start("root"));
    let open = provider.shared().open_buffers().expect("there is a sink");
    drop(tracer.start_with_context("child", &root));
    for _ in 0..3 {
        assert!(kept.take().is_empty());
        open.hand_over_old(2);
    }
    assert_eq!(names(&kept, &provider), [["child"]]);
    for _ in 0..500 {
        drop(tracer.start_with_context("many", &root));
    }
    let parts = kept.take();
    assert!(!parts.is_empty() && parts.iter().all(|part| part.bytes.len() < 1 << 15 && !part.has_local_root));
    root.span().end();
    assert!(kept.take().last().expect("the rest").has_local_root);
}

#[test]
fn spans_keep_their_scopes_in_every_part_of_a_trace() {
    let (provider, kept) = provider(|builder| builder);
    let root = Context::new().with_span(provider.tracer("a").start("a"));
    let open = provider.shared().open_buffers().expect("there is a sink");
    let mut spans = Vec::new();
    for names in [&["a", "b"][..], &["a", "b"], &["b"]] {
        for name in names {
            drop(provider.tracer(*name).start_with_context(*name, &root));
        }
        open.hand_over_all();
        spans.extend(kept.take().iter().flat_map(|part| decoded(&provider, part)));
    }
    assert_eq!(spans.len(), 5, "each part was handed over");
    root.span().end();
    spans.push(only(&provider, &kept));
    assert!(spans.iter().all(|span| span.name == span.instrumentation_scope.name()), "{spans:#?}");
}

#[test]
fn a_shutdown_hands_over_what_has_ended() {
    let (provider, kept) = provider(|builder| builder);
    let tracer = provider.tracer("tests");
    let root = Context::new().with_span(tracer.start("root"));
    drop(tracer.start_with_context("child", &root));
    provider.shutdown().expect("it is the first");
    assert_eq!(names(&kept, &provider), [["child"]]);
}

#[test]
fn a_span_goes_where_its_provider_sends_it() {
    let ((above, kept_above), (below, kept)) = (provider(|builder| builder), provider(|builder| builder));
    let root = Context::new().with_span(above.tracer("tests").start("root"));
    let child = below.tracer("tests").start_with_context("child", &root);
    assert_eq!(child.span_context().trace_id(), root.span().span_context().trace_id());
    drop(child);
    assert_eq!(names(&kept, &below), [["child"]]);
    root.span().end();
    assert_eq!(names(&kept_above, &above), [["root"]]);
}

#[test]
fn no_span_is_asked_where_one_may_be_locked() {
    let (provider, _kept) = provider(|builder| builder);
    let root = Context::new().with_span(provider.tracer("tests").start("root"));
    let locked = Locked::new();
    for _ in 0..2 {
        assert!(!local::may_ask() && local::inherited(&root).is_none());
    }
    let nested = Locked::new();
    drop(nested);
    assert!(!local::may_ask());
    drop(locked);
    assert!(local::may_ask() && local::inherited(&root).is_some());
}

#[test]
fn spans_of_one_trace_may_end_on_any_thread() {
    let (provider, kept) = provider(|builder| builder);
    let tracer = provider.tracer("tests");
    let root = Context::new().with_span(tracer.start("root"));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| drop(tracer.start_with_context("child", &root))));
        }
    });
    root.span().end();
    let spans: u32 = kept.take().iter().map(|spans| spans.count).sum();
    assert_eq!(spans, 401);
}

#[test]
fn a_span_of_another_provider_is_a_parent_like_any_other() {
    let (provider, kept) = provider(|builder| builder);
    let sdk = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let parent = Context::new().with_span(sdk.tracer("sdk").start("parent"));
    let expected = parent.span().span_context().clone();
    drop(provider.tracer("tests").start_with_context("child", &parent));
    let child = only(&provider, &kept);
    assert_eq!((child.span_context.trace_id(), child.parent_span_id), (expected.trace_id(), expected.span_id()));
    assert!(!child.parent_span_is_remote);
}

#[test]
fn suppressed_and_after_the_shutdown_nothing_is_recorded() {
    let (provider, kept) = provider(|builder| builder);
    let tracer = provider.tracer("tests");
    let suppressed = Context::new().with_telemetry_suppressed();
    assert!(!tracer.start_with_context("suppressed", &suppressed).span_context().is_valid());
    let before = tracer.start("before");
    provider.shutdown().expect("it is the first");
    assert!(provider.shutdown().is_err());
    assert!(!tracer.start("after").span_context().is_valid());
    drop(before);
    assert_eq!(names(&kept, &provider), [["before"]], "whoever exports decides on it");
}

/// A draft is used again, and what a span that is not recorded was given is not that of the next one.
#[test]
fn nothing_is_left_of_a_span_that_is_not_recorded() {
    use crate::context::encoder::Encoder;

    let (provider, _kept) = provider(|builder| builder.with_root_sampler(Sampler::AlwaysOff, false));
    let tracer = provider.tracer("test");
    let mut draft = tracer.draft(&Context::new(), None).expect("its own tracer");
    draft.links.push(Link::with_context(SpanContext::new(
        TraceId::from(7_u128),
        SpanId::from(9_u64),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    )));
    assert!(!Encoder::start(&tracer, draft, &Context::new()).span().span_context().is_sampled());
    assert!(tracer.draft(&Context::new(), None).expect("its own tracer").links.is_empty());
}

/// A span of ours with what describes the code, below a context.
fn described(provider: &TracerProvider, parent: &Context) {
    use crate::context::data::Data;
    use crate::context::encoder::Encoder;
    use crate::encoding::code::CodeAttributes;
    use std::panic::Location;

    static CODE: CodeAttributes = CodeAttributes::new("order", "shop::order", Location::caller());
    let tracer = provider.tracer("tests");
    let mut draft = tracer.draft(parent, Data::of(parent)).expect("its own tracer");
    draft.code = &CODE;
    draft.describe(&"order".into(), &SpanKind::Internal);
    draft.inherit();
    Encoder::start(&tracer, draft, parent).span().end();
}

#[test]
fn every_text_is_truncated_wherever_it_comes_from() {
    use crate::context::extensions::ContextExt as _;

    let (provider, kept) = provider(|builder| builder.with_value_length(Some(4)));
    let tagged = Context::new().with_tags([KeyValue::new("tenant", "äöüßäöü")]);
    described(&provider, &tagged);
    drop(provider.tracer("tests").start_with_context("theirs", &tagged));
    let spans: Vec<_> = kept.take().iter().flat_map(|spans| decoded(&provider, spans)).collect();
    let tenant = KeyValue::new("tenant", "äöüß");
    assert_eq!(spans[1].attributes, std::slice::from_ref(&tenant));
    assert_eq!(spans[0].name, "order");
    let text = |value: &Value| value.as_str().chars().count();
    assert!(spans[0].attributes.contains(&tenant), "{:?}", spans[0].attributes);
    assert!(spans[0].attributes.iter().all(|attribute| text(&attribute.value) <= 4), "{:?}", spans[0].attributes);
    assert_eq!((spans[0].attributes.len(), spans[0].dropped_attributes_count), (4, 0));
}

#[test]
fn what_describes_the_code_is_counted_if_there_is_no_room() {
    for max in [0, 1, 2, 3, 4] {
        let (provider, kept) = provider(|builder| builder.with_max_attributes_per_span(max));
        described(&provider, &Context::new());
        let data = only(&provider, &kept);
        let expected = max.min(3);
        assert_eq!((data.attributes.len(), data.dropped_attributes_count), (expected as usize, 3 - expected), "{max}");
        assert_eq!(data.name, "order");
    }
}

#[test]
fn what_was_dropped_before_may_be_any_number() {
    let (provider, kept) = provider(|builder| builder.with_max_attributes_per_link(0));
    let other = SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, false, TraceState::NONE);
    let tracer = provider.tracer("tests");
    let link = Link::new(other, vec![KeyValue::new("a", 1)], u32::MAX);
    tracer.span_builder("span").with_links(vec![link]).start(&tracer).end();
    assert_eq!(only(&provider, &kept).links.links[0].dropped_attributes_count, u32::MAX);
}

#[test]
fn many_attributes_of_an_event_are_unique_too() {
    let (provider, kept) = provider(|builder| builder.with_max_attributes_per_event(50));
    let mut span = provider.tracer("tests").start("span");
    let key = |n: i64| if n % 1_000 == 7 { String::new() } else { format!("key {}", n % 100) };
    span.add_event("event", (0..10_000).map(|n| KeyValue::new(key(n), n)).collect());
    span.end();
    let event = only(&provider, &kept).events.events.remove(0);
    let expected: Vec<_> = (9_900..9_950).map(|n| KeyValue::new(format!("key {}", n % 100), n)).collect();
    assert_eq!((event.attributes, event.dropped_attributes_count), (expected, 50));
}
