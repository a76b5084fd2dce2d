//! Starting a span.

use std::borrow::Cow;
#[cfg(feature = "otlp")]
use std::panic::Location;

use opentelemetry::Context;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _};

use crate::context::current;
use crate::context::data::Data;
use crate::span::callsite::Callsite;
#[cfg(feature = "sdk")]
use crate::span::encoded;
use crate::span::handle::{Open, Scope, Span};
use crate::span::outcome::ExplicitAttributes;
#[cfg(feature = "otlp")]
use crate::span::registry;
use crate::span::tracer;
use crate::tags::scoped;
use crate::tags::set::{NeededTags, Tags, report_missing};

/// Returns the scope of a call that is not recorded, with those of its tags that are needed nevertheless.
#[cold]
pub(super) fn unrecorded(needed: Option<NeededTags>, fill: &mut dyn FnMut(&mut Tags)) -> Scope {
    let Some(needed) = needed else { return Scope::Off };
    let mut tags = Tags::default();
    tags.keep_only(needed);
    fill(&mut tags);
    // Most functions have none. Then the context is unchanged.
    if tags.scoped.is_empty() {
        return Scope::Off;
    }
    tags.enrich(&current::get()).map_or(Scope::Off, Scope::Within)
}

/// Replaces the span of code that is called by telemetry itself. In a detached job, telemetry is suppressed: its
/// spans would be roots, and starting them would call the same code again.
#[cold]
pub(crate) fn without_span(detached: bool) -> Span {
    Span(if detached { Scope::Within(Context::new().with_telemetry_suppressed()) } else { Scope::Off })
}

/// What a span starts with, besides its tags and its parent.
pub(super) struct Start {
    pub(super) name: Cow<'static, str>,
    pub(super) kind: SpanKind,
    pub(super) links: Option<Vec<Link>>,
    /// The source location.
    #[cfg(feature = "otlp")]
    pub(super) place: Option<&'static Location<'static>>,
    /// Whether cancellation is recorded.
    pub(super) cancel: bool,
    /// When the span began, if not now.
    #[cfg(feature = "tracing")]
    pub(super) created: Option<std::time::SystemTime>,
}

impl Start {
    /// Drops the value. Unlike the compiler's drop glue, makes no call if it owns nothing.
    #[cfg(feature = "sdk")]
    #[inline]
    pub(super) fn discard(self) {
        if matches!(self.name, Cow::Borrowed(_)) && self.links.is_none() {
            std::mem::forget(self);
        }
    }

    /// What the span of a function starts with.
    #[inline]
    pub(super) fn of(callsite: &'static Callsite) -> Self {
        Self {
            name: Cow::Borrowed(callsite.name),
            kind: callsite.kind.clone(),
            links: None,
            #[cfg(feature = "otlp")]
            place: callsite.place,
            cancel: callsite.cancel,
            #[cfg(feature = "tracing")]
            created: None,
        }
    }
}

/// Starts a span below `parent`. `changed` means that the context of `parent` differs from the current one and has to
/// be made current even without a span.
#[inline]
pub(super) fn begin(mut start: Start, mut tags: Tags, parent: &Context, changed: bool) -> Span {
    #[cfg(feature = "sdk")]
    if let Some(span) = encoded::begin(&mut start, &mut tags, parent, changed) {
        return span;
    }
    tags.prefer_explicit();
    let enriched = tags.finish(parent, &scoped::of(parent).list());
    let (explicit, missing) = (ExplicitAttributes::among(tags.explicit()), tags.take_missing());
    // A struct literal, because the setters would drop the previous values.
    let builder = opentelemetry::trace::SpanBuilder {
        name: start.name.clone(),
        span_kind: Some(start.kind.clone()),
        attributes: Some(tags.own),
        links: start.links.take(),
        #[cfg(feature = "tracing")]
        start_time: start.created,
        ..opentelemetry::trace::SpanBuilder::default()
    };

    let base = enriched.as_ref().unwrap_or(parent);
    let source = Data::of(parent).and_then(|data| data.source.as_ref());
    let started = match source {
        Some(source) => source.start(builder, base),
        None => tracer::start(builder, base),
    };
    let Some(context) = started else {
        return Span(match enriched {
            Some(enriched) => Scope::Within(enriched),
            None if changed => Scope::Within(parent.clone()),
            None => Scope::Off,
        });
    };
    let span = context.span();
    // Sampled spans always record; others may.
    if !span.span_context().is_sampled() && !span.is_recording() {
        return Span(Scope::Within(context));
    }
    opened(context, &start, explicit, &missing)
}

/// Returns the handle of a span that has started.
#[inline(always)]
pub(super) fn opened(context: Context, start: &Start, explicit: ExplicitAttributes, missing: &[&'static str]) -> Span {
    if !missing.is_empty() {
        report_missing(missing, &context);
    }
    #[cfg(feature = "otlp")]
    let ticket = registry::list(&context, &start.name, start.place);
    Span(Scope::Open(Open {
        context,
        done: false,
        cancel: start.cancel,
        #[cfg(feature = "sdk")]
        is_own: false,
        explicit,
        #[cfg(feature = "otlp")]
        ticket,
    }))
}
