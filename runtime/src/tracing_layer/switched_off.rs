//! Detects a filter for the whole subscriber that disables spans before any layer sees them. No layer can prevent that,
//! but it can be detected, because such a filter lowers the maximum level of the subscriber.

#[cfg(feature = "otlp")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tracing::Dispatch;
use tracing::dispatcher::WeakDispatch;
use tracing::level_filters::LevelFilter;

/// The most recent subscriber with the layer, and the most verbose level of spans that the layer records.
static LATEST: Mutex<Option<(WeakDispatch, LevelFilter)>> = Mutex::new(None);

/// Called when a subscriber with the layer is set up.
pub(super) fn registered(subscriber: &Dispatch, wanted: LevelFilter) {
    let latest = Some((subscriber.downgrade(), wanted));
    let previous = std::mem::replace(&mut *LATEST.lock().unwrap_or_else(PoisonError::into_inner), latest);
    drop(previous);
}

/// Returns a warning, once, if spans of some level that the layer records cannot reach it.
///
/// Sound, but not complete: the level of the process is the most verbose one of all its subscribers, and a filter may
/// also select by target.
#[cfg(feature = "otlp")]
pub(crate) fn warning() -> Option<String> {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if WARNED.load(Ordering::Relaxed) {
        return None;
    }
    let (subscriber, wanted) = LATEST.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    // A subscriber that has been dropped does not affect the level.
    let _subscriber = subscriber.upgrade()?;
    if LevelFilter::current() >= wanted {
        return None;
    }
    // The cached level may be stale: the subscriber is just being registered, or its filter was changed.
    tracing::callsite::rebuild_interest_cache();
    let passed = LevelFilter::current();
    if passed >= wanted || WARNED.swap(true, Ordering::Relaxed) {
        return None;
    }
    let passed = if passed == LevelFilter::OFF { "none".to_owned() } else { format!("only those up to {passed}") };
    Some(format!(
        "spans of `tracing` are disabled: the tracing layer records those up to {wanted}, but a filter for the whole \
         subscriber lets {passed} pass; attach the filter to the layer that writes the log, as in \
         `fmt::layer().with_filter(filter)`, or set the spans to record with `tracing_layer::Builder::spans`",
    ))
}
