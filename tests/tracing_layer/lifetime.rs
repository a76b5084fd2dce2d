//! When spans start and end.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, TraceContextExt as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use throughline::testing::Capture;
use throughline::tracing_layer::OpenTelemetrySpanExt as _;
use throughline::{in_span, span, tracing_layer};
use tracing::dispatcher::with_default;
use tracing::{info_span, instrument};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::{dispatch, with_layer};

#[test]
fn a_span_that_was_never_entered_is_recorded() {
    let capture = Capture::new();
    with_layer(&capture, || drop(info_span!("alone")));
    assert_eq!(capture.span("alone").parent_id(), None);
}

#[test]
fn a_span_ends_when_it_is_exited_for_the_last_time() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let request = info_span!("request");
        request.in_scope(|| ());
        // A job that holds the span, as a child of it would.
        drop(info_span!("later"));
        drop(request);
    });
    let (request, later) = (capture.span("request"), capture.span("later"));
    assert!(request.end_time <= later.start_time);
}

#[test]
fn a_span_that_is_held_by_its_child_ends_when_it_is_last_exited() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let parent = info_span!("parent");
        let child = parent.in_scope(|| info_span!("child"));
        drop(parent);
        assert_eq!(capture.spans().len(), 0);
        child.in_scope(|| ());
        drop(child);
    });
    let (parent, child) = (capture.span("parent"), capture.span("child"));
    assert!(child.is_child_of(&parent) && parent.end_time <= child.end_time);
}

#[test]
fn a_span_can_be_reentered() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let span = info_span!("again");
        span.in_scope(|| in_span("first", || ()));
        let (one, two) = (span.enter(), span.enter());
        drop(one);
        in_span("second", || ());
        drop(two);
        in_span("outside", || ());
    });
    capture.assert_tree("again\n├── first\n└── second\noutside");
}

#[test]
fn spans_can_be_exited_in_any_order() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let (outer, inner) = (info_span!("outer"), info_span!("inner"));
        let entered = outer.enter();
        let entered_inner = inner.enter();
        drop(entered);
        in_span("below inner", || ());
        drop(entered_inner);
        in_span("outside", || ());
        assert!(!Context::current().span().span_context().is_valid());
    });
    capture.assert_tree("outer\ninner\n└── below inner\noutside");
}

/// Span IDs are only unique within a registry.
#[test]
fn spans_of_two_subscribers_can_be_exited_in_any_order() {
    let capture = Capture::new();
    let [first, second] = [(); 2].map(|()| dispatch(tracing_subscriber::registry().with(tracing_layer())));
    capture.run(|| {
        let outer = with_default(&first, || info_span!("outer"));
        let inner = with_default(&second, || info_span!("inner"));
        assert_eq!(outer.id(), inner.id());
        let entered = outer.enter();
        let entered_inner = inner.enter();
        drop(entered);
        in_span("below inner", || ());
        drop(entered_inner);
        in_span("outside", || ());
        drop((outer, inner));
    });
    capture.assert_tree("outer\ninner\n└── below inner\noutside");
}

#[test]
fn a_clone_of_the_context_does_not_keep_a_span_open() {
    let capture = Capture::new();
    let context = with_layer(&capture, || info_span!("request").in_scope(Context::current));
    assert_eq!(capture.span("request").span_id(), context.span().span_context().span_id());
    let late = capture.tracer("other");
    drop(opentelemetry::trace::Tracer::start_with_context(&late, "late", &context));
    capture.assert_tree("request\n└── late");
}

#[test]
fn a_panic_ends_the_span() {
    #[instrument]
    fn fails() {
        in_span("before", || ());
        panic!("lost");
    }
    let capture = Capture::new();
    let caught = with_layer(&capture, || {
        let caught = std::panic::catch_unwind(fails);
        in_span("after", || ());
        caught
    });
    assert!(caught.is_err());
    capture.assert_tree("fails\n└── before\nafter");
}

/// Code that is called while a span starts or ends may use that span and log. While the span starts, it may also create
/// spans, but not while it ends: the registry does not remove spans that are closed while it closes another one, so
/// their parents would stay open.
#[test]
fn span_processors_may_use_tracing() {
    #[derive(Debug)]
    struct Busybody;
    impl SpanProcessor for Busybody {
        fn on_start(&self, span: &mut Span, _: &Context) {
            span.set_attribute(opentelemetry::KeyValue::new("seen", true));
            have_spans();
        }
        fn on_end(&self, _: SpanData) {
            meddle();
        }
        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }
        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }
    #[instrument]
    fn have_spans() {
        meddle();
        info_span!("own").in_scope(|| span("own").run(|| ()));
    }
    fn meddle() {
        tracing::error!("seen");
        let current = tracing::Span::current();
        current.set_attribute("meddled", true);
        let _ = current.context();
        let _again = current.enter();
    }
    let capture = Capture::with_provider(|builder| builder.with_span_processor(Busybody));
    with_layer(&capture, || info_span!("order").in_scope(|| info_span!("child").in_scope(|| ())));
    capture.assert_tree("order\n└── child");
}

#[test]
fn a_span_that_is_never_closed_ends_with_its_subscriber() {
    let capture = Capture::new();
    let subscriber = dispatch(tracing_subscriber::registry().with(tracing_layer()));
    let stuck = with_default(&subscriber, || {
        capture.run(|| {
            let (stuck, untouched) = (info_span!("stuck"), info_span!("untouched"));
            stuck.in_scope(|| ());
            for span in [&stuck, &untouched] {
                // A reference that is never released, as a layer may hold it.
                span.with_subscriber(|(id, subscriber)| subscriber.clone_span(id));
            }
            stuck.context().span().span_context().span_id()
        })
    });
    assert_eq!(capture.spans().len(), 0);
    capture.run(|| in_span("later", || ()));
    drop(subscriber);
    // The other span has not started.
    capture.assert_tree("stuck\nlater");
    let (ended, later) = (capture.span("stuck"), capture.span("later"));
    assert_eq!(ended.span_context.span_id(), stuck);
    assert!(ended.end_time <= later.start_time, "its end is the last exit");
}
