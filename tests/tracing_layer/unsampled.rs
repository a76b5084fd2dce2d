//! Spans below an unsampled one, with a layer that disables them.

use std::sync::mpsc::{Sender, channel};
use std::thread;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline::tracing_layer::{Builder, OpenTelemetrySpanExt as _, SetParentError};
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Event, Metadata, Span, Subscriber, dispatcher, info, info_span, instrument};
use tracing_subscriber::layer::{self, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// Runs `f` with a sampler that only samples spans whose parent is sampled.
fn unsampled(f: impl FnOnce()) -> Capture {
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    let layer = Builder::new().without_unsampled().build();
    let dispatch = crate::dispatch(tracing_subscriber::registry().with(layer));
    dispatcher::with_default(&dispatch, || capture.run(f));
    capture
}

fn sampled() -> Context {
    let span =
        SpanContext::new(TraceId::from(7_u128), SpanId::from(9_u64), TraceFlags::SAMPLED, true, TraceState::NONE);
    Context::new().with_remote_span_context(span)
}

fn trace_id() -> TraceId {
    Context::current().span().span_context().trace_id()
}

/// The name of the innermost span that exists.
fn name() -> Option<&'static str> {
    Span::current().metadata().map(Metadata::name)
}

/// Runs `f` in a span, on another thread.
fn elsewhere<R: Send>(span: &Span, f: impl FnOnce() -> R + Send) -> R {
    let dispatch = dispatcher::get_default(Dispatch::clone);
    let capture = Context::new();
    thread::scope(|threads| {
        let work = || {
            let _attached = capture.attach();
            dispatcher::with_default(&dispatch, || span.in_scope(f))
        };
        threads.spawn(work).join().expect("no panic")
    })
}

#[test]
fn a_span_is_disabled_and_the_trace_continues() {
    #[instrument]
    fn leaf() -> (Option<&'static str>, TraceId) {
        (name(), trace_id())
    }
    let capture = unsampled(|| {
        info_span!("root").in_scope(|| {
            let trace_id = trace_id();
            assert_ne!(trace_id, TraceId::INVALID);
            // The first span determines how those of its callsite are used.
            assert_eq!(leaf(), (Some("leaf"), trace_id));
            assert_eq!(leaf(), (Some("root"), trace_id));
            assert_eq!(leaf(), (Some("root"), trace_id));
        });
        let request = info_span!("request");
        request.set_parent(sampled()).expect("not started");
        assert_eq!(request.in_scope(leaf), (Some("leaf"), TraceId::from(7_u128)));
    });
    capture.assert_tree("request (remote parent)\n└── leaf");
}

#[test]
fn a_span_that_is_entered_elsewhere_takes_its_context_there() {
    unsampled(|| {
        info_span!("root").in_scope(|| {
            for _ in 0..3 {
                let job = info_span!("job");
                assert_eq!(elsewhere(&job, trace_id), trace_id());
            }
            let used_in_both_ways = || info_span!("either");
            used_in_both_ways().in_scope(|| assert_eq!(name(), Some("either")));
        });
        let request = info_span!("request");
        request.set_parent(sampled()).expect("not started");
        request.in_scope(|| elsewhere(&info_span!("late"), || ()));
    });
}

#[test]
fn a_callsite_is_not_disabled_after_a_recorded_span_was_entered_elsewhere() {
    fn either() -> Span {
        info_span!("either")
    }
    unsampled(|| {
        let root = info_span!("root");
        root.in_scope(|| {
            either().in_scope(|| ());
            assert!(either().is_disabled());
        });
        let request = info_span!("request");
        request.set_parent(sampled()).expect("not started");
        request.in_scope(|| elsewhere(&either(), || ()));
        root.in_scope(|| assert_eq!(elsewhere(&either(), trace_id), trace_id()));
    });
}

#[test]
fn a_span_that_is_given_a_parent_is_not_disabled() {
    let capture = unsampled(|| {
        info_span!("poll").in_scope(|| {
            for _ in 0..2 {
                let handle = info_span!("handle");
                handle.set_parent(sampled()).expect("not started");
                info_span!(parent: &handle, "explicit").in_scope(|| ());
                info_span!(parent: None, "root").in_scope(|| ());
            }
        });
    });
    capture.assert_tree("handle (remote parent)\n└── explicit\nhandle (remote parent)\n└── explicit");
}

#[test]
fn a_callsite_is_not_disabled_after_a_span_was_given_a_parent() {
    fn handle() -> Span {
        info_span!("handle")
    }
    let capture = unsampled(|| {
        let poll = info_span!("poll");
        poll.in_scope(|| {
            handle().in_scope(|| ());
            assert_eq!(handle().set_parent(sampled()), Err(SetParentError::SpanDisabled));
        });
        assert_eq!(handle().set_parent(sampled()), Ok(()));
        poll.in_scope(|| assert_eq!(handle().set_parent(sampled()), Ok(())));
    });
    assert_eq!(capture.named("handle").len(), 2);
}

/// The reason why this is not the default: the next span of a callsite whose spans were used where they were created
/// may be entered elsewhere, which cannot be known when it is created. It has no context, and the work is in no trace.
#[test]
fn a_disabled_span_has_no_context_elsewhere() {
    fn job() -> Span {
        info_span!("job")
    }
    for (builder, is_lost) in [(Builder::new().without_unsampled(), true), (Builder::new(), false)] {
        let dispatch = crate::dispatch(tracing_subscriber::registry().with(builder.build()));
        let capture = Capture::with_sampler(Sampler::AlwaysOff);
        dispatcher::with_default(&dispatch, || {
            capture.run(|| {
                info_span!("root").in_scope(|| {
                    job().in_scope(|| ());
                    let job = job();
                    assert_eq!(job.is_disabled(), is_lost);
                    let expected = if is_lost { TraceId::INVALID } else { trace_id() };
                    assert_eq!(elsewhere(&job, trace_id), expected);
                });
            });
        });
    }
}

/// The registry cannot skip a span for one layer only. A log still has the events.
#[test]
fn a_span_is_disabled_for_all_layers_but_its_events_are_not() {
    struct Log(Sender<Vec<&'static str>>);
    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
        fn on_event(&self, event: &Event<'_>, context: layer::Context<'_, S>) {
            let scope = context.event_scope(event).into_iter().flat_map(Scope::from_root);
            self.0.send(scope.map(|span| span.name()).collect()).expect("a receiver");
        }
    }
    let capture = Capture::with_sampler(Sampler::AlwaysOff);
    let (sender, receiver) = channel();
    // A filter of that layer makes no difference.
    let log = Log(sender).with_filter(LevelFilter::INFO);
    let registry = tracing_subscriber::registry().with(log).with(Builder::new().without_unsampled().build());
    let dispatch = crate::dispatch(registry);
    dispatcher::with_default(&dispatch, || {
        capture.run(|| {
            info_span!("root").in_scope(|| {
                for _ in 0..2 {
                    info_span!("leaf").in_scope(|| info!("seen"));
                }
            });
        });
    });
    drop(dispatch);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [vec!["root", "leaf"], vec!["root"]]);
}
