//! Who looks at single spans: span processors of the SDK's, the console, a test's capture.

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

/// Looks at every span that is recorded. Building the SDK's `SpanData` for it is what it costs.
pub(crate) trait SpanObserver: Send + Sync + 'static {
    /// The provider is built, for the spans of this resource.
    fn set_resource(&mut self, resource: &Resource) {
        let _ = resource;
    }

    /// A span has started. Gives what to add to it.
    fn started(&self, span: &SpanData, parent: &Context) -> Additions;

    /// A span has ended.
    fn ended(&self, span: &SpanData);

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown(&self, timeout: Duration) -> OTelSdkResult {
        let _ = timeout;
        Ok(())
    }
}

/// What is added to a span when it starts.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    pub(super) attributes: Vec<KeyValue>,
    pub(super) events: Vec<Event>,
    pub(super) links: Vec<Link>,
    pub(super) status: Status,
    /// Another name.
    pub(super) name: Option<Cow<'static, str>>,
    /// When the span has ended, if the observer has ended it.
    pub(super) end: Option<SystemTime>,
}

/// A span processor of the SDK's. It wants to see a span of the SDK's type at the start, which only a tracer of the SDK
/// can make: so one makes a copy, and what the processor adds to that is added to ours.
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
        // Ends it, unless the processor has.
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

/// Keeps the copy of a span when it ends.
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

/// A span of the SDK's with the same IDs and attributes, which is left in `last` when it ends.
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

/// Gives a span the context of another.
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
