//! Configuration of a tracer provider.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, IdGenerator, Sampler, ShouldSample, SimpleSpanProcessor, SpanExporter, SpanLimits,
    SpanProcessor,
};

use super::buffer::OpenBuffers;
use super::encoded::{Scopes, SpanSink};
use super::guarded::Guarded;
use super::id_generator::{ProcessIdGenerator, RequestIdGenerator};
use super::observer::{Processor, SpanObserver};
use super::provider::TracerProvider;
use super::shared::{Provider, Shared};
use crate::encoding::ScopeId;
use crate::encoding::fields::Limits;
use crate::semconv;
use crate::span::tracer::scope as own_scope;

/// Configures a [`TracerProvider`]. The methods have the same names as those of the SDK's builder.
///
/// ```
/// use opentelemetry_sdk::Resource;
/// use opentelemetry_sdk::trace::Sampler;
/// use throughline::telemetry::TracerProvider;
///
/// let provider = TracerProvider::builder()
///     .with_sampler(Sampler::TraceIdRatioBased(0.1))
///     .with_max_events_per_span(16)
///     .with_resource(Resource::builder().with_service_name("orders").build())
///     .build();
/// assert_eq!(provider.resource().get(&"service.name".into()).unwrap().as_str(), "orders");
/// ```
#[must_use = "nothing is set up before `build`"]
pub struct TracerProviderBuilder {
    limits: Limits,
    observers: Vec<Box<dyn SpanObserver>>,
    sink: Option<Arc<dyn SpanSink>>,
    sampler: Box<dyn ShouldSample>,
    follows_local_parent: bool,
    samples_by_attributes: bool,
    has_own_ids: bool,
    ids: Box<dyn IdGenerator>,
    resource: Option<Resource>,
}

impl Default for TracerProviderBuilder {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            observers: Vec::new(),
            sink: None,
            sampler: Box::new(Sampler::ParentBased(Box::new(Sampler::AlwaysOn))),
            follows_local_parent: true,
            samples_by_attributes: false,
            has_own_ids: true,
            ids: Box::new(ProcessIdGenerator::new()),
            resource: None,
        }
    }
}

impl TracerProviderBuilder {
    /// Exports each span when it ends, on the thread on which it ends: the SDK's [`SimpleSpanProcessor`]. For tests and
    /// debugging.
    pub fn with_simple_exporter(self, exporter: impl SpanExporter + 'static) -> Self {
        self.with_span_processor(SimpleSpanProcessor::new(exporter))
    }

    /// Exports spans in batches on a thread of their own: the SDK's [`BatchSpanProcessor`], configured by `OTEL_BSP_*`.
    ///
    /// It queues individual spans, so a full queue leaves gaps in traces. The exporter of `throughline::init` queues
    /// whole traces, in encoded form.
    pub fn with_batch_exporter(self, exporter: impl SpanExporter + 'static) -> Self {
        self.with_span_processor(BatchSpanProcessor::builder(exporter).build())
    }

    /// Adds a span processor; processors are called in the order in which they are added. For them, each span is
    /// converted to the SDK's type when it starts and when it ends. If a processor panics, the panic is caught and does
    /// not reach the traced code.
    pub fn with_span_processor(self, processor: impl SpanProcessor + 'static) -> Self {
        self.with_observer(Processor(processor))
    }

    pub(crate) fn with_observer(mut self, observer: impl SpanObserver) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    pub(crate) fn with_sink(mut self, sink: Arc<dyn SpanSink>) -> Self {
        self.sink = Some(sink);
        self
    }

    /// Sets the sampler, which may be boxed. It is consulted for every span; a span for which it panics is not
    /// recorded. By default, every trace is recorded except those whose remote parent is not sampled.
    pub fn with_sampler(mut self, sampler: impl Into<Box<dyn ShouldSample>>) -> Self {
        self.sampler = Box::new(Guarded(sampler.into()));
        self.follows_local_parent = false;
        self.samples_by_attributes = true;
        self
    }

    /// Sets a sampler that need not be consulted below a local parent. `by_attributes` tells whether it reads the
    /// attributes and links of a span.
    pub(crate) fn with_root_sampler(mut self, sampler: impl ShouldSample + 'static, by_attributes: bool) -> Self {
        self.sampler = Box::new(sampler);
        self.follows_local_parent = true;
        self.samples_by_attributes = by_attributes;
        self
    }

    /// Sets the ID generator. By default, IDs are random.
    pub fn with_id_generator(mut self, ids: impl IdGenerator + 'static) -> Self {
        let known = &ids as &dyn Any;
        self.has_own_ids = known.is::<RequestIdGenerator>() || known.is::<RequestIdGenerator<ProcessIdGenerator>>();
        self.ids = Box::new(ids);
        self
    }

    /// Sets the maximum number of attributes per span; 128 by default. Further attributes are dropped and counted in
    /// the exported span, following the specification of the tracing SDK, section "Span Limits".
    pub fn with_max_attributes_per_span(mut self, max: u32) -> Self {
        self.limits.attributes = max;
        self
    }

    /// Sets the maximum number of events per span; 128 by default.
    pub fn with_max_events_per_span(mut self, max: u32) -> Self {
        self.limits.events = max;
        self
    }

    /// Sets the maximum number of links per span; 128 by default.
    pub fn with_max_links_per_span(mut self, max: u32) -> Self {
        self.limits.links = max;
        self
    }

    /// Sets the maximum number of attributes per event; 128 by default.
    pub fn with_max_attributes_per_event(mut self, max: u32) -> Self {
        self.limits.attributes_per_event = max;
        self
    }

    /// Sets the maximum number of attributes per link; 128 by default.
    pub fn with_max_attributes_per_link(mut self, max: u32) -> Self {
        self.limits.attributes_per_link = max;
        self
    }

    /// Sets all limits for spans, events and links.
    pub fn with_span_limits(self, limits: SpanLimits) -> Self {
        self.with_max_attributes_per_span(limits.max_attributes_per_span)
            .with_max_events_per_span(limits.max_events_per_span)
            .with_max_links_per_span(limits.max_links_per_span)
            .with_max_attributes_per_event(limits.max_attributes_per_event)
            .with_max_attributes_per_link(limits.max_attributes_per_link)
    }

    /// Sets the maximum number of characters of a string value, also within an array, of the attributes of spans, events
    /// and links; unlimited by default. Longer values are truncated, following the common specification, section
    /// "Attribute Limits". Tags are truncated to [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES) in any case.
    pub fn with_max_attribute_value_length(mut self, characters: u32) -> Self {
        self.limits.value_length = Some(characters as usize);
        self
    }

    /// Sets the resource. If called again, the resources are merged, and the attributes of the last one take
    /// precedence.
    ///
    /// The default is the SDK's: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` and `telemetry.sdk.*`. The latter name
    /// Throughline instead of the SDK, in a resource of `Resource::builder()` as well.
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.resource = Some(match self.resource {
            Some(known) => merged(&known, &resource),
            None => resource,
        });
        self
    }

    /// Builds the provider.
    pub fn build(mut self) -> TracerProvider {
        let scopes = Scopes::default();
        // Registered first, which `ScopeId::OURS` relies on.
        let ours = scopes.id(&own_scope());
        debug_assert_eq!(ours, ScopeId::OURS);
        let resource = not_of_the_sdk(self.resource.unwrap_or_else(|| Resource::builder().build()));
        for observer in &mut self.observers {
            observer.set_resource(&resource);
        }
        let shared = Arc::new(Shared {
            is_plain: self.observers.is_empty() && self.has_own_ids && !self.samples_by_attributes,
            limits: self.limits,
            scopes: Arc::new(scopes),
            observers: self.observers,
            open: self.sink.map(OpenBuffers::new),
            sampler: self.sampler,
            follows_local_parent: self.follows_local_parent,
            samples_by_attributes: self.samples_by_attributes,
            ids: self.ids,
            resource,
            is_shut_down: AtomicBool::new(false),
        });
        if let Some(open) = &shared.open {
            open.sink.attach(&shared);
        }
        TracerProvider(Arc::new(Provider::new(shared)))
    }
}

/// The resource attributes that name Throughline as the SDK.
pub(crate) fn telemetry_sdk() -> [KeyValue; 3] {
    [
        KeyValue::new(semconv::TELEMETRY_SDK_NAME, "throughline"),
        KeyValue::new(semconv::TELEMETRY_SDK_LANGUAGE, "rust"),
        KeyValue::new(semconv::TELEMETRY_SDK_VERSION, env!("CARGO_PKG_VERSION")),
    ]
}

/// Replaces `telemetry.sdk.*` if the SDK's resource builder has set it: the name `opentelemetry` is reserved for the
/// SDK ("Telemetry SDK" in the semantic conventions).
pub(crate) fn not_of_the_sdk(resource: Resource) -> Resource {
    let name = resource.get(&Key::from_static_str(semconv::TELEMETRY_SDK_NAME));
    if name.is_none_or(|name| name.as_str() != "opentelemetry") {
        return resource;
    }
    merged(&resource, &Resource::builder_empty().with_attributes(telemetry_sdk()).build())
}

/// Merges two resources, following the section "Merge" of the resource specification.
fn merged(old: &Resource, updating: &Resource) -> Resource {
    let attributes = old.iter().chain(updating).map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let merged = Resource::builder_empty().with_attributes(attributes);
    let url = match (old.schema_url(), updating.schema_url()) {
        // It would be unclear which of them applies to an attribute.
        (Some(old), Some(updating)) if old != updating => None,
        (old, updating) => updating.or(old),
    };
    match url {
        Some(url) => merged.with_schema_url([], url.to_owned()).build(),
        None => merged.build(),
    }
}

impl fmt::Debug for TracerProviderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracerProviderBuilder")
            .field("limits", &self.limits)
            .field("sampler", &self.sampler)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_the_sdk_is_replaced() {
        let resource = |name: &'static str| {
            Resource::builder_empty().with_attributes([KeyValue::new(semconv::TELEMETRY_SDK_NAME, name)]).build()
        };
        let name = |resource: &Resource| {
            resource.get(&Key::from_static_str(semconv::TELEMETRY_SDK_NAME)).map(|name| name.to_string())
        };
        assert_eq!(name(&not_of_the_sdk(resource("opentelemetry"))).as_deref(), Some("throughline"));
        assert_eq!(name(&not_of_the_sdk(resource("mine"))).as_deref(), Some("mine"));
        assert_eq!(not_of_the_sdk(Resource::builder_empty().build()), Resource::builder_empty().build());
    }

    #[test]
    fn the_schema_of_merged_resources_is_known_unless_they_contradict_each_other() {
        let resource = |url: Option<&'static str>| match url {
            Some(url) => Resource::builder_empty().with_schema_url([KeyValue::new("key", url)], url).build(),
            None => Resource::builder_empty().build(),
        };
        for (old, updating, expected) in [
            (Some("a"), Some("a"), Some("a")),
            (Some("a"), Some("b"), None),
            (Some("a"), None, Some("a")),
            (None, Some("b"), Some("b")),
            (None, None, None),
        ] {
            let merged = merged(&resource(old), &resource(updating));
            assert_eq!(merged.schema_url(), expected);
            let value = merged.get(&Key::from_static_str("key")).map(|value| value.to_string());
            assert_eq!(value.as_deref(), updating.or(old));
        }
    }
}
