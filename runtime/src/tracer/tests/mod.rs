//! Spans of our own tracer, decoded after export.

mod limits;
mod times;
mod traces;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Array, Context, KeyValue, Value};
use opentelemetry_sdk::trace::{Sampler, SpanData};

use crate::context::local::{self, Locked};
use crate::tracer::encoded::{EncodedSpans, frames, message};
use crate::tracer::kept::Kept;
use crate::tracer::{TracerProvider, TracerProviderBuilder, decode};

/// The names of the spans in each buffer that was handed over.
fn names(kept: &Kept, provider: &TracerProvider) -> Vec<Vec<String>> {
    let names = |spans: &EncodedSpans| decoded(provider, spans).iter().map(|span| span.name.to_string()).collect();
    kept.take().iter().map(names).collect()
}

fn decoded(provider: &TracerProvider, spans: &EncodedSpans) -> Vec<SpanData> {
    let mut all = Vec::new();
    spans.each_run(|scope, run| {
        let scope = provider.shared().scopes.get(scope).expect("a known scope");
        all.extend(frames(run).map(|frame| decode::span(message(frame), &scope)));
    });
    assert_eq!(all.len(), spans.count as usize);
    all
}

fn provider(build: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder) -> (TracerProvider, Arc<Kept>) {
    let kept = Arc::new(Kept::default());
    (build(TracerProvider::builder()).with_sink(Arc::<Kept>::clone(&kept)).build(), kept)
}

/// The one span that was handed over.
fn only(provider: &TracerProvider, kept: &Kept) -> SpanData {
    let spans = kept.take();
    let mut all: Vec<_> = spans.iter().flat_map(|spans| decoded(provider, spans)).collect();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn everything_is_encoded() {
    let (provider, kept) = provider(|builder| builder);
    let tracer = provider.tracer("tests");
    let state: TraceState = "vendor=a,other=b".parse().expect("a valid trace state");
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
fn no_span_is_queried_while_one_may_be_locked() {
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

/// Drafts are recycled.
#[test]
fn the_draft_of_an_unrecorded_span_is_cleared() {
    use crate::context::encoder::Encoder;

    let (provider, _kept) = provider(|builder| builder.with_root_sampler(Sampler::AlwaysOff, false));
    let tracer = provider.tracer("test");
    let mut draft = tracer.draft(&Context::new(), None).expect("our own tracer");
    draft.links.push(Link::with_context(SpanContext::new(
        TraceId::from(7_u128),
        SpanId::from(9_u64),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    )));
    assert!(!Encoder::start(&tracer, draft, &Context::new()).span().span_context().is_sampled());
    assert!(tracer.draft(&Context::new(), None).expect("our own tracer").links.is_empty());
}
