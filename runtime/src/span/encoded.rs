//! The fast path for our own tracer, which encodes attributes while they are set.

use std::mem::ManuallyDrop;
use std::panic::Location;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;

use crate::context::current;
use crate::context::data::{self, Data};
use crate::context::encoder::Encoder;
use crate::span::callsite::Callsite;
use crate::span::handle::{Scope, Span};
use crate::span::outcome::ExplicitAttributes;
use crate::span::start::{self, Start, opened};
use crate::span::tracer;
use crate::tags::draft::Draft;
use crate::tags::scoped::{EncodedTags, ScopedTags};
use crate::tags::set::Tags;

/// Encodes the tags of a span with this parent, if its tracer is our own. Otherwise adds the `code.*` attributes.
pub(super) fn prepare(
    tags: &mut Tags,
    parent: &Context,
    callsite: &'static Callsite,
    place: Option<&'static Location<'static>>,
) {
    match other_draft(parent, callsite, place) {
        Some(draft) => tags.encode(draft),
        None => tags.describe(callsite.described(place)),
    }
}

/// Like [`draft`], not inlined into each caller.
#[inline(never)]
pub(super) fn other_draft(
    parent: &Context,
    callsite: &'static Callsite,
    place: Option<&'static Location<'static>>,
) -> Option<Box<Draft>> {
    draft(parent, callsite, place)
}

/// Returns `None` if the tracer for `parent` is not our own, or if its sampler needs the attributes first.
#[inline(always)]
pub(super) fn draft(
    parent: &Context,
    callsite: &'static Callsite,
    place: Option<&'static Location<'static>>,
) -> Option<Box<Draft>> {
    let data = Data::of(parent);
    let mut draft = tracer::with_encoder_mut(data, |encoder| encoder.draft(parent, data))??;
    draft.code = callsite.code();
    if draft.code.count() == 0 {
        describe(&mut draft, callsite, place);
    }
    Some(draft)
}

#[cold]
fn describe(draft: &mut Draft, callsite: &'static Callsite, place: Option<&'static Location<'static>>) {
    draft.set_all(callsite.described(place));
}

/// Starts a span below the current context, with the tags that `fill` adds to its draft.
#[inline(never)]
pub(super) fn start(start: Start, draft: Box<Draft>, fill: &mut dyn FnMut(&mut Tags)) -> Span {
    let mut tags = Tags::encoded(draft);
    fill(&mut tags);
    // Written in place: moving a context right after its construction would cost more than everything else here.
    let mut span = ManuallyDrop::new(Span(Scope::Off));
    let started = if tags.is_plain() {
        current::with(|current| start_plain(&start, &mut tags, current, &mut span))
    } else {
        None
    };
    if started.is_none() {
        return start_other(start, tags);
    }
    if started == Some(false) {
        tracer::warn_if_not_set_up(&current::get());
    }
    tags.discard();
    start.discard();
    ManuallyDrop::into_inner(span)
}

#[cold]
#[inline(never)]
fn start_other(start: Start, tags: Tags) -> Span {
    // A clone: samplers and span processors may make a context current.
    let current = current::get();
    start::begin(start, tags, &current, false)
}

/// Starts a span below the current context without cloning the context. Returns `None` if that might call application
/// code, and otherwise whether the span is valid.
#[inline]
fn start_plain(start: &Start, tags: &mut Tags, current: &Context, span: &mut ManuallyDrop<Span>) -> Option<bool> {
    let start_span = |encoder: &dyn Encoder| {
        // If the span turns out not to be recorded, a context has to carry the tags.
        let may_be_dropped = tags.scopes() && !current.span().span_context().is_sampled();
        if may_be_dropped || !encoder.is_plain() {
            return None;
        }
        let (mut draft, rebased) = tags.take_draft(current)?;
        let explicit = ExplicitAttributes::given(&draft.fields, draft.tags.as_ref());
        draft.describe(&start.name, &start.kind);
        let context = encoder.start(draft, rebased.as_ref().unwrap_or(current));
        let (is_sampled, is_valid) = state(&context);
        if is_sampled {
            *span = ManuallyDrop::new(own(opened(context, start, explicit, &[])));
        } else if is_valid {
            *span = ManuallyDrop::new(Span(Scope::Within(context)));
        }
        Some(is_valid)
    };
    tracer::with_encoder_mut(Data::of(current), start_span).flatten()
}

/// Marks a span as created by our own tracer.
#[inline]
fn own(mut span: Span) -> Span {
    if let Scope::Open(open) = &mut span.0 {
        open.is_own = true;
    }
    span
}

/// Returns whether the span of a new context is sampled, and whether it is valid.
#[inline]
fn state(context: &Context) -> (bool, bool) {
    let span = context.span();
    let span = span.span_context();
    (span.is_sampled() && span.is_valid(), span.is_valid())
}

/// Starts a span below `parent`, if its tags were encoded. See [`begin`](super::start::begin).
#[inline]
pub(super) fn begin(start: &mut Start, tags: &mut Tags, parent: &Context, changed: bool) -> Option<Span> {
    let (mut draft, rebased) = tags.take_draft(parent)?;
    let explicit = ExplicitAttributes::given(&draft.fields, draft.tags.as_ref());
    draft.describe(&start.name, &start.kind);
    let base = rebased.as_ref().unwrap_or(parent);
    // If the span turns out not to be recorded, the context has to carry the tags.
    let spare = if parent.span().span_context().is_sampled() { None } else { draft.all_tags() };
    draft.links = start.links.take().unwrap_or_default();
    let started = tracer::with_encoder(Data::of(parent), |encoder| encoder.start(draft, base));
    let Some(context) = started.filter(|context| state(context).1) else {
        tracer::warn_if_not_set_up(parent);
        let is_same = rebased.is_none() && spare.is_none() && !changed;
        return Some(Span(if is_same { Scope::Off } else { Scope::Within(with_tags(base, spare)) }));
    };
    let span = context.span();
    if !span.span_context().is_sampled() && !span.is_recording() {
        return Some(Span(Scope::Within(with_tags(&context, spare))));
    }
    Some(own(opened(context, start, explicit, &tags.take_missing())))
}

/// Returns `context` with these tags in scope, if there are any.
pub(super) fn with_tags(context: &Context, tags: Option<EncodedTags>) -> Context {
    match tags {
        Some(tags) => data::edit(context, |data| data.set_tags(ScopedTags::Encoded(tags), context)),
        None => context.clone(),
    }
}
