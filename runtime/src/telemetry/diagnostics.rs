//! Self-diagnostics: messages of this crate about itself.
//!
//! Messages are `tracing` events. Without a subscriber, the first warning of each kind is written to standard error, so
//! that failing exports do not go unnoticed.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

use opentelemetry::Context;
use tracing::dispatcher;
use tracing::subscriber::NoSubscriber;

use crate::guard::panics::caught;
use crate::tracer::{over_limit, records_nothing};

pub(crate) const TARGET: &str = "throughline";

/// The maximum number of messages kept until there is a subscriber. Each call of `init` logs at most five.
const MAX_DEFERRED: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warn,
}

/// The kinds of warnings, each of which is written to standard error once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Warning {
    NoExport,
    Refused,
    Shed,
    Dropped,
    LeftBehind,
    NotACollector,
    Shutdown,
    /// A warning of the collector.
    Collector,
    /// A span that exceeds a limit.
    OverLimit,
}

/// Messages that `init` logged before there was a subscriber, which is common because a subscriber may need the
/// provider.
static DEFERRED: Mutex<Vec<(Level, String)>> = Mutex::new(Vec::new());

/// The kinds of warnings that were written to standard error.
static WRITTEN: AtomicU16 = AtomicU16::new(0);

/// Whether this thread has a subscriber: its own, or the global one.
fn has_subscriber() -> bool {
    dispatcher::has_been_set() && dispatcher::get_default(|subscriber| !subscriber.is::<NoSubscriber>())
}

/// Logs a message now, or as soon as there is a subscriber.
pub(crate) fn defer(level: Level, text: String) {
    let mut deferred = DEFERRED.lock().unwrap_or_else(PoisonError::into_inner);
    if deferred.len() < MAX_DEFERRED {
        deferred.push((level, text));
    }
    drop(deferred);
    log_deferred();
}

/// Logs deferred messages, and warnings that other threads have left for this one. Called regularly.
pub(crate) fn log_deferred() {
    #[cfg(feature = "tracing")]
    if let Some(text) = crate::tracing_layer::switched_off::warning() {
        warn_in_any_case(text);
    }
    for text in over_limit::unlogged() {
        warn(Warning::OverLimit, text);
    }
    if has_subscriber() {
        for (level, text) in take_deferred() {
            match level {
                Level::Info => info(text),
                Level::Warn => emit(|| tracing::warn!(target: TARGET, "{text}")),
            }
        }
    }
}

/// Writes deferred warnings to standard error, because there will be no subscriber anymore.
pub(crate) fn write_deferred() {
    log_deferred();
    for (_, text) in take_deferred().into_iter().filter(|(level, _)| *level == Level::Warn) {
        write(text);
    }
}

fn take_deferred() -> Vec<(Level, String)> {
    std::mem::take(&mut *DEFERRED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Calls `log`, which emits an event. On the export thread, telemetry is suppressed so that requests are not traced.
/// This lifts the suppression, because the SDK would also discard the log record of the event. If the subscriber panics,
/// for example because its output is closed, the message is lost, and nothing else.
pub(crate) fn emit(log: impl FnOnce()) {
    let _not_suppressed = records_nothing().then(|| Context::new().attach());
    let _ = caught(log);
}

pub(crate) fn info(text: impl fmt::Display) {
    emit(|| tracing::info!(target: TARGET, "{text}"));
}

pub(crate) fn warn(kind: Warning, text: impl fmt::Display) {
    if has_subscriber() {
        return emit(|| tracing::warn!(target: TARGET, "{text}"));
    }
    let bit = 1 << kind as u16;
    if WRITTEN.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
        write(format_args!("{text} (further warnings of this kind need a `tracing` subscriber)"));
    }
}

/// Logs a warning that must not be missed: if the subscriber filters it out, it is written to standard error.
#[cfg(feature = "tracing")]
fn warn_in_any_case(text: impl fmt::Display) {
    if has_subscriber() && tracing::enabled!(target: TARGET, tracing::Level::WARN) {
        emit(|| tracing::warn!(target: TARGET, "{text}"));
    } else {
        write(text);
    }
}

fn write(text: impl fmt::Display) {
    // Not `eprintln`, which panics if standard error is closed.
    let _ = writeln!(io::stderr(), "throughline: {text}");
}
