//! Starting a child of the current span, as most spans are.

use std::panic::Location;

use crate::context::current;
use crate::span::callsite::Callsite;
#[cfg(feature = "sdk")]
use crate::span::encoded;
use crate::span::handle::{self, Span, Start, is_off};
use crate::span::no_provider;
use crate::tags::set::{NeededTags, Tags};

/// Starts a child of the current span. `start` is only called if it is recorded.
#[inline]
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
        return Span(handle::unrecorded(current::with(NeededTags::below), fill));
    }
    if is_first && no_provider::is_lost_first() {
        // Without a provider, contexts still have tags: a provider may be set below.
        return Span(handle::unrecorded(callsite.has_scoped_tags.then_some(NeededTags::ForLogs), fill));
    }
    #[cfg(feature = "sdk")]
    if is_first {
        draft = current::with(|current| encoded::draft(current, callsite, place));
    }
    #[cfg(feature = "sdk")]
    if let Some(draft) = draft {
        return encoded::start(start(), draft, fill);
    }
    begin_listed(start(), Tags::of(callsite.described(place)), fill)
}

#[inline(never)]
fn begin_listed(start: Start, mut tags: Tags, fill: &mut dyn FnMut(&mut Tags)) -> Span {
    fill(&mut tags);
    // A clone: samplers and span processors may make a context current.
    let current = current::get();
    handle::begin(start, tags, &current, false)
}
