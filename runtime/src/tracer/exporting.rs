//! Threads whose traces are not recorded.

use std::cell::Cell;

thread_local! {
    static EXPORTS: Cell<bool> = const { Cell::new(false) };
}

/// Disables recording of the traces that start on this thread from now on.
///
/// For the thread of the exporter, whose HTTP/2 connection has spans of `tracing` that are explicitly without a parent:
/// a bridge to OpenTelemetry starts them in an empty context, in which telemetry is not suppressed.
#[cfg(feature = "otlp")]
pub(crate) fn record_nothing() {
    let _ = EXPORTS.try_with(|exports| exports.set(true));
}

/// Whether the traces that start on this thread are not recorded.
pub(crate) fn records_nothing() -> bool {
    EXPORTS.try_with(Cell::get).unwrap_or(false)
}
