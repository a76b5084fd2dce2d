//! When the spans of a trace are handed over, and which of them together.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use opentelemetry_sdk::error::OTelSdkResult;

use super::*;
use crate::tracer::encoded::SpanSink;

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
    assert_eq!(names(&kept, &provider), [["later"], ["late"]], "late spans are handed over immediately");
}

#[test]
fn a_flush_finds_the_spans_of_incomplete_traces() {
    let (provider, kept) = provider(|builder| builder);
    let tracer = provider.tracer("tests");
    let roots: Vec<_> = (0..3).map(|_| Context::new().with_span(tracer.start("root"))).collect();
    for root in &roots {
        drop(tracer.start_with_context("child", root));
    }
    provider.force_flush().expect("the flush succeeds");
    assert_eq!(names(&kept, &provider), [["child"], ["child"], ["child"]]);
    drop(tracer.start_with_context("another", &roots[1]));
    for root in &roots {
        root.span().end();
    }
    assert_eq!(names(&kept, &provider), [vec!["root"], vec!["another", "root"], vec!["root"]]);
    provider.force_flush().expect("the flush succeeds");
    assert!(kept.take().is_empty());
}

#[test]
fn a_long_running_trace_is_handed_over_in_parts() {
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

/// The slot of a trace is free once the trace is complete, and after a flush.
#[test]
fn a_flush_finds_all_traces_that_began_after_the_previous_flush() {
    let (provider, kept) = provider(|builder| builder);
    let tracer = provider.tracer("tests");
    let open = provider.shared().open_buffers().expect("there is a sink");
    let begin = || {
        let root = Context::new().with_span(tracer.start("root"));
        drop(tracer.start_with_context("child", &root));
        root
    };
    for root in [begin(), begin()] {
        root.span().end();
    }
    assert_eq!(kept.take().len(), 2);
    open.hand_over_all();
    assert!(kept.take().is_empty());
    for _ in 0..2 {
        let roots = [begin(), begin(), begin()];
        open.hand_over_all();
        assert_eq!(names(&kept, &provider), [["child"]; 3]);
        for root in roots {
            root.span().end();
        }
        assert_eq!(names(&kept, &provider), [["root"]; 3]);
    }
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
    provider.shutdown().expect("the first shutdown succeeds");
    assert_eq!(names(&kept, &provider), [["child"]]);
}

#[test]
fn a_span_is_exported_by_its_own_provider() {
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
fn nothing_is_recorded_if_suppressed_or_after_a_shutdown() {
    let (provider, kept) = provider(|builder| builder);
    let tracer = provider.tracer("tests");
    let suppressed = Context::new().with_telemetry_suppressed();
    assert!(!tracer.start_with_context("suppressed", &suppressed).span_context().is_valid());
    let before = tracer.start("before");
    provider.shutdown().expect("the first shutdown succeeds");
    assert!(provider.shutdown().is_err());
    assert!(!tracer.start("after").span_context().is_valid());
    drop(before);
    assert_eq!(names(&kept, &provider), [["before"]], "it is up to the sink to reject it");
}

/// The span context of the parent is propagated, whether or not the sampler needs the attributes first. No span is opened,
/// so the parent is still the current span.
#[test]
fn after_a_shutdown_our_own_functions_leave_the_context_as_it_is() {
    use crate::context::data;
    use crate::span::tracer::of;

    let plain: fn(TracerProviderBuilder) -> TracerProviderBuilder = |builder| builder;
    for configure in [plain, |builder| builder.with_sampler(Sampler::AlwaysOn)] {
        let (provider, kept) = provider(configure);
        let context = data::edit(&Context::new(), |data| data.source = Some(of(&provider)));
        let before = context.with_span(provider.tracer("tests").start("before"));
        provider.shutdown().expect("the first shutdown succeeds");
        let _current = before.clone().attach();
        crate::in_span("after", || {
            crate::record("key", 1);
            Context::map_current(|context| {
                assert_eq!(context.span().span_context(), before.span().span_context());
                assert!(context.span().is_recording(), "`before` is the current span");
            });
        });
        before.span().end();
        let data = only(&provider, &kept);
        assert_eq!((&*data.name, data.attributes.len()), ("before", 1));
    }
}

/// A sink that is slow to take the first spans, unless `go_on` is sent.
struct Slow {
    kept: Kept,
    pushing: SyncSender<()>,
    go_on: Mutex<Option<Receiver<()>>>,
}

impl SpanSink for Slow {
    fn push(&self, spans: &EncodedSpans<Vec<u8>>) {
        if let Some(go_on) = self.go_on.lock().expect("no panic").take() {
            self.pushing.send(()).expect("the receiver is alive");
            let _ = go_on.recv_timeout(Duration::from_millis(200));
        }
        self.kept.push(spans);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.kept.force_flush()
    }

    fn shutdown(&self, timeout: Duration) -> OTelSdkResult {
        self.kept.shutdown(timeout)
    }
}

/// Ends two spans, and lets `hand_over` pass one or both of them to a slow sink. Returns how many are in the sink after a
/// flush in the meantime.
fn flushed_meanwhile(hand_over: impl FnOnce(&TracerProvider, &[Context]) + Send) -> usize {
    let ((pushing, is_pushing), (go_on, goes_on)) = (sync_channel(1), sync_channel(1));
    let sink = Arc::new(Slow { kept: Kept::default(), pushing, go_on: Mutex::new(Some(goes_on)) });
    let provider = TracerProvider::builder().with_sink(Arc::<Slow>::clone(&sink)).build();
    let tracer = provider.tracer("tests");
    let roots: Vec<_> = (0..2).map(|_| Context::new().with_span(tracer.start("root"))).collect();
    for root in &roots {
        drop(tracer.start_with_context("child", root));
    }
    thread::scope(|scope| {
        scope.spawn(|| hand_over(&provider, &roots));
        is_pushing.recv().expect("the other thread pushes");
        provider.force_flush().expect("the flush succeeds");
        let flushed = sink.kept.take().len();
        let _ = go_on.send(());
        flushed
    })
}

#[test]
fn a_flush_waits_for_spans_that_another_thread_is_handing_over() {
    let flushed = flushed_meanwhile(|provider, _| provider.force_flush().expect("the flush succeeds"));
    assert_eq!(flushed, 2, "both spans had ended before the flush");
    let flushed = flushed_meanwhile(|_, roots| roots[0].span().end());
    assert_eq!(flushed, 2, "a trace that is complete contains spans that had ended before the flush");
}
