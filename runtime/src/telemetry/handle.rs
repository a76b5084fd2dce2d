//! The value that `init` returns.

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;
use std::thread::JoinHandle;

use super::audit::LiveAudit;
use super::export::ExportHandle;
use super::open_spans;
use super::{ExportStats, OpenSpan};
use crate::span::registry::Table;
use crate::tracer::TracerProvider;

/// The number of [`Telemetry`] values that exist and are not disabled.
pub(super) static ACTIVE: AtomicUsize = AtomicUsize::new(0);

/// A handle to initialized telemetry.
///
/// Keep it until the end of `main`, and [shut it down](Self::shutdown) there.
///
/// Dropping it, for example because of a panic in `main`, ends and marks the spans that are still open, and flushes the
/// queue with a timeout of five seconds, which blocks the thread. It does not wait for detached jobs, because that
/// could block the worker thread that they need.
#[must_use = "dropping it shuts telemetry down"]
pub struct Telemetry {
    pub(super) provider: Option<TracerProvider>,
    pub(super) export: Option<ExportHandle>,
    /// Whether there is an exporter; spans may also be handed over for the audit alone.
    pub(super) exports: bool,
    pub(super) open_spans: Option<&'static Table>,
    #[cfg_attr(not(feature = "audit"), expect(dead_code, reason = "always `None` without `audit`"))]
    audit: Option<LiveAudit>,
    /// Dropping it ends the thread that watches open spans, which exists if there is no export thread.
    _watch: Option<mpsc::Sender<Infallible>>,
    pub(super) is_shut_down: bool,
    /// The thread that shuts the provider down.
    pub(super) shutdown_thread: Option<JoinHandle<()>>,
}

impl Telemetry {
    pub(super) fn new(
        provider: TracerProvider,
        export: Option<ExportHandle>,
        exports: bool,
        open_spans: Option<&'static Table>,
        audit: Option<LiveAudit>,
        watch: Option<mpsc::Sender<Infallible>>,
    ) -> Self {
        Self {
            provider: Some(provider),
            export,
            exports,
            open_spans,
            audit,
            _watch: watch,
            is_shut_down: false,
            shutdown_thread: None,
        }
    }

    pub(super) fn disabled() -> Self {
        Self {
            provider: None,
            export: None,
            exports: false,
            open_spans: None,
            audit: None,
            _watch: None,
            is_shut_down: false,
            shutdown_thread: None,
        }
    }

    /// Returns the tracer provider, for libraries that need one. `None` if telemetry is disabled by
    /// `OTEL_SDK_DISABLED`.
    pub fn provider(&self) -> Option<&TracerProvider> {
        self.provider.as_ref()
    }

    /// Returns the counts of spans by outcome since [`init`](super::init()). All are zero if nothing is exported.
    ///
    /// This briefly locks the queue.
    pub fn export_stats(&self) -> ExportStats {
        self.export.as_ref().map(ExportHandle::stats).unwrap_or_default()
    }

    /// Returns the number of finished spans that are queued or in flight, which is at most [`Builder::max_queue_size`].
    /// Lock-free.
    ///
    /// [`Builder::max_queue_size`]: super::Builder::max_queue_size
    pub fn queue_len(&self) -> usize {
        self.export.as_ref().map_or(0, ExportHandle::queue_len)
    }

    /// Returns the open spans that are tracked, oldest first; at most [`Builder::max_open_spans`]. Spans that other
    /// libraries start through the OpenTelemetry API are not tracked.
    ///
    /// [`Builder::max_open_spans`]: super::Builder::max_open_spans
    pub fn open_spans(&self) -> Vec<OpenSpan> {
        self.open_spans.map(open_spans::list).unwrap_or_default()
    }

    /// Returns the audit of this process, or `None` if [`Builder::audit`](super::Builder::audit) was not called or
    /// telemetry is disabled. The returned handle remains usable after a shutdown.
    #[cfg(feature = "audit")]
    pub fn audit(&self) -> Option<LiveAudit> {
        self.audit.clone()
    }

    /// Returns the number of spans since the start of the process that were not tracked because the limit
    /// [`Builder::max_open_spans`](super::Builder::max_open_spans) was reached. A shutdown does not end such spans.
    pub fn untracked_open_spans(&self) -> u64 {
        self.open_spans.as_ref().map_or(0, |table| table.missed())
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("enabled", &self.provider.is_some())
            .field("export_stats", &self.export_stats())
            .finish_non_exhaustive()
    }
}
