//! Warnings of `init`, which often comes before there is a log.

use std::sync::{Mutex, PoisonError};

use tracing::dispatcher::has_been_set;

/// Warnings that nobody has heard yet. Few: each call of `init` has two at most.
static EARLY: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Warns now, or as soon as there is a subscriber.
pub(super) fn warn(text: String) {
    EARLY.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    tell();
}

/// Tells what has waited for a subscriber.
pub(super) fn tell() {
    if has_been_set() {
        let early = std::mem::take(&mut *EARLY.lock().unwrap_or_else(PoisonError::into_inner));
        for text in early {
            tracing::warn!("{text}");
        }
    }
}
