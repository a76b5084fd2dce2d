//! The handle of a span, and futures and streams that are instrumented with it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures::Stream;
use opentelemetry::trace::TraceId;
use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline::{NoObserver, Observe, Observer, Outcome, Snapshot, SpanBuilder};

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_handle_tells_whether_attributes_are_recorded() {
    let capture = Capture::new();
    capture.run(|| {
        let mut span = SpanBuilder::new("recorded").start();
        assert!(span.is_recording() && !span.is_none() && throughline::enabled());
        span.end(Outcome::ok);
        assert!(!span.is_recording() && span.is_none());
    });
    let quiet = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    quiet.run(|| {
        let mut span = SpanBuilder::new("not sampled").start();
        assert!(!span.is_recording());
        assert!(!span.in_scope(throughline::enabled));
        span.end(|| unreachable!("nothing is recorded"));
    });
    assert!(!throughline::Span::within(capture.context()).is_recording());
}

#[test]
fn the_span_ends_with_a_future_without_an_observer() {
    let capture = Capture::new();
    let mut future = capture.run(|| Box::pin(SpanBuilder::new("future").start().instrument(async { 7 }, NoObserver)));
    assert_eq!(poll(future.as_mut()), Poll::Ready(7));
    assert!(!capture.span("future").is_cancelled(), "it is over before it is dropped");
}

/// An observer need not implement every method.
#[test]
fn the_span_ends_with_a_stream_by_default() {
    struct Passes;
    impl Observer for Passes {}
    impl<T> Observe<T> for Passes {
        type Output = T;
        fn observe(&mut self, _: &mut throughline::Span, value: T) -> T {
            value
        }
    }
    let capture = Capture::new();
    let stream = capture.run(|| SpanBuilder::new("items").start().instrument(futures::stream::iter([1, 2]), Passes));
    let mut stream = pin!(stream);
    for (left, item) in [(2, Some(1)), (1, Some(2)), (0, None)] {
        assert_eq!(stream.size_hint(), (left, Some(left)));
        assert!(capture.spans().is_empty());
        assert_eq!(stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop())), Poll::Ready(item));
    }
    assert!(!capture.span("items").is_cancelled());
}

#[test]
fn the_context_of_a_snapshot_lasts_until_the_future_is_dropped() {
    /// Completes immediately, and starts a span in its destructor.
    struct Cleanup;
    impl Future for Cleanup {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    impl Drop for Cleanup {
        fn drop(&mut self) {
            throughline::in_span("clean up", || ());
        }
    }
    let capture = Capture::new();
    let snapshot = capture.run(|| throughline::in_span("request", Snapshot::capture));
    let mut future = Box::pin(snapshot.run_async(Cleanup));
    assert_eq!(poll(future.as_mut()), Poll::Ready(()));
    drop(future);
    capture.assert_tree("request\n└── clean up");
}

/// A requested trace ID is for that span only.
#[test]
fn an_unused_trace_id_is_not_used_for_another_trace() {
    let capture = Capture::new();
    let id = TraceId::from(7_u128);
    capture.run(|| {
        throughline::in_span("parent", || SpanBuilder::new("child").trace_id(id).start().end(Outcome::ok));
        throughline::in_span("next", || ());
        SpanBuilder::new("asks").trace_id(id).start().end(Outcome::ok);
    });
    let of = |name| capture.span(name).trace_id();
    assert_eq!(of("asks"), id);
    assert_eq!(of("child"), of("parent"));
    assert_ne!(of("next"), id);
}
