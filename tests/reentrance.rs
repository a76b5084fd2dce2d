//! Code that telemetry calls may use telemetry itself, and its spans are not recorded.

use std::fmt;
use std::future::Future as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SamplingResult, SdkTracerProvider, ShouldSample, Span, SpanData, SpanProcessor,
};
use throughline::{TagValue, Value, biz_tags, in_span, traced, traced_spawn};

static CALLED: AtomicUsize = AtomicUsize::new(0);

/// Code that is called by telemetry, and uses spans, tags and contexts.
#[traced(root, tags(depth = inner(0)))]
#[biz_tags(tag = inner(1))]
fn inner(depth: u32) -> u32 {
    CALLED.fetch_add(1, Ordering::Relaxed);
    let context = Context::current().with_value(depth);
    let _attached = context.attach();
    in_span("in a block", || throughline::span("built").tag("depth", depth).root().run(|| depth))
}

#[traced_spawn]
async fn job() {
    in_span("in a job", || CALLED.fetch_add(1, Ordering::Relaxed));
}

#[derive(Debug, Clone)]
struct Busy;

impl ShouldSample for Busy {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        inner(2);
        Sampler::AlwaysOn.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

#[derive(Debug, Clone, Default)]
struct Names(Arc<Mutex<Vec<String>>>);

impl SpanProcessor for Names {
    fn on_start(&self, _: &mut Span, _: &Context) {
        inner(3);
        drop(job());
    }

    fn on_end(&self, span: SpanData) {
        inner(4);
        drop(throughline::spawn(async { in_span("in a spawned future", || ()) }));
        self.0.lock().expect("no panic").push(span.name.into_owned());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

struct Failure;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", inner(5))
    }
}

impl TagValue for Failure {
    fn tag_value(&self) -> Option<Value> {
        inner(6).tag_value()
    }
}

#[traced(tags(tag = Failure, depth = inner(7)))]
#[biz_tags(shown = %Failure)]
fn fails() -> Result<(), Failure> {
    in_span("outer block", || ());
    Err(Failure)
}

#[traced]
async fn asynchronous() -> Result<(), Failure> {
    tokio::task::yield_now().await;
    in_span("in a future", || ());
    Err(Failure)
}

#[biz_tags(tag = inner(8))]
fn tagged() {
    in_span("below tags", || ());
}

/// The tag of the method is its own result, so evaluating it calls the method.
struct Queue(Vec<u8>);

#[traced(tags(length = self.len()))]
impl Queue {
    fn len(&self) -> usize {
        self.0.len()
    }
}

#[tokio::test]
async fn code_called_by_telemetry_has_no_spans() {
    let names = Names::default();
    let provider = SdkTracerProvider::builder().with_sampler(Busy).with_span_processor(names.clone()).build();
    throughline::install(&provider);
    let take = || std::mem::take(&mut *names.0.lock().expect("no panic"));

    assert!(fails().is_err());
    assert_eq!(take(), ["outer block", "fails"]);
    assert!(asynchronous().await.is_err());
    assert_eq!(take(), ["in a future", "asynchronous"]);
    tagged();
    assert_eq!(take(), ["below tags"]);
    assert_eq!(Queue(vec![1, 2]).len(), 2);
    assert_eq!(take(), ["Queue::len"]);
    {
        let mut dropped = Box::pin(async {
            throughline::in_span_async("dropped", std::future::pending::<()>()).await;
        });
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(dropped.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(take(), ["dropped"]);
    // Jobs that were spawned by telemetry run without spans.
    throughline::jobs::wait(Duration::from_secs(60)).await.expect("all jobs end");
    assert_eq!(take(), <[&str; 0]>::default());
    assert!(CALLED.load(Ordering::Relaxed) > 10);
    assert!(!Context::current().has_active_span(), "the current context is restored");
    in_span("afterwards", || ());
    assert_eq!(take(), ["afterwards"]);
}
