//! The methods of `OpenTelemetrySpanExt`.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use throughline::in_span;
use throughline::testing::Capture;
use throughline::tracing_layer;
use throughline::tracing_layer::{OpenTelemetrySpanExt as _, SetParentError, get_otel_context};
use tracing::dispatcher::with_default;
use tracing::span::Id;
use tracing::{Span, Subscriber, info_span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

use crate::{dispatch, subscriber, text, with_layer};

fn other_span() -> SpanContext {
    SpanContext::new(TraceId::from(7_u128), SpanId::from(9_u64), TraceFlags::SAMPLED, true, TraceState::NONE)
}

#[test]
fn the_status_is_set_before_and_after_the_start() {
    let capture = Capture::new();
    with_layer(&capture, || {
        info_span!("early").set_status(Status::error("too early"));
        info_span!("late").entered().set_status(Status::error("too late"));
        info_span!("fine").entered().set_status(Status::Ok);
        // `Ok` is final, whether set before or after the start, and `Unset` is ignored.
        for span in [info_span!("final early"), info_span!("final late").entered().exit()] {
            span.set_status(Status::Ok);
            span.set_status(Status::error("too late"));
            span.set_status(Status::Unset);
        }
        let undone = info_span!("not undone");
        undone.set_status(Status::error("failed"));
        undone.set_status(Status::Unset);
        info_span!("final field", otel.status_code = "ok").record("otel.status_code", "error");
    });
    assert_eq!(capture.span("early").status, Status::error("too early"));
    assert_eq!(capture.span("late").status, Status::error("too late"));
    for name in ["fine", "final early", "final late", "final field"] {
        assert_eq!(capture.span(name).status, Status::Ok, "{name}");
    }
    assert_eq!(capture.span("not undone").status, Status::error("failed"));
}

#[test]
fn attributes_are_set_before_and_after_the_start() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let span = info_span!("order");
        span.set_attribute("early", 1);
        let _entered = span.enter();
        Span::current().set_attribute("late", "yes");
    });
    let span = capture.span("order");
    assert_eq!(span.attribute("early"), Some(&1.into()));
    assert_eq!(text(&span, "late"), Some("yes"));
}

#[test]
fn links_are_added_before_and_after_the_start() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let span = info_span!("order");
        span.add_link(other_span());
        span.add_link(SpanContext::empty_context());
        let _entered = span.enter();
        span.add_link_with_attributes(other_span(), vec![KeyValue::new("why", "batch")]);
    });
    let links = &capture.span("order").links;
    assert_eq!(links.len(), 2);
    assert!(links.iter().all(|link| link.span_context.span_id() == SpanId::from(9_u64)));
    assert_eq!(links[1].attributes, [KeyValue::new("why", "batch")]);
}

#[test]
fn events_are_added_with_their_timestamp() {
    let capture = Capture::new();
    let earlier = SystemTime::now() - Duration::from_secs(10);
    with_layer(&capture, || {
        let span = info_span!("order");
        span.add_event("first", vec![KeyValue::new("n", 1)]);
        span.in_scope(|| Span::current().add_event_with_timestamp("second", earlier, Vec::new()));
    });
    let events = &capture.span("order").events;
    assert_eq!((events[0].name.as_ref(), &events[0].attributes[..]), ("first", &[KeyValue::new("n", 1)][..]));
    assert_eq!((events[1].name.as_ref(), events[1].timestamp), ("second", earlier));
}

#[test]
fn without_the_layer_setters_have_no_effect_and_the_trace_continues() {
    let capture = Capture::new();
    subscriber::with_default(tracing_subscriber::registry(), || {
        capture.run(|| {
            in_span("annotated", || {
                let span = info_span!("order");
                assert_eq!(span.set_parent(Context::new()), Err(SetParentError::LayerNotFound));
                span.set_attribute("nobody", "has it");
                span.set_status(Status::Ok);
                assert_eq!(span.context().span().span_context(), Context::current().span().span_context());
                assert!(span.context().span().span_context().is_valid());
                assert_eq!(Span::none().set_parent(Context::new()), Err(SetParentError::SpanDisabled));
            });
        });
    });
    capture.assert_tree("annotated");
}

#[test]
fn the_context_of_an_excluded_span_is_the_current_one() {
    let capture = Capture::new();
    with_layer(&capture, || {
        in_span("annotated", || {
            let left_out = tracing::trace_span!("verbose");
            assert_eq!(left_out.context().span().span_context(), Context::current().span().span_context());
        });
    });
}

/// An application's own layer finds the context of a span.
#[test]
fn another_layer_finds_the_context() {
    struct Reader(std::sync::mpsc::Sender<SpanContext>);
    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Reader {
        fn on_enter(&self, id: &Id, _: tracing_subscriber::layer::Context<'_, S>) {
            let found = tracing::dispatcher::get_default(|dispatch| get_otel_context(id, dispatch));
            if let Some(found) = found {
                self.0.send(found.span().span_context().clone()).expect("a receiver");
            }
        }
    }
    let capture = Capture::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    let registry = tracing_subscriber::registry().with(tracing_layer()).with(Reader(sender));
    subscriber::with_default(registry, || capture.run(|| info_span!("order").in_scope(|| ())));
    assert_eq!(receiver.recv().expect("one").span_id(), capture.span("order").span_id());
}

/// A layer in a `reload::Layer` cannot be found through the subscriber.
#[test]
fn a_span_of_a_reloadable_layer_is_found() {
    let capture = Capture::new();
    let (layer, _handle) = tracing_subscriber::reload::Layer::new(throughline::tracing_layer());
    subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        capture.run(|| {
            let span = info_span!("order");
            span.set_attribute("queue.depth", 3);
            assert!(span.context().span().span_context().is_valid());
        });
    });
    assert_eq!(capture.span("order").attribute("queue.depth"), Some(&3.into()));
}

#[test]
fn a_span_of_a_reloadable_layer_is_found_after_another_subscriber_was_set_up() {
    let reloadable = || tracing_subscriber::reload::Layer::new(throughline::tracing_layer()).0;
    let capture = Capture::new();
    let first = dispatch(tracing_subscriber::registry().with(reloadable()));
    let second = dispatch(tracing_subscriber::registry().with(reloadable()));
    for (name, subscriber) in [("first", &first), ("second", &second)] {
        with_default(subscriber, || {
            capture.run(|| {
                let span = info_span!("order", otel.name = name);
                span.set_attribute("set", true);
            });
        });
        assert_eq!(capture.span(name).attribute("set"), Some(&true.into()));
    }
}
