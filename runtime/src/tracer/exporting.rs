//! Threads whose traces are not recorded.

use std::cell::Cell;

thread_local! {
    static EXPORTS: Cell<bool> = const { Cell::new(false) };
}

/// Disables recording of the traces that start on this thread from now on.
///
/// Called on the export thread. Its HTTP/2 connections open `tracing` spans that are explicit roots, and a bridge to
/// OpenTelemetry starts those in an empty context, in which telemetry is not suppressed.
#[cfg(feature = "otlp")]
pub(crate) fn record_nothing() {
    let _ = EXPORTS.try_with(|exports| exports.set(true));
}

/// Whether recording is disabled for traces that start on this thread.
pub(crate) fn records_nothing() -> bool {
    EXPORTS.try_with(Cell::get).unwrap_or(false)
}
