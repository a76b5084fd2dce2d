//! Who looks at single spans: span processors of the SDK's, the console, a test's capture.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, SpanContext, SpanId, Tracer as _, TracerProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{IdGenerator, Sampler, SdkTracerProvider, SpanData, SpanLimits, SpanProcessor};

/// Looks at every span that is recorded. Building the SDK's `SpanData` for it is what it costs.
pub(crate) trait SpanObserver: Send + Sync + 'static {
    /// The provider is built, for the spans of this resource.
    fn set_resource(&mut self, resource: &Resource) {
        let _ = resource;
    }

    /// A span has started. Gives the attributes to add.
    fn started(&self, span: &SpanData, parent: &Context) -> Vec<opentelemetry::KeyValue>;

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

/// A span processor of the SDK's. It wants to see a span of the SDK's type at the start, which only a tracer of the SDK
/// can make: so one makes a copy, and what the processor adds to that is added to ours.
pub(super) struct Processor<P>(pub(super) P);

impl<P: SpanProcessor + 'static> SpanObserver for Processor<P> {
    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }

    fn started(&self, span: &SpanData, parent: &Context) -> Vec<opentelemetry::KeyValue> {
        let mut copy = copy(span, parent);
        let before = span.attributes.len();
        self.0.on_start(&mut copy, parent);
        let after = copy.exported_data().map(|data| data.attributes).unwrap_or_default();
        after.into_iter().skip(before).collect()
    }

    fn ended(&self, span: &SpanData) {
        self.0.on_end(span.clone());
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }
}

/// A span of the SDK's with the same ids and attributes, which goes nowhere.
fn copy(span: &SpanData, parent: &Context) -> opentelemetry_sdk::trace::Span {
    let limits = SpanLimits {
        max_attributes_per_span: u32::MAX,
        max_events_per_span: u32::MAX,
        max_links_per_span: u32::MAX,
        max_attributes_per_event: u32::MAX,
        max_attributes_per_link: u32::MAX,
    };
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder_empty().build())
        .with_sampler(Sampler::AlwaysOn)
        .with_span_limits(limits)
        .with_id_generator(SameIds(span.span_context.clone()))
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

#[derive(Debug)]
struct SameIds(SpanContext);

impl IdGenerator for SameIds {
    fn new_trace_id(&self) -> opentelemetry::TraceId {
        self.0.trace_id()
    }

    fn new_span_id(&self) -> SpanId {
        self.0.span_id()
    }
}
