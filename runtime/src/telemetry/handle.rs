//! The value that `init` returns.

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use opentelemetry_sdk::trace::SdkTracerProvider;

use super::export::ExportHandle;
use super::open_spans;
use super::{ExportStats, OpenSpan};
use crate::span::registry::Table;

/// How many values of `init` exist that record.
pub(super) static ACTIVE: AtomicUsize = AtomicUsize::new(0);

/// Telemetry that is initialized. Keep it until the end of `main`, and [shut it down](Self::shutdown) there.
///
/// Dropping it, as a panic in `main` does, ends and marks the spans that are still open and flushes for five seconds
/// at most. It does not wait for detached jobs, because it would block the worker thread that they may need.
#[must_use = "dropping it shuts telemetry down"]
pub struct Telemetry {
    pub(super) provider: Option<SdkTracerProvider>,
    pub(super) export: Option<ExportHandle>,
    pub(super) open_spans: Option<Arc<Table>>,
    /// Ends the thread that watches open spans where there is no export thread.
    _watch: Option<mpsc::Sender<Infallible>>,
    pub(super) is_shut_down: bool,
    /// The thread that shuts the provider down.
    pub(super) shutdown_thread: Option<JoinHandle<()>>,
}

impl Telemetry {
    pub(super) fn new(
        provider: SdkTracerProvider,
        export: Option<ExportHandle>,
        open_spans: Option<Arc<Table>>,
        watch: Option<mpsc::Sender<Infallible>>,
    ) -> Self {
        Self { provider: Some(provider), export, open_spans, _watch: watch, is_shut_down: false, shutdown_thread: None }
    }

    pub(super) fn disabled() -> Self {
        Self {
            provider: None,
            export: None,
            open_spans: None,
            _watch: None,
            is_shut_down: false,
            shutdown_thread: None,
        }
    }

    /// The tracer provider, for libraries that take one. `None` if telemetry is disabled by `OTEL_SDK_DISABLED`.
    pub fn provider(&self) -> Option<&SdkTracerProvider> {
        self.provider.as_ref()
    }

    /// What became of the spans since [`init`](super::init()). All zero if nothing is exported. Takes the lock of the
    /// queue for a moment.
    pub fn export_stats(&self) -> ExportStats {
        self.export.as_ref().map(ExportHandle::stats).unwrap_or_default()
    }

    /// How many finished spans are queued or in flight: at most [`Builder::max_queue_size`]. Takes no lock.
    ///
    /// [`Builder::max_queue_size`]: super::Builder::max_queue_size
    pub fn queue_len(&self) -> usize {
        self.export.as_ref().map_or(0, ExportHandle::queue_len)
    }

    /// The spans of Throughline that are open now, oldest first; at most [`Builder::max_open_spans`].
    ///
    /// [`Builder::max_open_spans`]: super::Builder::max_open_spans
    pub fn open_spans(&self) -> Vec<OpenSpan> {
        self.open_spans.as_deref().map(open_spans::list).unwrap_or_default()
    }

    /// How many spans were not tracked since the start of the process, because there was no room for them: a shutdown
    /// does not end them.
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
