//! Spans on multiple threads and in multiple tasks.

use std::fmt::{self, Debug, Formatter};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::trace::SpanLimits;
use throughline::testing::Capture;
use throughline::tracing_layer::Builder;
use throughline::{in_span, tracing_layer};
use tracing::field::{Empty, debug};
use tracing::{Instrument as _, dispatcher, info, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::{dispatch, text, with_layer};

#[test]
fn a_span_is_entered_on_many_threads() {
    let limits = SpanLimits { max_events_per_span: u32::MAX, ..SpanLimits::default() };
    let capture = Capture::with_provider(|builder| builder.with_span_limits(limits));
    let layer = Builder::new().max_events(u16::MAX).build();
    let dispatch = dispatch(tracing_subscriber::registry().with(layer));
    tracing::dispatcher::with_default(&dispatch, || {
        let root = capture.run(|| info_span!("root"));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _default = tracing::dispatcher::set_default(&dispatch);
                    let _entered = root.enter();
                    (0..100).for_each(|_| info!("event"));
                    in_span("child", || ());
                });
            }
        });
    });
    let root = capture.span("root");
    assert_eq!(root.events.len(), 800);
    let children = capture.named("child");
    assert_eq!(children.len(), 8);
    assert!(children.iter().all(|child| child.is_child_of(&root)));
}

/// All threads enter at the same time, so that one of them starts the span.
#[test]
fn a_span_starts_once() {
    let capture = Capture::new();
    let dispatch = dispatch(tracing_subscriber::registry().with(tracing_layer()));
    let barrier = Barrier::new(4);
    for _ in 0..50 {
        let span = tracing::dispatcher::with_default(&dispatch, || capture.run(|| info_span!("once")));
        let ids: Vec<_> = std::thread::scope(|scope| {
            let enter = || {
                barrier.wait();
                let _entered = span.enter();
                Context::current().span().span_context().span_id()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(enter)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
    }
    assert_eq!(capture.named("once").len(), 50);
}

#[test]
fn a_tokio_task_runs_in_the_span_it_was_given() {
    let capture = Capture::new();
    let dispatch = dispatch(tracing_subscriber::registry().with(tracing_layer()));
    let threads_dispatch = dispatch.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(move || std::mem::forget(tracing::dispatcher::set_default(&threads_dispatch)))
        .build()
        .expect("a runtime");
    let _default = tracing::dispatcher::set_default(&dispatch);
    runtime.block_on(
        capture.run_async(
            async {
                let job = async {
                    for _ in 0..3 {
                        tokio::task::yield_now().await;
                        throughline::in_span_async("step", tokio::task::yield_now()).await;
                    }
                };
                tokio::spawn(job.instrument(info_span!("job"))).await.expect("no panic");
                assert_eq!(Context::current().span().span_context().span_id(), request_id());
            }
            .instrument(capture.run(|| info_span!("request"))),
        ),
    );
    drop(runtime);
    capture.assert_tree("request\n└── job\n    ├── step\n    ├── step\n    └── step");
}

fn request_id() -> opentelemetry::trace::SpanId {
    use throughline::tracing_layer::OpenTelemetrySpanExt as _;

    tracing::Span::current().context().span().span_context().span_id()
}

#[tokio::test]
async fn spans_of_a_select_do_not_mix() {
    let capture = Capture::new();
    let dispatch = dispatch(tracing_subscriber::registry().with(tracing_layer()));
    let _default = tracing::dispatcher::set_default(&dispatch);
    let work = |name: &'static str, steps: usize| async move {
        for _ in 0..steps {
            tokio::task::yield_now().await;
            in_span("step", || ());
        }
        name
    };
    let request = async {
        tokio::select! {
            biased;
            winner = work("slow", 100).instrument(info_span!("slow")) => winner,
            winner = work("fast", 2).instrument(info_span!("fast")) => winner,
        }
    };
    let winner = capture.run_async(throughline::in_span_async("request", request)).await;
    assert_eq!(winner, "fast");
    assert_eq!(capture.open(), 0);
    let (slow, fast) = (capture.span("slow"), capture.span("fast"));
    let steps = capture.named("step");
    assert_eq!(steps.iter().filter(|step| step.is_child_of(&fast)).count(), 2);
    assert!(steps.iter().all(|step| step.is_child_of(&slow) || step.is_child_of(&fast)));
    assert!(slow.is_child_of(&capture.span("request")));
}

#[test]
fn a_span_links_to_what_it_follows() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let (first, second, third) = (info_span!("first"), info_span!("second"), info_span!("third"));
        third.follows_from(&first);
        third.in_scope(|| ());
        third.follows_from(&second);
    });
    let third = capture.span("third");
    assert!(third.is_linked_to(&capture.span("first")) && third.is_linked_to(&capture.span("second")));
    assert_eq!(third.links.len(), 2);
}

#[test]
fn following_a_closed_span_is_ignored() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let closed = info_span!("closed");
        let id = closed.id();
        drop(closed);
        info_span!("span").follows_from(id);
    });
    assert_eq!(capture.spans().len(), 2);
}

/// The span is followed after this layer has released it, and before another layer has.
#[test]
fn following_a_span_that_is_closing_is_ignored() {
    struct SlowToClose(Arc<Barrier>);
    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for SlowToClose {
        fn on_close(&self, _: tracing::Id, _: tracing_subscriber::layer::Context<'_, S>) {
            self.0.wait();
            self.0.wait();
        }
    }
    let capture = Capture::new();
    let barrier = Arc::new(Barrier::new(2));
    let slow = SlowToClose(Arc::clone(&barrier));
    let dispatch = dispatch(tracing_subscriber::registry().with(tracing_layer()).with(slow));
    std::thread::scope(|scope| {
        let (cause, effect) = tracing::dispatcher::with_default(&dispatch, || {
            capture.run(|| (info_span!("cause"), info_span!("effect")))
        });
        let id = cause.id();
        scope.spawn(|| drop(cause));
        barrier.wait();
        effect.follows_from(id);
        barrier.wait();
        scope.spawn(|| drop(effect));
        barrier.wait();
        barrier.wait();
    });
    assert_eq!(capture.spans().len(), 2);
}

/// Formatting a value may wait for another thread, which may use any other span, so no bucket may be locked meanwhile.
#[test]
fn other_threads_use_spans_while_a_value_is_formatted() {
    struct Waits(Sender<()>, Receiver<()>);
    impl Debug for Waits {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            self.0.send(()).expect("the other thread runs");
            self.1.recv().expect("it answers");
            f.write_str("waited")
        }
    }
    let capture = Capture::new();
    let dispatch = dispatch(tracing_subscriber::registry().with(tracing_layer()));
    let ((ask, asked), (answer, answered)) = (channel(), channel());
    thread::scope(|threads| {
        let others = dispatch.clone();
        threads.spawn(move || {
            dispatcher::with_default(&others, || {
                for () in asked {
                    // More spans than the layer has locks.
                    let spans: Vec<_> = (0..2000).map(|_| info_span!("other")).collect();
                    for span in &spans {
                        span.in_scope(|| ());
                    }
                    answer.send(()).expect("it waits");
                }
            });
        });
        dispatcher::with_default(&dispatch, || {
            capture.run(|| {
                let waits = Waits(ask, answered);
                let span = info_span!("work", early = Empty, late = Empty);
                span.record("early", debug(&waits));
                span.in_scope(|| span.record("late", debug(&waits)));
            });
        });
    });
    let span = capture.span("work");
    assert_eq!((text(&span, "early"), text(&span, "late")), (Some("waited"), Some("waited")));
}

/// Formatting a value, or a sampler, may also wait for a thread that uses the same span, which must not wait forever.
#[test]
fn a_thread_that_others_wait_for_does_not_wait_for_their_span() {
    struct Waits {
        begun: Sender<()>,
        ended: Receiver<()>,
    }
    impl Debug for Waits {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            self.begun.send(()).expect("the other thread runs");
            f.write_str(if self.ended.recv_timeout(Duration::from_secs(30)).is_ok() { "waited" } else { "given up" })
        }
    }
    let capture = Capture::new();
    let dispatch = dispatch(tracing_subscriber::registry().with(tracing_layer()));
    let ((begun, has_begun), (end, ended)) = (channel(), channel());
    let span = dispatcher::with_default(&dispatch, || capture.run(|| info_span!("work", value = Empty)));
    thread::scope(|threads| {
        let (span, dispatch, capture) = (&span, &dispatch, &capture);
        threads.spawn(move || {
            dispatcher::with_default(dispatch, || {
                has_begun.recv().expect("the value is formatted");
                capture.run(|| span.in_scope(|| in_span("inside", || ())));
                end.send(()).expect("the other thread waits");
            });
        });
        dispatcher::with_default(dispatch, || span.record("value", debug(&Waits { begun, ended })));
    });
    drop(span);
    assert_eq!(text(&capture.span("work"), "value"), Some("waited"));
    assert!(capture.span("inside").parent_id().is_none(), "the span had not started");
}
