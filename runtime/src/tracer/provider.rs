//! The tracer provider, and its tracers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::{SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, TraceState};
use opentelemetry::{Context, InstrumentationScope, time};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, ShouldSample, SpanLimits, SpanProcessor,
};

use super::buffer::{OpenBuffers, Role, TraceBuffer};
use super::encoded::{ScopeId, Scopes, SpanSink};
use super::local;
use super::observer::{Processor, SpanObserver};
use super::span::{Fields, Record, Span, nanos};
use crate::context::data::Data;
use crate::span::tracer::scope as own_scope;

/// How much a span may hold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    pub(crate) span: SpanLimits,
    /// The most characters of an attribute's text.
    pub(crate) value_length: Option<usize>,
}

/// What all tracers of a provider share.
pub(crate) struct Shared {
    pub(super) limits: Limits,
    pub(super) scopes: Scopes,
    pub(super) observers: Vec<Box<dyn SpanObserver>>,
    /// `None` if nothing is exported.
    pub(super) open: Option<OpenBuffers>,
    sampler: Box<dyn ShouldSample>,
    /// Below a local parent that is sampled, the sampler need not be asked.
    follows_local_parent: bool,
    ids: Box<dyn IdGenerator>,
    resource: Resource,
    is_shut_down: AtomicBool,
}

impl Shared {
    #[inline]
    pub(super) fn is_shut_down(&self) -> bool {
        self.is_shut_down.load(Ordering::Relaxed)
    }

    /// The open buffers, for who exports them.
    pub(crate) fn open_buffers(&self) -> Option<&OpenBuffers> {
        self.open.as_ref()
    }

    fn force_flush(&self) -> OTelSdkResult {
        let mut result = Ok(());
        if let Some(open) = &self.open {
            open.hand_over_all();
            result = open.sink.force_flush();
        }
        self.observers.iter().map(|observer| observer.force_flush()).fold(result, Result::and)
    }

    /// The exporter comes first: a processor of the application's may use up all the time there is.
    fn shut_down(&self, timeout: Duration) -> OTelSdkResult {
        if self.is_shut_down.swap(true, Ordering::Relaxed) {
            return Err(OTelSdkError::AlreadyShutdown);
        }
        let mut result = Ok(());
        if let Some(open) = &self.open {
            open.hand_over_all();
            result = open.sink.shutdown(timeout);
        }
        self.observers.iter().map(|observer| observer.shutdown(timeout)).fold(result, Result::and)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = self.shut_down(Duration::from_secs(5));
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("limits", &self.limits).field("sampler", &self.sampler).finish_non_exhaustive()
    }
}

/// The tracer provider of [`init`](crate::init), of the console and of [`Capture`](crate::testing::Capture): an
/// implementation of OpenTelemetry's `TracerProvider` that encodes a span for export while it is recorded.
///
/// Use it like the SDK's: for libraries that take a provider or a tracer, or as OpenTelemetry's global one. It differs
/// from the SDK's in this:
///
/// - An attribute that is set twice has the last value, as the specification says ("Set Attributes"); the SDK keeps
///   both. The same holds for the attributes of an event or a link.
/// - Spans have the tags of `#[biz_tags]` that are in scope where they start, as
///   [`TagProcessor`](crate::telemetry::TagProcessor) gives them to the SDK's.
/// - The status `Ok` is final, and a later `Error` replaces an earlier one. The SDK keeps the one whose text sorts
///   last.
///
/// A clone refers to the same provider. Dropping the last one, and the last of its tracers and spans, shuts it down.
#[derive(Debug, Clone)]
pub struct TracerProvider(Arc<Shared>);

impl TracerProvider {
    /// Configures a provider. Without a processor, its spans go nowhere.
    pub fn builder() -> TracerProviderBuilder {
        TracerProviderBuilder::default()
    }

    /// Exports the spans that have ended, and waits until that is done, for `OTEL_BSP_EXPORT_TIMEOUT` at most.
    ///
    /// # Errors
    ///
    /// If the export did not finish in time, or a processor reports an error.
    pub fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    /// Exports the spans that have ended. Spans that start later are not recorded.
    ///
    /// # Errors
    ///
    /// If not everything could be exported within `timeout`, or if the provider is shut down already.
    pub fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shut_down(timeout)
    }

    /// Shuts down within five seconds. See [`shutdown_with_timeout`](Self::shutdown_with_timeout).
    ///
    /// # Errors
    ///
    /// Those of [`shutdown_with_timeout`](Self::shutdown_with_timeout).
    pub fn shutdown(&self) -> OTelSdkResult {
        self.shutdown_with_timeout(Duration::from_secs(5))
    }

    /// What the spans of this provider are from.
    pub fn resource(&self) -> &Resource {
        &self.0.resource
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl opentelemetry::trace::TracerProvider for TracerProvider {
    type Tracer = Tracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> Tracer {
        Tracer { scope: self.0.scopes.id(&scope), provider: Arc::clone(&self.0) }
    }
}

/// Configures a [`TracerProvider`].
#[must_use = "nothing is set up before `build`"]
pub struct TracerProviderBuilder {
    limits: Limits,
    observers: Vec<Box<dyn SpanObserver>>,
    sink: Option<Arc<dyn SpanSink>>,
    sampler: Box<dyn ShouldSample>,
    follows_local_parent: bool,
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
            ids: Box::new(RandomIdGenerator::default()),
            resource: None,
        }
    }
}

impl TracerProviderBuilder {
    /// Adds a span processor. Every span is built in the SDK's type for it, and once more at its start.
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

    /// Sets the sampler, which is asked about every span. By default every trace is recorded, except those whose
    /// parent is not sampled.
    pub fn with_sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        self.sampler = Box::new(sampler);
        self.follows_local_parent = false;
        self
    }

    /// Sets a sampler that need not be asked below a local parent that is sampled.
    pub(crate) fn with_root_sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        self.sampler = Box::new(sampler);
        self.follows_local_parent = true;
        self
    }

    /// Sets the id generator. By default ids are random.
    pub fn with_id_generator(mut self, ids: impl IdGenerator + 'static) -> Self {
        self.ids = Box::new(ids);
        self
    }

    /// Sets how many attributes, events and links a span may have.
    pub fn with_span_limits(mut self, limits: SpanLimits) -> Self {
        self.limits.span = limits;
        self
    }

    pub(crate) fn with_value_length(mut self, characters: Option<usize>) -> Self {
        self.limits.value_length = characters;
        self
    }

    /// Sets the resource. It is empty by default.
    pub fn with_resource(mut self, resource: Resource) -> Self {
        self.resource = Some(resource);
        self
    }

    /// Builds the provider.
    pub fn build(self) -> TracerProvider {
        let scopes = Scopes::default();
        // The first one, whose id is known.
        let ours = scopes.id(&own_scope());
        debug_assert_eq!(ours, ScopeId::OURS);
        TracerProvider(Arc::new(Shared {
            limits: self.limits,
            scopes,
            observers: self.observers,
            open: self.sink.map(OpenBuffers::new),
            sampler: self.sampler,
            follows_local_parent: self.follows_local_parent,
            ids: self.ids,
            resource: self.resource.unwrap_or_else(|| Resource::builder_empty().build()),
            is_shut_down: AtomicBool::new(false),
        }))
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

/// A tracer of a [`TracerProvider`].
#[derive(Clone)]
pub struct Tracer {
    provider: Arc<Shared>,
    scope: ScopeId,
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("scope", &self.provider.scopes.get(self.scope)).finish()
    }
}

impl opentelemetry::trace::Tracer for Tracer {
    type Span = Span;

    fn build_with_context(&self, builder: SpanBuilder, parent: &Context) -> Span {
        self.provider.start(self.scope, builder, parent)
    }
}

/// Whether a span is recorded, and what the sampler adds to it.
struct Decision {
    is_recording: bool,
    is_sampled: bool,
    attributes: Vec<opentelemetry::KeyValue>,
    state: TraceState,
}

impl Shared {
    /// Starts a span.
    pub(super) fn start(self: &Arc<Self>, scope: ScopeId, builder: SpanBuilder, parent: &Context) -> Span {
        if parent.is_telemetry_suppressed() || self.is_shut_down() {
            return Span::unrecorded(SpanContext::NONE);
        }
        let parent_span = parent.span();
        let above = parent_span.span_context();
        let has_parent = above.is_valid();
        let trace_id = if has_parent { above.trace_id() } else { self.ids.new_trace_id() };
        let span_id = self.ids.new_span_id();
        let decision = if self.follows_local_parent && has_parent && !above.is_remote() {
            let is_sampled = above.is_sampled();
            Decision {
                is_recording: is_sampled,
                is_sampled,
                attributes: Vec::new(),
                state: above.trace_state().clone(),
            }
        } else {
            self.sample(&builder, parent, trace_id)
        };
        let flags = above.trace_flags().with_sampled(decision.is_sampled);
        let context = SpanContext::new(trace_id, span_id, flags, false, decision.state);
        if !decision.is_recording {
            return Span::unrecorded(context);
        }
        let known = if has_parent { local::buffer_of(parent) } else { None };
        let known = known.filter(|buffer| buffer.trace_id() == trace_id && Arc::ptr_eq(buffer.provider(), self));
        let (buffer, role) = match known {
            Some(buffer) => (buffer, Role::Below),
            None if !has_parent || above.is_remote() => (TraceBuffer::new(trace_id, self), Role::LocalRoot),
            None => (TraceBuffer::new(trace_id, self), Role::First),
        };
        let mut fields = Fields::new();
        for attribute in builder.attributes.iter().flatten().chain(&decision.attributes) {
            fields.set(&self.limits, attribute.key.as_str(), &attribute.value);
        }
        if scope != ScopeId::OURS {
            // The tags of our own spans are among their attributes.
            for tag in Data::of(parent).map_or(&[][..], |data| &data.tags) {
                if !fields.has(tag.key.as_str()) {
                    fields.set(&self.limits, tag.key.as_str(), &tag.value);
                }
            }
        }
        for event in builder.events.into_iter().flatten() {
            fields.add_event(
                &self.limits,
                &event.name,
                nanos(event.timestamp),
                event.attributes,
                event.dropped_attributes_count,
            );
        }
        for link in builder.links.into_iter().flatten() {
            fields.add_link(&self.limits, &link.span_context, link.attributes, link.dropped_attributes_count);
        }
        let record = Record {
            scope,
            role,
            name: builder.name,
            kind: builder.span_kind.unwrap_or(SpanKind::Internal),
            parent: above.span_id(),
            is_parent_remote: has_parent && above.is_remote(),
            start: nanos(builder.start_time.unwrap_or_else(time::now)),
            status: Status::Unset,
            fields,
        };
        let mut span = Span::recording(context, buffer, record);
        if !self.observers.is_empty() {
            self.observe_start(&mut span, parent);
        }
        span
    }

    #[cold]
    fn observe_start(&self, span: &mut Span, parent: &Context) {
        use opentelemetry::trace::Span as _;
        for observer in &self.observers {
            let Some(data) = span.data_so_far() else { return };
            let added = observer.started(&data, parent);
            span.set_attributes(added);
        }
    }

    #[cold]
    fn sample(&self, builder: &SpanBuilder, parent: &Context, trace_id: opentelemetry::TraceId) -> Decision {
        let result = self.sampler.should_sample(
            Some(parent),
            trace_id,
            &builder.name,
            builder.span_kind.as_ref().unwrap_or(&SpanKind::Internal),
            builder.attributes.as_deref().unwrap_or_default(),
            builder.links.as_deref().unwrap_or_default(),
        );
        Decision {
            is_recording: result.decision != SamplingDecision::Drop,
            is_sampled: result.decision == SamplingDecision::RecordAndSample,
            attributes: result.attributes,
            state: result.trace_state,
        }
    }
}
