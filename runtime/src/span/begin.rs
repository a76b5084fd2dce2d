//! Starting a child of the current span, as most spans are.

use std::panic::Location;

use opentelemetry::Context;

use crate::context::current;
use crate::span::callsite::Callsite;
#[cfg(feature = "sdk")]
use crate::span::encoded;
use crate::span::handle::{self, Span, Start, is_off};
use crate::span::no_provider;
use crate::tags::set::{NeededTags, Tags};

/// What the current context tells of a span that starts below it.
enum Standing {
    /// It is not recorded, but some of its tags may be needed.
    Off { needs_tags: bool },
    /// It is the first one, and goes to the provider of the process, if there is any.
    First,
    /// It is recorded, or the tracer decides.
    Below,
}

impl Standing {
    #[inline]
    fn of(context: &Context) -> Self {
        if is_off(context) {
            Self::Off { needs_tags: NeededTags::are_any(context) }
        } else if no_provider::is_plain(context) {
            Self::First
        } else {
            Self::Below
        }
    }
}

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
    let standing = current::with(|current| {
        let standing = Standing::of(current);
        #[cfg(feature = "sdk")]
        if matches!(standing, Standing::Below) {
            draft = encoded::draft(current, callsite, place);
        }
        standing
    });
    match standing {
        Standing::Below => {}
        Standing::Off { needs_tags } => {
            let needed = needs_tags.then(|| current::with(NeededTags::below)).flatten();
            return Span(handle::unrecorded(needed, fill));
        }
        Standing::First => {
            if no_provider::is_lost_first() {
                // Without a provider, contexts still have tags: a provider may be set below.
                let needed = callsite.has_scoped_tags.then_some(NeededTags::ForLogs);
                return Span(handle::unrecorded(needed, fill));
            }
            #[cfg(feature = "sdk")]
            {
                draft = current::with(|current| encoded::draft(current, callsite, place));
            }
        }
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
