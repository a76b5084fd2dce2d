//! Tests of OpenTelemetry's specification of tracers and spans ("Tracing API", "Tracing SDK"), run with our own tracer
//! and with that of the SDK. Where the SDK deviates, the test says how.

/// Runs each test with a builder of our tracer and with one of the SDK's.
macro_rules! on_both {
    ($(
        $(#[doc = $doc:literal])*
        fn $name:ident($builder:ident, $kept:ident, $ours:ident) $body:block
    )*) => {
        mod our_tracer {
            use super::*;
            $($(#[doc = $doc])* #[test] fn $name() {
                let ($builder, $kept, $ours) = (TracerProvider::builder(), Kept::default(), true);
                let $builder = $builder.with_span_processor($kept.clone());
                let _ = $ours;
                $body
            })*
        }

        mod tracer_of_the_sdk {
            use super::*;
            $($(#[doc = $doc])* #[test] fn $name() {
                let ($builder, $kept, $ours) = (SdkTracerProvider::builder(), Kept::default(), false);
                let $builder = $builder.with_span_processor($kept.clone());
                let _ = $ours;
                $body
            })*
        }
    };
}

mod provider;
mod random;
mod recording;
mod sampling;
mod starting;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Event, Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    IdGenerator, InMemorySpanExporter, Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample,
    Span, SpanData, SpanLimits, SpanProcessor,
};
use throughline::telemetry::TracerProvider;

/// Keeps the spans that have ended, and the names of those that have started.
#[derive(Debug, Clone, Default)]
struct Kept {
    ended: Arc<Mutex<Vec<SpanData>>>,
    started: Arc<Mutex<Vec<String>>>,
    shut_down: Arc<Mutex<usize>>,
    resource: Arc<Mutex<Option<Resource>>>,
}

impl Kept {
    fn take(&self) -> Vec<SpanData> {
        std::mem::take(&mut *self.ended.lock().expect("no panic"))
    }

    /// The one span that has ended.
    #[track_caller]
    fn one(&self) -> SpanData {
        let mut spans = self.take();
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans.remove(0)
    }
}

impl SpanProcessor for Kept {
    fn on_start(&self, span: &mut Span, _parent: &Context) {
        span.set_attribute(KeyValue::new("set.on_start", true));
        let name = span.exported_data().expect("the span is recorded").name.into_owned();
        self.started.lock().expect("no panic").push(name);
    }

    fn on_end(&self, span: SpanData) {
        self.ended.lock().expect("no panic").push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        *self.shut_down.lock().expect("no panic") += 1;
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        *self.resource.lock().expect("no panic") = Some(resource.clone());
    }
}

/// The attributes, without that of the processor.
fn attributes(span: &SpanData) -> Vec<KeyValue> {
    span.attributes.iter().filter(|it| it.key.as_str() != "set.on_start").cloned().collect()
}

fn context(trace_id: u128, span_id: u64, flags: TraceFlags, is_remote: bool, state: &str) -> SpanContext {
    let state = if state.is_empty() { TraceState::NONE } else { state.parse().expect("a valid trace state") };
    SpanContext::new(TraceId::from(trace_id), SpanId::from(span_id), flags, is_remote, state)
}

fn below(span: SpanContext) -> Context {
    Context::new().with_remote_span_context(span)
}

/// A sampler that always makes the same decision, and records its arguments.
#[derive(Debug, Clone)]
struct Asked {
    answer: SamplingDecision,
    questions: Arc<Mutex<Vec<String>>>,
}

impl Asked {
    fn answering(answer: SamplingDecision) -> Self {
        Self { answer, questions: Arc::default() }
    }
}

impl ShouldSample for Asked {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parent = parent.is_some_and(|parent| parent.span().span_context().is_valid());
        let keys: Vec<_> = attributes.iter().map(|it| it.key.as_str()).collect();
        let question = format!("{name} {kind:?} {keys:?} {} parent {parent}", links.len());
        self.questions.lock().expect("no panic").push(question);
        SamplingResult {
            decision: self.answer.clone(),
            attributes: vec![KeyValue::new("sampler", "asked")],
            trace_state: "sampler=said".parse().expect("a valid trace state"),
        }
    }
}

#[derive(Debug)]
struct Counting(Mutex<u64>);

impl IdGenerator for Counting {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(u128::from(self.next()) + 1_000)
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(self.next())
    }
}

impl Counting {
    fn next(&self) -> u64 {
        let mut last = self.0.lock().expect("no panic");
        *last += 1;
        *last
    }
}

type Action = Box<dyn FnOnce() + Send>;

/// Runs an action when a span ends, in the call of `on_end`.
#[derive(Clone, Default)]
struct OnEnd(Arc<Mutex<Option<Action>>>);

impl std::fmt::Debug for OnEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnEnd")
    }
}

impl SpanProcessor for OnEnd {
    fn on_start(&self, _span: &mut Span, _parent: &Context) {}

    fn on_end(&self, _span: SpanData) {
        let taken = self.0.lock().expect("no panic").take();
        if let Some(f) = taken {
            f();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Ends spans that start.
#[derive(Debug)]
struct Ending;

impl Ending {
    /// The time at which it ends them.
    fn time() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 32)
    }
}

impl SpanProcessor for Ending {
    fn on_start(&self, span: &mut Span, _parent: &Context) {
        span.set_attribute(KeyValue::new("ended", true));
        span.end_with_timestamp(Self::time());
    }

    fn on_end(&self, _span: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Changes spans that start, and keeps the span context of the last one.
#[derive(Debug, Clone, Default)]
struct Changing(Arc<Mutex<Option<SpanContext>>>);

impl SpanProcessor for Changing {
    fn on_start(&self, span: &mut Span, _parent: &Context) {
        let name = span.exported_data().expect("the span is recorded").name;
        span.add_event(name.clone(), Vec::new());
        span.add_link(context(3, 4, TraceFlags::SAMPLED, true, ""), Vec::new());
        span.set_status(Status::Ok);
        span.update_name(format!("{name}, changed"));
        *self.0.lock().expect("no panic") = Some(span.span_context().clone());
    }

    fn on_end(&self, _span: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
