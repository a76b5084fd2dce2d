//! Injections of a context without a span, for the audit: the receiver starts a new trace.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;

static IS_OBSERVED: AtomicBool = AtomicBool::new(false);
static PLACES: Mutex<Vec<(&'static Location<'static>, u64)>> = Mutex::new(Vec::new());

/// The maximum number of call sites that are kept between two reports. Injections at further ones are not counted.
const MAX_PLACES: usize = 256;

/// Counts injections from now on.
pub(crate) fn observe() {
    IS_OBSERVED.store(true, Ordering::Relaxed);
}

/// Counts the injection of a context that has no span, unless telemetry is suppressed in it.
#[inline]
#[track_caller]
pub(super) fn note(context: &Context) {
    if IS_OBSERVED.load(Ordering::Relaxed)
        && !context.span().span_context().is_valid()
        && !context.is_telemetry_suppressed()
    {
        count(Location::caller());
    }
}

#[cold]
fn count(place: &'static Location<'static>) {
    let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, count)) = places.iter_mut().find(|(known, _)| *known == place) {
        *count += 1;
    } else if places.len() < MAX_PLACES {
        places.push((place, 1));
    }
}

/// Returns the call sites, with the number of such injections since the last call.
pub(crate) fn take() -> Vec<(&'static Location<'static>, u64)> {
    std::mem::take(&mut *PLACES.lock().unwrap_or_else(PoisonError::into_inner))
}
