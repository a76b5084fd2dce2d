//! The tracer provider, and its tracers.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Link, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::SamplingDecision;

use super::buffer::TraceBuffer;
use super::builder::TracerProviderBuilder;
use super::exporting;
use super::recent;
use super::shared::{Provider, Shared};
use super::span::Span;
use crate::clock::{self, nanos};
use crate::context::data::Data;
use crate::context::encoder::Encoder;
use crate::context::local;
use crate::context::snapshot::Snapshot;
use crate::encoding::{Role, ScopeId};
use crate::span::tracer::is_own_span;
use crate::tags::draft::Draft;

/// An implementation of OpenTelemetry's `TracerProvider` that encodes spans for export while they are recorded.
/// [`init`](crate::init) and [`Capture`](crate::testing::Capture) use it.
///
/// Use it like the SDK's provider: pass it to libraries that take a provider or a tracer, or set it as OpenTelemetry's
/// global one. It differs from the SDK's provider as follows:
///
/// - An attribute that is set twice has the last value, as the specification says ("Set Attributes"); the SDK keeps
///   both. The same holds for the attributes of an event or a link.
/// - Spans have the tags of `#[biz_tags]` that are in scope where they start, as
///   [`TagProcessor`](crate::telemetry::TagProcessor) gives them to the SDK's.
/// - The status `Ok` is final, and a later `Error` replaces an earlier one, unless it has no description. The SDK keeps
///   the one whose text sorts last.
/// - A link that is not valid is ignored unless it has attributes or a trace state ("Link"); the SDK keeps it.
/// - To a sampler, a span whose parent is not valid is a root span; the SDK's `ParentBased` follows such a parent, and
///   the span gets its trace state.
/// - A span that is not sampled keeps the other flags of its parent, such as the random trace ID flag; the SDK drops
///   them.
/// - Span processors see what is exported: times before 1970 or after 2554 are clamped to the range of OTLP, and an
///   empty array is an array of strings, because OTLP does not encode an element type. In `on_start`, a processor sees
///   neither the status that an earlier processor has set nor the dropped counts, and a span that a processor ends
///   there ends after all of them have been called.
/// - Spans of at most 4,096 instrumentation scopes are told apart. Those of tracers with further ones have a scope that
///   is named `(other)`.
/// - After the shutdown, a span has the span context of its parent, as that of a no-op tracer has ("Shutdown"), so that
///   the context is still propagated; the SDK's has none.
/// - `telemetry.sdk.*` of the resource names Throughline.
///
/// Cloning is cheap; all clones refer to the same provider. It is shut down when the last clone and the last of its
/// tracers and open spans are dropped.
#[derive(Debug, Clone)]
pub struct TracerProvider(pub(super) Arc<Provider>);

impl TracerProvider {
    /// Returns a builder for a provider. Without a span processor or exporter, its spans are discarded.
    pub fn builder() -> TracerProviderBuilder {
        TracerProviderBuilder::default()
    }

    /// Flushes all span processors and exports the spans that have ended. Blocks until that is done; the provider of
    /// `init` waits for at most `OTEL_BSP_EXPORT_TIMEOUT`.
    ///
    /// # Errors
    ///
    /// Returns an error if the export did not finish in time, or if a processor reported an error.
    pub fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    /// Exports the spans that have ended and shuts the provider down. Blocks for at most `timeout` for the export, and
    /// passes `timeout` to each span processor. Spans that start later are not recorded.
    ///
    /// # Errors
    ///
    /// Returns an error if not everything could be exported within `timeout`, or if the provider was already shut down.
    pub fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shut_down(timeout)
    }

    /// Shuts the provider down with a timeout of five seconds. See
    /// [`shutdown_with_timeout`](Self::shutdown_with_timeout).
    ///
    /// # Errors
    ///
    /// Returns the errors of [`shutdown_with_timeout`](Self::shutdown_with_timeout).
    pub fn shutdown(&self) -> OTelSdkResult {
        self.shutdown_with_timeout(Duration::from_secs(5))
    }

    /// Returns the resource of the spans of this provider.
    pub fn resource(&self) -> &Resource {
        &self.0.resource
    }

    /// Whether the span of `context` is one of this provider, or not one of Throughline's.
    #[cfg(feature = "otlp")]
    pub(crate) fn may_have_started(&self, context: &Context) -> bool {
        let buffer = local::above(context).and_then(|above| Arc::downcast::<TraceBuffer>(above.buffer).ok());
        buffer.is_none_or(|buffer| buffer.provider().is_of(&self.0))
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.0.shared()
    }
}

impl opentelemetry::trace::TracerProvider for TracerProvider {
    type Tracer = Tracer;

    fn tracer_with_scope(&self, scope: InstrumentationScope) -> Tracer {
        Tracer { scope: self.0.scopes.id(&scope), provider: Arc::clone(&self.0) }
    }
}

/// A tracer of a [`TracerProvider`].
#[derive(Clone)]
pub struct Tracer {
    provider: Arc<Provider>,
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

impl Encoder for Tracer {
    #[inline]
    fn draft(&self, parent: &Context, data: Option<&Arc<Data>>) -> Option<Box<Draft>> {
        let provider = &self.provider;
        if provider.samples_by_attributes && !provider.follows(parent) {
            return None;
        }
        Some(provider.draft(parent, data))
    }

    #[inline]
    fn is_plain(&self) -> bool {
        self.provider.is_plain
    }

    fn start(&self, mut draft: Box<Draft>, parent: &Context) -> Context {
        let provider = &self.provider;
        (draft.scope, draft.role) = (self.scope, Role::Detached);
        if !provider.follows(parent) || parent.is_telemetry_suppressed() || provider.is_shut_down() {
            return provider.start_undecided(draft, parent);
        }
        let context = provider.context_below(parent.span().span_context());
        if context.is_sampled() {
            return begun(provider, provider.record(draft, None, context, parent), parent);
        }
        draft.recycle();
        parent.with_span(Span::unrecorded(context))
    }
}

/// The trace buffer of the span of `parent`. If the draft relied on the cache of [`recent`], the span has to be queried
/// now: other spans may have started on this thread while the attributes of this one were computed.
#[inline(never)]
fn buffer_above(draft: &mut Box<Draft>, parent: &Context) -> Option<Arc<TraceBuffer>> {
    if draft.recent.is_some() {
        draft.above = local::above(parent);
    }
    let above = draft.above.take()?;
    Arc::downcast::<TraceBuffer>(above.buffer).ok()
}

/// The context of a span that has started below `parent`.
#[inline(always)]
fn begun(provider: &Shared, mut span: Span, parent: &Context) -> Context {
    provider.observe(&mut span, parent);
    let is_cached = span.cache_inherited();
    let context = parent.with_span(span);
    if is_cached {
        recent::started(&context);
    }
    context
}

/// Stands for a parent that is not valid, from which neither a span ID nor flags are inherited.
static NO_PARENT: SpanContext = SpanContext::NONE;

/// The baggage, the tags and the extensions of a context.
#[cold]
fn without_span(context: &Context) -> Context {
    Snapshot::from_context(context).without_span().to_context()
}

/// The span context of a span of OpenTelemetry's API where nothing may be recorded. After a shutdown, it is that of the
/// parent, as a no-op tracer returns it ("Shutdown", "Behavior of the API in the absence of an installed SDK"), so that
/// services that are called then still continue the trace. Our own functions leave the parent's context current.
#[cold]
fn passed_through(parent: &Context) -> SpanContext {
    let above = parent.span();
    let above = above.span_context();
    let is_passed = above.is_valid() && !parent.is_telemetry_suppressed() && !is_own_span();
    if is_passed { above.clone() } else { SpanContext::NONE }
}

/// The IDs of a span, and whether it is recorded.
struct Identity {
    context: SpanContext,
    is_recording: bool,
    /// Attributes that the sampler adds.
    attributes: Vec<KeyValue>,
}

impl Provider {
    /// Starts a span for OpenTelemetry's API.
    fn start(&self, scope: ScopeId, mut builder: SpanBuilder, parent: &Context) -> Span {
        let kind = builder.span_kind.clone().unwrap_or(SpanKind::Internal);
        let attributes = builder.attributes.take().unwrap_or_default();
        let links = builder.links.take();
        let linked = links.as_deref().unwrap_or_default();
        let Some(identity) = self.identity(parent, &builder.name, &kind, &attributes, linked) else {
            return Span::unrecorded(passed_through(parent));
        };
        if !identity.is_recording {
            return Span::unrecorded(identity.context);
        }
        let mut draft = self.draft(parent, Data::of(parent));
        draft.set_all(attributes);
        draft.set_all(identity.attributes);
        for event in builder.events.into_iter().flatten() {
            let dropped = event.dropped_attributes_count;
            draft.fields.add_event(&event.name, nanos(event.timestamp), event.attributes, dropped);
        }
        // Spans of OpenTelemetry's API are not marked as detached, as in the SDK.
        (draft.scope, draft.role) = (scope, Role::First);
        (draft.name, draft.kind) = (builder.name, kind);
        draft.links = links.unwrap_or_default();
        draft.inherit();
        let mut span = self.record(draft, builder.start_time, identity.context, parent);
        self.observe(&mut span, parent);
        span
    }

    /// Starts a span that needs a sampling decision, or that may not be recorded at all.
    #[inline(never)]
    fn start_undecided(&self, mut draft: Box<Draft>, parent: &Context) -> Context {
        let Some(identity) = self.identity(parent, &draft.name, &draft.kind, &[], &draft.links) else {
            draft.recycle();
            return parent.with_span(Span::unrecorded(SpanContext::NONE));
        };
        if identity.is_recording {
            draft.set_all(identity.attributes);
            return begun(self, self.record(draft, None, identity.context, parent), parent);
        }
        draft.recycle();
        parent.with_span(Span::unrecorded(identity.context))
    }

    #[inline(always)]
    fn record(
        &self,
        mut draft: Box<Draft>,
        start_time: Option<SystemTime>,
        context: SpanContext,
        parent: &Context,
    ) -> Span {
        let parent_span = parent.span();
        let mut parent_span = parent_span.span_context();
        let recent = if draft.recent.is_some() { recent::buffer(parent) } else { None };
        let known = recent.or_else(|| buffer_above(&mut draft, parent));
        let known = known.filter(|known| known.trace_id() == context.trace_id() && known.provider().is_of(self));
        let buffer = if let Some(buffer) = known {
            draft.role = Role::Below;
            buffer
        } else {
            if !parent_span.is_valid() {
                parent_span = &NO_PARENT;
            }
            draft.role = if !parent_span.is_valid() || parent_span.is_remote() {
                Role::LocalRoot
            } else if draft.role == Role::Detached && local::may_ask() && !parent.span().is_recording() {
                Role::Detached
            } else {
                Role::First
            };
            TraceBuffer::new(context.trace_id(), self.reference())
        };
        if !draft.links.is_empty() {
            for link in std::mem::take(&mut draft.links) {
                draft.fields.add_link(&link.span_context, link.attributes, link.dropped_attributes_count);
            }
        }
        // `code.*` attributes take precedence over inherited tags if there is no room for both.
        let is_truncated = self.limits.value_length.is_some();
        if is_truncated || !draft.fields.reserve(draft.code.count()) {
            draft.spell_out_code();
        }
        // Deferred tags are already among the fields, so room is only needed for inherited ones.
        let tags = draft.tags.take();
        draft.has_tags = tags.as_ref().is_none_or(|tags| !is_truncated && draft.fields.reserve(tags.count()));
        if let (false, Some(tags)) = (draft.has_tags, &tags) {
            tags.add_to(&mut draft.fields);
        }
        draft.parent = parent_span.span_id();
        draft.is_parent_remote = parent_span.is_remote();
        draft.starts_now = start_time.is_none();
        draft.latest = 0;
        let start_time = start_time.map(nanos);
        #[cfg(feature = "tracing")]
        let start_time = start_time.or_else(|| draft.begun.take());
        draft.start = start_time.unwrap_or_else(clock::now);
        // Constructed in the caller's return slot and not read back here: a wide load right after narrow stores stalls.
        Span::recording(context, buffer, tags, draft)
    }
}

impl Shared {
    #[inline]
    fn draft(&self, parent: &Context, data: Option<&Arc<Data>>) -> Box<Draft> {
        Draft::below(self.limits, data, parent, |draft| recent::inherit(draft, parent))
    }

    /// Whether a span below `parent` inherits the sampling decision of its parent.
    #[inline]
    fn follows(&self, parent: &Context) -> bool {
        let above = parent.span();
        let above = above.span_context();
        self.follows_local_parent && above.is_valid() && !above.is_remote()
    }

    /// The span context of a child that inherits the sampling decision of `above`.
    #[inline]
    fn context_below(&self, above: &SpanContext) -> SpanContext {
        let (span_id, state) = (self.ids.new_span_id(), above.trace_state().clone());
        SpanContext::new(above.trace_id(), span_id, above.trace_flags(), false, state)
    }

    /// Assigns the IDs and makes the sampling decision. `None` if nothing may be recorded at all.
    #[inline]
    fn identity(
        &self,
        parent: &Context,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> Option<Identity> {
        if parent.is_telemetry_suppressed() || self.is_shut_down() {
            return None;
        }
        let span = parent.span();
        let has_parent = span.span_context().is_valid();
        let above = if has_parent { span.span_context() } else { &NO_PARENT };
        if !has_parent && exporting::records_nothing() {
            return None;
        }
        if self.follows_local_parent && has_parent && !above.is_remote() {
            let context = self.context_below(above);
            return Some(Identity { is_recording: context.is_sampled(), context, attributes: Vec::new() });
        }
        let trace_id = if has_parent { above.trace_id() } else { self.ids.new_trace_id() };
        let span_id = self.ids.new_span_id();
        // Samplers check whether there is an active span, and read its trace state, but not whether it is valid.
        let without_span = (!has_parent && parent.has_active_span()).then(|| without_span(parent));
        let parent = without_span.as_ref().unwrap_or(parent);
        let result = self.sampler.should_sample(Some(parent), trace_id, name, kind, attributes, links);
        let is_sampled = result.decision == SamplingDecision::RecordAndSample;
        let flags = above.trace_flags().with_sampled(is_sampled);
        Some(Identity {
            context: SpanContext::new(trace_id, span_id, flags, false, result.trace_state),
            is_recording: result.decision != SamplingDecision::Drop,
            attributes: result.attributes,
        })
    }

    #[inline]
    fn observe(&self, span: &mut Span, parent: &Context) {
        if !self.observers.is_empty() {
            self.observe_start(span, parent);
        }
    }

    #[cold]
    fn observe_start(&self, span: &mut Span, parent: &Context) {
        use opentelemetry::trace::Span as _;
        let mut end = None;
        for observer in &self.observers {
            let Some(data) = span.data_so_far() else { return };
            let added = observer.started(&data, parent);
            span.set_attributes(added.attributes);
            for event in added.events {
                span.add_event_with_timestamp(event.name, event.timestamp, event.attributes);
            }
            for link in added.links {
                span.add_link(link.span_context, link.attributes);
            }
            if added.status != Status::Unset {
                span.set_status(added.status);
            }
            if let Some(name) = added.name {
                span.update_name(name);
            }
            end = end.or(added.end);
        }
        // Only after all observers have seen the span start.
        if let Some(end) = end {
            span.end_with_timestamp(end);
        }
    }
}
