//! Starting a span: the common case of a child of the current span, and settings that most spans do not have, such as
//! an explicit parent, links, and tags that are set one by one.

use std::panic::Location;

#[cfg(feature = "integration")]
use opentelemetry::trace::TraceId;
use opentelemetry::trace::{Link, SpanContext, TraceContextExt as _};
use opentelemetry::{Context, KeyValue, Value};

use crate::context::current::{self, is_off};
use crate::context::data;
use crate::context::origin::{Origin, Origins};
use crate::context::snapshot::Snapshot;
use crate::guard::panics::caught;
use crate::guard::reentrance::Busy;
#[cfg(feature = "propagation")]
use crate::span::batch::Batch;
use crate::span::callsite::Callsite;
#[cfg(feature = "sdk")]
use crate::span::encoded;
use crate::span::handle::{Scope, Span};
use crate::span::no_provider;
#[cfg(feature = "integration")]
use crate::span::requested_id;
use crate::span::start::{self, Start, unrecorded};
use crate::tags::set::{NeededTags, Tag, Tags};
use crate::tags::value::TagValue;

/// Starts a child of the current span. `start` is only called if it is recorded.
#[inline(always)]
pub(super) fn begin_here(
    callsite: &'static Callsite,
    place: Option<&'static Location<'static>>,
    start: impl FnOnce() -> Start,
    fill: &mut dyn FnMut(&mut Tags),
) -> Span {
    #[cfg(feature = "sdk")]
    let mut draft = None;
    let (is_off, is_first) = current::with(|current| {
        let seen = (is_off(current), no_provider::is_plain(current));
        #[cfg(feature = "sdk")]
        if seen == (false, false) {
            draft = encoded::draft(current, callsite, place);
        }
        seen
    });
    if is_off {
        return Span(unrecorded(current::with(NeededTags::below), fill));
    }
    if is_first && no_provider::is_lost_first() {
        // Without a provider, contexts still have tags: a provider may be set below.
        return Span(unrecorded(callsite.has_scoped_tags.then_some(NeededTags::ForLogs), fill));
    }
    #[cfg(feature = "sdk")]
    if is_first {
        draft = current::with(|current| encoded::other_draft(current, callsite, place));
    }
    #[cfg(feature = "sdk")]
    if let Some(draft) = draft {
        return encoded::start(start(), draft, fill);
    }
    let mut tags = Tags::of(callsite.described(place));
    fill(&mut tags);
    // A clone: samplers and span processors may make a context current.
    start::begin(start(), tags, &current::get(), false)
}

/// Settings that most spans do not have.
#[derive(Debug, Default)]
pub(super) struct More {
    pub(super) parent: Parent,
    /// The trace ID to request, if this span starts a trace.
    #[cfg(feature = "integration")]
    pub(super) trace_id: Option<TraceId>,
    links: Vec<Link>,
    /// Tags that are propagated to other processes.
    pub(super) propagated: Tags,
    pub(super) own: Vec<(&'static str, Option<Value>)>,
    pub(super) scoped: Vec<(&'static str, Option<Value>)>,
    /// Attributes by which the parent and the links describe themselves.
    pub(super) described: Vec<KeyValue>,
}

#[derive(Debug, Default)]
pub(super) enum Parent {
    /// The current span.
    #[default]
    Current,
    /// No parent; the current span is linked.
    Root,
    /// This context's span; the current span is linked.
    Given(Context),
    /// This context's span, without a link to the current one: for detached jobs.
    Detached(Context),
}

/// Starts a span with settings of its own.
pub(super) fn begin_with(
    mut start: Start,
    mut more: More,
    callsite: &'static Callsite,
    place: Option<&'static Location<'static>>,
    fill: &mut dyn FnMut(&mut Tags),
) -> Span {
    // Whether the settings matter only if the span is recorded.
    let is_plain = matches!(more.parent, Parent::Current) && more.propagated.is_empty();
    if is_plain && current::with(|current| is_off(current) && !NeededTags::are_any(current)) {
        return Span(Scope::Off);
    }
    let (parent, changed) = more.parent();
    if is_off(&parent) {
        return more.off(parent, changed, fill);
    }
    #[cfg(feature = "sdk")]
    encoded::prepare(&mut more.propagated, &parent, callsite, place);
    #[cfg(not(feature = "sdk"))]
    more.propagated.describe(callsite.described(place));
    more.fill(fill);
    for attribute in std::mem::take(&mut more.described) {
        // Attributes set in code take precedence over those that describe the message.
        if !more.propagated.sets(&attribute.key) {
            more.propagated.push(attribute);
        }
    }
    start.links = (!more.links.is_empty()).then_some(more.links);
    #[cfg(feature = "integration")]
    let _requested = more.trace_id.map(requested_id::request_trace_id);
    start::begin(start, more.propagated, &parent, changed)
}

/// The value of a tag; `None` if telemetry is active on this thread, because then no span will be started.
pub(super) fn converted(value: impl TagValue) -> Option<Value> {
    let busy = Busy::begin();
    if busy.is_nested() { None } else { caught(|| value.tag_value()).flatten() }
}

/// Adds a tag, replacing an earlier one with the same key.
pub(super) fn replace(tags: &mut Vec<(&'static str, Option<Value>)>, key: &'static str, value: Option<Value>) {
    tags.retain(|(known, _)| *known != key);
    tags.push((key, value));
}

impl More {
    pub(super) fn continue_from<M>(&mut self, origin: &(impl Origin<M> + ?Sized)) {
        let given = origin.origin();
        if !is_off(&given) {
            origin.describe(&mut self.described);
        }
        self.parent = Parent::Given(given);
    }

    pub(super) fn link<M>(&mut self, origin: &(impl Origin<M> + ?Sized)) {
        let mut described = Vec::new();
        origin.describe(&mut described);
        self.add_link(&origin.origin(), described);
    }

    pub(super) fn links<M>(&mut self, origins: impl Origins<M>) {
        #[cfg(feature = "propagation")]
        let mut batch = Batch::default();
        origins.each(|origin| {
            let mut described = Vec::new();
            origin.describe(&mut described);
            #[cfg(feature = "propagation")]
            if origin.is_message() {
                batch.add(&described);
            }
            self.add_link(&origin.origin(), described);
        });
        #[cfg(feature = "propagation")]
        batch.describe(&mut self.described);
    }

    fn add_link(&mut self, context: &Context, described: Vec<KeyValue>) {
        let span = context.span();
        if span.span_context().is_valid() {
            self.links.push(Link::new(span.span_context().clone(), described, 0));
        }
    }

    /// The parent context, and whether it differs from the current one.
    pub(super) fn parent(&mut self) -> (Context, bool) {
        match std::mem::take(&mut self.parent) {
            Parent::Current => (current::get(), false),
            Parent::Root => {
                let current = current::get();
                add_current_link(&mut self.links, &current, &SpanContext::NONE);
                (Snapshot::from_context(&current).without_span().to_context(), true)
            }
            Parent::Given(context) => {
                let current = current::get();
                #[cfg(feature = "integration")]
                if self.is_parent_missing(&current, &context) {
                    self.described.push(KeyValue::new(crate::semconv::THROUGHLINE_PARENT_MISSING, true));
                }
                add_current_link(&mut self.links, &current, context.span().span_context());
                // Keeps the provider of the current context, if it has one.
                let context = data::with_source_of(&current, context);
                let is_suppressed = current.is_telemetry_suppressed();
                (if is_suppressed { context.with_telemetry_suppressed() } else { context }, true)
            }
            Parent::Detached(context) => (context, true),
        }
    }

    /// Whether the message has no context, so that only the link to the current span would connect the span to a trace.
    #[cfg(feature = "integration")]
    fn is_parent_missing(&self, current: &Context, given: &Context) -> bool {
        self.links.is_empty() && current.has_active_span() && !given.span().span_context().is_valid()
    }

    /// Adds the tags that were set one by one, and those of `fill`.
    fn fill(&mut self, fill: impl FnOnce(&mut Tags)) {
        for (key, value) in std::mem::take(&mut self.own) {
            self.propagated.add(key, || Tag::new(value));
        }
        for (key, value) in std::mem::take(&mut self.scoped) {
            self.propagated.scope(key, || Tag::new(value));
        }
        fill(&mut self.propagated);
    }

    /// Applies all settings without starting a span.
    fn off(mut self, parent: Context, changed: bool, fill: impl FnOnce(&mut Tags)) -> Span {
        if let Some(needed) = NeededTags::below(&parent) {
            self.propagated.keep_only(needed);
            self.fill(fill);
        }
        Span(match self.propagated.enrich(&parent) {
            Some(enriched) => Scope::Within(enriched),
            None if changed => Scope::Within(parent),
            None => Scope::Off,
        })
    }
}

fn add_current_link(links: &mut Vec<Link>, current: &Context, parent: &SpanContext) {
    let span = current.span();
    let span = span.span_context();
    if span.is_valid() && (span.span_id() != parent.span_id() || span.trace_id() != parent.trace_id()) {
        links.push(Link::with_context(span.clone()));
    }
}
