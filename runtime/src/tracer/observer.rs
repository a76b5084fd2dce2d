//! Observers of individual spans: the SDK's span processors, the console, the capture of a test.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Event, Link, Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceId, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    IdGenerator, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, SpanData, SpanLimits, SpanProcessor,
};

use crate::guard::panics::caught;

/// Sees every span that is recorded. With an observer, the SDK's `SpanData` is built for each span, twice.
pub(crate) trait SpanObserver: Send + Sync + 'static {
    /// Called when the provider is built.
    fn set_resource(&mut self, resource: &Resource) {
        let _ = resource;
    }

    /// Called when a span has started. Returns what to add to it.
    fn started(&self, span: &SpanData, parent: &Context) -> Additions;

    /// Called when a span has ended.
    fn ended(&self, span: &SpanData);

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown(&self, timeout: Duration) -> OTelSdkResult {
        let _ = timeout;
        Ok(())
    }
}

/// What an observer adds to a span when it starts.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    pub(super) attributes: Vec<KeyValue>,
    pub(super) events: Vec<Event>,
    pub(super) links: Vec<Link>,
    pub(super) status: Status,
    /// The new name, if it was changed.
    pub(super) name: Option<Cow<'static, str>>,
    /// The end time, if the observer has ended the span.
    pub(super) end: Option<SystemTime>,
}

/// A span processor of the SDK. Its `on_start` takes the SDK's span type, which only a tracer of the SDK can create. So
/// it gets a copy from such a tracer, and what it adds to the copy is added to our span.
pub(super) struct Processor<P>(pub(super) P);

impl<P: SpanProcessor + 'static> SpanObserver for Processor<P> {
    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }

    fn started(&self, span: &SpanData, parent: &Context) -> Additions {
        let last = Last::default();
        let mut copy = copy(span, parent, last.clone());
        let _ = caught(|| self.0.on_start(&mut copy, parent));
        let has_ended = !copy.is_recording();
        // Ends the copy, unless the processor has ended it.
        drop(copy);
        let Some(after) = last.take() else { return Additions::default() };
        Additions {
            attributes: after.attributes.into_iter().skip(span.attributes.len()).collect(),
            events: after.events.events.into_iter().skip(span.events.len()).collect(),
            links: after.links.links.into_iter().skip(span.links.len()).collect(),
            status: after.status,
            name: Some(after.name).filter(|name| *name != span.name),
            end: has_ended.then_some(after.end_time),
        }
    }

    fn ended(&self, span: &SpanData) {
        let _ = caught(|| self.0.on_end(span.clone()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        caught(|| self.0.force_flush()).unwrap_or_else(panicked)
    }

    fn shutdown(&self, timeout: Duration) -> OTelSdkResult {
        caught(|| self.0.shutdown_with_timeout(timeout)).unwrap_or_else(panicked)
    }
}

fn panicked() -> OTelSdkResult {
    Err(OTelSdkError::InternalFailure("a span processor panicked".to_owned()))
}

/// Keeps the data of the copy when it ends.
#[derive(Debug, Clone, Default)]
struct Last(Arc<Mutex<Option<SpanData>>>);

impl Last {
    fn take(&self) -> Option<SpanData> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl SpanProcessor for Last {
    fn on_start(&self, _span: &mut opentelemetry_sdk::trace::Span, _parent: &Context) {}

    fn on_end(&self, span: SpanData) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Creates a span of the SDK with the same IDs and attributes, whose data is in `last` once it has ended.
fn copy(span: &SpanData, parent: &Context, last: Last) -> opentelemetry_sdk::trace::Span {
    let limits = SpanLimits {
        max_attributes_per_span: u32::MAX,
        max_events_per_span: u32::MAX,
        max_links_per_span: u32::MAX,
        max_attributes_per_event: u32::MAX,
        max_attributes_per_link: u32::MAX,
    };
    let same = Same(span.span_context.clone());
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder_empty().build())
        .with_sampler(same.clone())
        .with_span_limits(limits)
        .with_id_generator(same)
        .with_span_processor(last)
        .build();
    let builder = SpanBuilder {
        span_kind: Some(span.span_kind.clone()),
        name: span.name.clone(),
        start_time: Some(span.start_time),
        attributes: Some(span.attributes.clone()),
        events: Some(span.events.events.clone()),
        links: Some(span.links.links.clone()),
    };
    provider.tracer_with_scope(span.instrumentation_scope.clone()).build_with_context(builder, parent)
}

/// An ID generator and sampler that give a span the span context of another.
#[derive(Debug, Clone)]
struct Same(SpanContext);

impl IdGenerator for Same {
    fn new_trace_id(&self) -> TraceId {
        self.0.trace_id()
    }

    fn new_span_id(&self) -> SpanId {
        self.0.span_id()
    }
}

impl ShouldSample for Same {
    fn should_sample(
        &self,
        _parent: Option<&Context>,
        _trace_id: TraceId,
        _name: &str,
        _kind: &SpanKind,
        _attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let is_sampled = self.0.is_sampled();
        SamplingResult {
            decision: if is_sampled { SamplingDecision::RecordAndSample } else { SamplingDecision::RecordOnly },
            attributes: Vec::new(),
            trace_state: self.0.trace_state().clone(),
        }
    }
}
