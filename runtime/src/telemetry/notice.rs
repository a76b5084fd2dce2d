//! What is told, through `tracing`. Where nobody listens, the first warning of each kind goes to standard error.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use tracing::dispatcher;
use tracing::subscriber::NoSubscriber;

pub(super) const TARGET: &str = "throughline";

/// So many texts wait for a subscriber at most. Each call of `init` has three at most.
const MOST_EARLY: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Info,
    Warn,
}

/// Of each kind one warning is written where there is no subscriber.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Silent,
    Refused,
    Shed,
    Dropped,
    Left,
    Page,
    Report,
}

/// What `init` says, which often comes before there is a subscriber, and nobody has heard yet.
static EARLY: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

/// The kinds that were written.
static WRITTEN: AtomicU8 = AtomicU8::new(0);

/// Whether there is a subscriber on this thread: its own, or that of all.
fn is_heard() -> bool {
    dispatcher::has_been_set() && dispatcher::get_default(|subscriber| !subscriber.is::<NoSubscriber>())
}

/// Tells now, or as soon as there is a subscriber.
pub(super) fn early(level: Level, text: String) {
    let mut early = EARLY.lock().unwrap_or_else(PoisonError::into_inner);
    if early.len() < MOST_EARLY {
        early.push((level, text));
    }
    drop(early);
    tell();
}

/// Tells what has waited for a subscriber.
pub(super) fn tell() {
    if is_heard() {
        for (level, text) in take_early() {
            match level {
                Level::Info => info(text),
                Level::Warn => tracing::warn!(target: TARGET, "{text}"),
            }
        }
    }
}

/// Nobody will listen any more: writes the warnings that have waited.
pub(super) fn give_up_waiting() {
    tell();
    for (_, text) in take_early().into_iter().filter(|(level, _)| *level == Level::Warn) {
        write(text);
    }
}

fn take_early() -> Vec<(Level, String)> {
    std::mem::take(&mut *EARLY.lock().unwrap_or_else(PoisonError::into_inner))
}

pub(super) fn info(text: impl fmt::Display) {
    tracing::info!(target: TARGET, "{text}");
}

/// Warns. Without a subscriber, what would be lost for good must not go unnoticed: one warning of each kind is
/// written.
pub(super) fn warn(kind: Kind, text: impl fmt::Display) {
    if is_heard() {
        tracing::warn!(target: TARGET, "{text}");
        return;
    }
    let bit = 1 << kind as u8;
    if WRITTEN.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
        write(format_args!("{text} (written once: without a `tracing` subscriber, warnings are not shown)"));
    }
}

fn write(text: impl fmt::Display) {
    // One that is closed is no reason to fail.
    let _ = writeln!(io::stderr(), "throughline: {text}");
}
