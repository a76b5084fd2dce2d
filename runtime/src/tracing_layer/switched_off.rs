//! Detects a filter for the whole subscriber, which disables spans before any layer sees them. No layer can prevent
//! that, but it can be detected, because it lowers the maximum level of the subscriber.

#[cfg(feature = "otlp")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tracing::Dispatch;
use tracing::dispatcher::WeakDispatch;
use tracing::level_filters::LevelFilter;

/// The latest subscriber with the layer, and the level of the most verbose spans that the layer would record.
static LATEST: Mutex<Option<(WeakDispatch, LevelFilter)>> = Mutex::new(None);

/// Called when a subscriber with the layer is set up.
pub(super) fn registered(subscriber: &Dispatch, wanted: LevelFilter) {
    let latest = Some((subscriber.downgrade(), wanted));
    let previous = std::mem::replace(&mut *LATEST.lock().unwrap_or_else(PoisonError::into_inner), latest);
    drop(previous);
}

/// Returns a warning, once, if there is a level of spans that cannot reach the layer.
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
    // What is gone does not count for the level.
    let _subscriber = subscriber.upgrade()?;
    if LevelFilter::current() >= wanted {
        return None;
    }
    // It may be just being registered, or its filter may have been changed without telling.
    tracing::callsite::rebuild_interest_cache();
    let passed = LevelFilter::current();
    if passed >= wanted || WARNED.swap(true, Ordering::Relaxed) {
        return None;
    }
    let passed = if passed == LevelFilter::OFF { "none".to_owned() } else { format!("only those up to {passed}") };
    Some(format!(
        "spans of `tracing` are switched off: the tracing layer is to have those up to {wanted}, and a filter for the \
         whole subscriber lets {passed} pass; attach the filter to the layer that writes the log, as in \
         `fmt::layer().with_filter(filter)`, or set what the layer is to have with `tracing_layer::Builder::spans`",
    ))
}
