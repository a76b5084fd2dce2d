//! The fast path for calls of annotated functions that are not recorded.

use crate::context::current::{self, is_off};
use crate::guard::reentrance::{Busy, is_busy};
use crate::span::callsite::Callsite;
use crate::span::{no_provider, tracer};

/// Whether the span of a function would not be recorded and nothing else needs its tags. Such a call costs only this
/// read of the current context.
#[inline]
pub(crate) fn is_unrecorded(callsite: &'static Callsite) -> bool {
    if callsite.log || callsite.has_scoped_tags {
        return false;
    }
    // Within telemetry itself, such as in a `Display` implementation, there are no spans either.
    if is_busy() {
        return true;
    }
    // `Some(true)` if nothing is recorded, `Some(false)` if that depends only on the global provider.
    let known =
        |current: &_| if is_off(current) { Some(true) } else { no_provider::is_plain(current).then_some(false) };
    match current::peek(known).flatten() {
        Some(is_off) => is_off || (!tracer::is_installed() && is_lost()),
        None => false,
    }
}

#[inline(never)]
fn is_lost() -> bool {
    let _busy = Busy::begin();
    no_provider::is_lost_first()
}
