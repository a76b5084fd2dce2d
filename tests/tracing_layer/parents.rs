//! The parent of a span, and what it inherits.

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _};
use opentelemetry_sdk::trace::Sampler;
use throughline::propagation;
use throughline::testing::Capture;
use throughline::tracing_layer::{OpenTelemetrySpanExt as _, SetParentError};
use throughline::{ContextExt as _, KeyValue, in_span};
use tracing::{info_span, trace_span};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::{text, with_layer};

fn remote(is_sampled: bool) -> Context {
    let flags = TraceFlags::default().with_sampled(is_sampled);
    let state: TraceState = "vendor=value".parse().expect("valid");
    let span = SpanContext::new(TraceId::from(7_u128), SpanId::from(9_u64), flags, true, state);
    Context::new().with_remote_span_context(span)
}

#[test]
fn a_child_is_below_the_entered_span() {
    let capture = Capture::new();
    with_layer(&capture, || info_span!("root").in_scope(|| info_span!("child").in_scope(|| drop(info_span!("leaf")))));
    capture.assert_tree("root\n└── child\n    └── leaf");
}

#[test]
fn an_explicit_parent_is_the_parent() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let root = info_span!("root");
        let other = info_span!("other").entered();
        info_span!(parent: &root, "child").in_scope(|| info_span!("leaf"));
        drop(other);
        info_span!(parent: root.id(), "second");
    });
    capture.assert_tree("root\n├── child\n│   └── leaf\n└── second\nother");
}

#[test]
fn a_root_span_starts_a_linked_trace_with_the_tags() {
    let capture = Capture::new();
    with_layer(&capture, || {
        throughline::span("request").biz_tag("tenant_id", "acme").run(|| {
            info_span!(parent: None, "nightly").in_scope(|| info_span!("child"));
        });
    });
    capture.assert_tree("request\nnightly ~> request\n└── child");
    assert_ne!(capture.span("request").trace_id(), capture.span("nightly").trace_id());
    assert_eq!(text(&capture.span("child"), "tenant_id"), Some("acme"));
}

#[test]
fn a_context_attached_by_other_code_is_the_parent() {
    let capture = Capture::new();
    let tracer = capture.tracer("by hand");
    with_layer(&capture, || {
        let by_hand = Context::current_with_span(tracer.start("by hand"));
        let _attached = by_hand.attach();
        info_span!("child");
    });
    capture.assert_tree("by hand\n└── child");
}

#[test]
fn a_remote_parent_is_set_before_the_span_starts() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let span = info_span!("handle", early = 1);
        assert_eq!(span.set_parent(remote(true)), Ok(()));
        span.in_scope(|| info_span!("child"));
        assert_eq!(span.set_parent(remote(true)), Err(SetParentError::AlreadyStarted));
    });
    capture.assert_tree("handle (remote parent)\n└── child");
    let span = capture.span("handle");
    assert_eq!((span.trace_id(), span.parent_id()), (TraceId::from(7_u128), Some(SpanId::from(9_u64))));
    assert_eq!(span.span_context.trace_state().header(), "vendor=value");
    assert_eq!(span.attribute("early"), Some(&1.into()));
}

#[test]
fn the_tags_and_the_baggage_of_the_new_parent_are_inherited() {
    let capture = Capture::new();
    with_layer(&capture, || {
        throughline::span("poll").biz_tag("shard", 3).run(|| {
            let span = info_span!("handle");
            let parent = remote(true).with_baggage([KeyValue::new("region", "eu")]);
            span.set_parent(parent.with_tags([KeyValue::new("tenant_id", "acme")])).expect("not started");
            span.in_scope(|| {
                in_span("inner", || ());
                assert_eq!(Context::current().baggage().get("region").map(ToString::to_string), Some("eu".into()));
            });
        });
    });
    for name in ["handle", "inner"] {
        assert_eq!(text(&capture.span(name), "tenant_id"), Some("acme"), "{name}");
        assert_eq!(capture.span(name).attribute("shard"), None, "{name}");
    }
}

#[test]
fn an_invalid_parent_starts_a_new_trace() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let root = info_span!("root");
        root.set_parent(propagation::extract(&std::collections::HashMap::<String, String>::new()))
            .expect("not started");
        root.in_scope(|| info_span!("child"));
    });
    capture.assert_tree("root\n└── child");
}

#[test]
fn the_sampling_decision_follows_the_new_parent() {
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    with_layer(&capture, || {
        let span = info_span!("sampled");
        span.set_parent(remote(true)).expect("not started");
        assert!(span.context().span().span_context().is_sampled());
        info_span!("unsampled").in_scope(|| info_span!("child"));
        let unsampled = info_span!("unsampled too");
        unsampled.set_parent(remote(false)).expect("not started");
        unsampled.in_scope(|| {
            let context = Context::current();
            let span = context.span();
            assert_eq!(span.span_context().trace_id(), TraceId::from(7_u128));
            assert!(!span.span_context().is_sampled());
        });
    });
    capture.assert_tree("sampled (remote parent)");
}

#[test]
fn the_context_of_a_span_is_injected() {
    let capture = Capture::new();
    let mut headers = std::collections::HashMap::<String, String>::new();
    with_layer(&capture, || {
        let span = info_span!("handle");
        span.set_parent(remote(true)).expect("not started");
        let _entered = span.enter();
        let child = info_span!("call");
        propagation::inject_context(&child.context(), &mut headers);
    });
    let call = capture.span("call");
    assert_eq!(headers["traceparent"], format!("00-{}-{}-01", call.trace_id(), call.span_id()));
    assert_eq!(headers["tracestate"], "vendor=value");
}

#[test]
fn a_parent_set_to_a_span_that_was_never_entered() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let root = info_span!("root");
        let first = info_span!("first");
        first.set_parent(root.context()).expect("not started");
        info_span!(parent: &first, "below the first");
        assert_eq!(first.set_parent(root.context()), Err(SetParentError::AlreadyStarted));
        let second = info_span!("second");
        second.set_parent(root.context()).expect("not started");
    });
    capture.assert_tree("root\n├── first\n│   └── below the first\n└── second");
}

/// The span above an excluded parent takes its place.
#[test]
fn an_excluded_parent_is_skipped() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let _request = info_span!("request").entered();
        let chatter = info_span!(target: "h2::codec", "chatter");
        info_span!(parent: &chatter, "explicit");
        chatter.in_scope(|| info_span!("contextual"));
        trace_span!("verbose").in_scope(|| info_span!("below verbose"));
    });
    capture.assert_tree("request\n├── explicit\n├── contextual\n└── below verbose");
}

#[test]
fn values_in_the_context_are_inherited() {
    #[derive(Debug, PartialEq)]
    struct Outer;
    #[derive(Debug, PartialEq)]
    struct Inner;
    let capture = Capture::new();
    let tracer = capture.tracer("by hand");
    with_layer(&capture, || {
        let attached = Context::current().with_value(Outer).attach();
        let parent = info_span!("parent");
        drop(attached);
        assert_eq!(Context::current().get::<Outer>(), None);
        let entered = parent.enter();
        let attached = Context::current().with_value(Inner).attach();
        let child = info_span!("child");
        drop(attached);
        assert_eq!((Context::current().get(), Context::current().get::<Inner>()), (Some(&Outer), None));
        let entered_child = child.enter();
        assert_eq!((Context::current().get(), Context::current().get()), (Some(&Outer), Some(&Inner)));
        let attached = Context::current_with_span(tracer.start("by hand")).attach();
        let second = info_span!("second");
        drop(attached);
        drop(entered_child);
        assert_eq!(Context::current().get::<Inner>(), None);
        drop(entered);
        assert_eq!(Context::current().get::<Outer>(), None);
        second.in_scope(|| {});
    });
    capture.assert_tree("parent\n└── child\n    └── by hand\n        └── second");
}

#[test]
fn an_unsampled_span_takes_its_context_to_another_thread() {
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    let dispatch = crate::dispatch(tracing_subscriber::registry().with(throughline::tracing_layer()));
    tracing::dispatcher::with_default(&dispatch, || {
        capture.run(|| {
            let root = info_span!("root");
            let child = root.in_scope(|| info_span!("child"));
            let expected = root.context().span().span_context().clone();
            assert!(expected.is_valid() && !expected.is_sampled());
            let seen = std::thread::scope(|threads| {
                let entered = threads.spawn(|| child.in_scope(|| Context::current().span().span_context().clone()));
                entered.join().expect("no panic")
            });
            assert_eq!(seen, expected);
        });
    });
    assert!(capture.spans().is_empty());
}

#[test]
fn a_parent_set_below_an_unsampled_span_is_the_parent() {
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    with_layer(&capture, || {
        info_span!("poll").in_scope(|| {
            let span = info_span!("handle");
            assert_eq!(span.set_parent(remote(false)), Ok(()));
            assert_eq!(span.set_parent(remote(true)), Ok(()));
            span.record("late", 1);
            span.in_scope(|| info_span!("child"));
            assert_eq!(span.set_parent(remote(true)), Err(SetParentError::AlreadyStarted));
            let other = info_span!("other");
            other.in_scope(|| ());
            assert_eq!(other.set_parent(remote(true)), Err(SetParentError::AlreadyStarted));
        });
    });
    capture.assert_tree("handle (remote parent)\n└── child");
    assert!(capture.span("handle").attribute("code.line.number").is_some());
}
