//! Spans of our own tracer, which are encoded from the start.

use std::panic::Location;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;

use crate::context::current;
use crate::context::data::{self, Data};
use crate::context::encoder::Encoder;
use crate::context::local;
use crate::span::callsite::Callsite;
use crate::span::handle::{Scope, Span, Start, is_off, opened};
use crate::span::outcome::ExplicitAttributes;
use crate::span::tracer;
use crate::tags::draft::Draft;
use crate::tags::scoped::{EncodedTags, ScopedTags};
use crate::tags::set::{NeededTags, Tags};

/// What becomes of a call below the current context.
pub(super) enum Call {
    /// It is not recorded; some tags may be needed nevertheless.
    Off(Option<NeededTags>),
    Encoded(Box<Draft>),
    Listed,
}

/// Looks once at the current context, because each look costs as much as an attribute.
#[inline(never)]
pub(super) fn call(callsite: &'static Callsite, place: Option<&'static Location<'static>>) -> Call {
    current::with(|current| {
        if is_off(current) {
            return Call::Off(NeededTags::below(current));
        }
        draft(current, callsite, place).map_or(Call::Listed, Call::Encoded)
    })
}

/// Encodes the tags of a span with this parent, if its tracer is our own. Otherwise adds what describes the code.
pub(super) fn prepare(
    tags: &mut Tags,
    parent: &Context,
    callsite: &'static Callsite,
    place: Option<&'static Location<'static>>,
) {
    match draft(parent, callsite, place) {
        Some(draft) => tags.encode(draft),
        None => tags.describe(callsite.described(place)),
    }
}

/// `None` if the tracer below `parent` is not our own, or has to see the attributes first.
#[inline]
fn draft(
    parent: &Context,
    callsite: &'static Callsite,
    place: Option<&'static Location<'static>>,
) -> Option<Box<Draft>> {
    let data = Data::of(parent);
    let limits = tracer::with_encoder(data, |encoder| encoder.limits(parent))??;
    let mut draft = Draft::below(limits, data, local::inherited(parent));
    draft.code = callsite.code();
    if draft.code.count() == 0 {
        draft.set_all(callsite.described(place));
    }
    Some(draft)
}

/// Starts a span below the current context, if no code of the application's is called by that: without copying the
/// context.
#[inline]
pub(super) fn begin_in_current(start: &mut Start, tags: &mut Tags) -> Option<Span> {
    if !tags.is_plain() {
        return None;
    }
    let started = current::with(|current| {
        let start_span = |encoder: &dyn Encoder| {
            if !encoder.is_plain() {
                return None;
            }
            let (mut draft, scope, rebased) = tags.take_draft(current)?;
            let explicit = ExplicitAttributes::given(&draft.fields, scope.as_ref());
            draft.describe(&start.name, &start.kind);
            let is_sampled = current.span().span_context().is_sampled();
            let spare = if is_sampled { None } else { scope.clone() };
            Some((
                encoder.start(draft, start.links.take(), scope, rebased.as_ref().unwrap_or(current)),
                explicit,
                spare,
            ))
        };
        tracer::with_encoder(Data::of(current), start_span).flatten()
    });
    let (started, explicit, spare) = started?;
    let Some(context) = started else {
        let current = current::get();
        tracer::warn_if_not_set_up(&current);
        return Some(Span(if spare.is_none() { Scope::Off } else { Scope::Within(with_tags(&current, spare)) }));
    };
    if !context.span().span_context().is_sampled() {
        return Some(Span(Scope::Within(with_tags(&context, spare))));
    }
    Some(opened(context, start, explicit, &[]))
}

/// Starts a span below `parent`, if its tags were encoded. See [`begin`](super::handle::begin).
#[inline]
pub(super) fn begin(start: &mut Start, tags: &mut Tags, parent: &Context, changed: bool) -> Option<Span> {
    let (mut draft, scope, rebased) = tags.take_draft(parent)?;
    let explicit = ExplicitAttributes::given(&draft.fields, scope.as_ref());
    draft.describe(&start.name, &start.kind);
    let base = rebased.as_ref().unwrap_or(parent);
    // Where the span turns out not to be recorded, the context has to carry the tags.
    let spare = if parent.span().span_context().is_sampled() { None } else { scope.clone() };
    let links = start.links.take();
    let started = tracer::with_encoder(Data::of(parent), |encoder| encoder.start(draft, links, scope, base)).flatten();
    let Some(context) = started else {
        tracer::warn_if_not_set_up(parent);
        let is_same = rebased.is_none() && spare.is_none() && !changed;
        return Some(Span(if is_same { Scope::Off } else { Scope::Within(with_tags(base, spare)) }));
    };
    let span = context.span();
    if !span.span_context().is_sampled() && !span.is_recording() {
        return Some(Span(Scope::Within(with_tags(&context, spare))));
    }
    Some(opened(context, start, explicit, &tags.take_missing()))
}

fn with_tags(context: &Context, tags: Option<EncodedTags>) -> Context {
    match tags {
        Some(tags) => data::edit(context, |data| data.set_tags(ScopedTags::Encoded(tags), context)),
        None => context.clone(),
    }
}
