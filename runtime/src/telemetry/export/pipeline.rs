//! The sink of the tracer, which passes finished spans to the export thread.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use super::control::{Control, wait_for_thread};
use super::exporter::BatchExporter;
use super::monitor::Monitor;
use super::queue::Queue;
use super::stats::ExportStats;
use super::worker::{TICK, Worker};
use crate::guard::panics::caught;
use crate::guard::reentrance::Busy;
use crate::telemetry::InitError;
use crate::telemetry::audit::LiveAudit;
use crate::telemetry::config::BatchConfig;
use crate::telemetry::diagnostics::{self, Warning};
use crate::telemetry::open_spans::OpenSpanWatch;
use crate::telemetry::text::count;
use crate::tracer::encoded::{EncodedSpans, Scopes, SpanSink};
use crate::tracer::{Shared, record_nothing};

/// The maximum number of name lookups at the same time. A lookup goes on when its request has timed out, and so there may
/// be several if no name server responds.
const MAX_LOOKUPS: usize = 8;

/// What the export thread is started with.
pub(crate) struct Pipeline {
    pub(crate) queue: Arc<Queue>,
    pub(crate) batch: BatchConfig,
    /// The name of the collector in messages.
    pub(crate) collector: String,
    pub(crate) open_spans: Option<OpenSpanWatch>,
    pub(crate) audit: Option<LiveAudit>,
}

/// Exports the spans of a tracer provider in batches.
pub(crate) struct BatchExport {
    handle: ExportHandle,
    batch: BatchConfig,
    source: Arc<Source>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The ID of the process that owns the thread.
    process: u32,
}

/// The tracer provider whose spans are exported.
#[derive(Default)]
pub(super) struct Source(OnceLock<(Weak<Shared>, Arc<Scopes>)>);

impl Source {
    /// Hands over the spans of traces that have been running for longer than a tick. The queue decides what happens to
    /// them, because it knows how full it is.
    pub(super) fn hand_over_old(&self) {
        self.with_provider(|provider| {
            if let Some(open) = provider.open_buffers() {
                open.hand_over_old(1);
            }
        });
    }

    /// Hands over all spans that have ended.
    pub(super) fn hand_over_all(&self) {
        self.with_provider(|provider| {
            if let Some(open) = provider.open_buffers() {
                open.hand_over_all();
            }
        });
    }

    fn with_provider(&self, f: impl FnOnce(&Shared)) {
        if let Some(provider) = self.0.get().and_then(|(provider, _)| provider.upgrade()) {
            f(&provider);
        }
    }

    /// The scopes of the provider. Before it is built, there are none, and no spans.
    pub(super) fn scopes(&self) -> Arc<Scopes> {
        self.0.get().map(|(_, scopes)| Arc::clone(scopes)).unwrap_or_default()
    }
}

/// The application's handle to the export.
#[derive(Clone)]
pub(crate) struct ExportHandle {
    queue: Arc<Queue>,
    control: Arc<Control>,
}

impl ExportHandle {
    pub(crate) fn stats(&self) -> ExportStats {
        // A traced allocator would record spans here, and push to the queue while it is locked.
        let _busy = Busy::begin();
        self.queue.stats()
    }

    pub(crate) fn queue_len(&self) -> usize {
        self.queue.len()
    }

    /// Waits until the export thread is done, for `timeout` at most.
    pub(crate) fn wait_closed(&self, timeout: Duration) {
        self.control.wait_closed(timeout);
    }

    /// Counts everything that was not exported as left behind.
    fn close(&self) {
        self.queue.close();
        self.control.close();
    }
}

/// Runs when the export thread ends, even by a panic: counts spans that were not exported as left behind, and releases
/// everyone who waits for the thread.
struct Finish(ExportHandle);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.close();
        self.0.control.release_flushes();
    }
}

impl BatchExport {
    /// Starts the export thread with its own runtime, so that no worker thread of the application waits for a
    /// collector, whatever the application's runtime. `build` creates the exporter within that runtime.
    pub(crate) fn start<E, B>(pipeline: Pipeline, build: B) -> Result<Self, InitError>
    where
        E: BatchExporter,
        B: FnOnce() -> Result<E, InitError> + Send + 'static,
    {
        let Pipeline { queue, batch, collector, open_spans, audit } = pipeline;
        let handle = ExportHandle { queue: Arc::clone(&queue), control: Arc::default() };
        let finish = Finish(handle.clone());
        let source = Arc::<Source>::default();
        let monitor = Monitor::new(Arc::clone(&queue), collector, &batch, open_spans);
        let (started, is_started) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("throughline-export".to_owned()).spawn({
            let source = Arc::clone(&source);
            move || {
                // The exporter's own requests are not traced.
                let _suppressed = Context::enter_telemetry_suppressed_scope();
                record_nothing();
                let finish = finish;
                // Built here, because a runtime must not be dropped within another one.
                let runtime = match tokio::runtime::Builder::new_current_thread()
                    // Covers the blocking threads, on which names are resolved.
                    .on_thread_start(record_nothing)
                    .thread_keep_alive(Duration::MAX)
                    .max_blocking_threads(MAX_LOOKUPS)
                    .enable_all()
                    .build()
                {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(started.send(Err(InitError::Thread(error)))),
                };
                // The first of these threads is started now, and never stops: later, the system may have no more
                // threads, and Tokio panics if there is none.
                if caught(|| drop(runtime.spawn_blocking(|| ()))).is_none() {
                    let error = io::Error::other("none is left for name lookups");
                    return drop(started.send(Err(InitError::Thread(error))));
                }
                runtime.block_on(async {
                    let exporter = match build() {
                        Ok(exporter) => exporter,
                        Err(error) => return drop(started.send(Err(error))),
                    };
                    if started.send(Ok(())).is_ok() {
                        let control = &finish.0.control;
                        Worker::new(&queue, control, &batch, &source, exporter, monitor, audit).run().await;
                    }
                });
                // Does not wait for name lookups on blocking threads.
                runtime.shutdown_background();
            }
        });
        let thread = thread.map_err(InitError::Thread)?;
        match is_started.recv() {
            Ok(Ok(())) => {
                let process = std::process::id();
                Ok(Self { handle, batch, source, thread: Mutex::new(Some(thread)), process })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(InitError::Thread(io::Error::other("it panicked before it was ready"))),
        }
    }

    pub(crate) fn handle(&self) -> ExportHandle {
        self.handle.clone()
    }

    /// Whether this is a fork of the process that has the export thread: threads do not survive a fork.
    fn is_forked(&self) -> bool {
        std::process::id() != self.process
    }

    /// Counts everything as left behind, because a fork has no export thread to wait for.
    fn give_up(&self) -> OTelSdkError {
        if self.handle.control.is_closed() {
            return OTelSdkError::AlreadyShutdown;
        }
        self.handle.close();
        let left_behind = count(self.handle.stats().left_behind, "span");
        let text = format!(
            "{left_behind} not exported: the process was forked after `throughline::init`, and has no export thread; \
             call `init` in the child"
        );
        diagnostics::warn(Warning::LeftBehind, &text);
        OTelSdkError::InternalFailure(text)
    }
}

impl SpanSink for BatchExport {
    fn attach(&self, provider: &Arc<Shared>) {
        let _ = self.source.0.set((Arc::downgrade(provider), Arc::clone(provider.scopes())));
    }

    fn push(&self, spans: &EncodedSpans<Vec<u8>>) {
        let ready = self.handle.queue.offer(spans);
        let threshold = self.batch.export_threshold();
        if ready.after / threshold > ready.before / threshold {
            self.handle.control.batch_is_full();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        if self.is_forked() {
            return Err(self.give_up());
        }
        self.handle.control.flush(self.batch.export_timeout)
    }

    fn shutdown(&self, timeout: Duration) -> OTelSdkResult {
        if self.is_forked() {
            return Err(self.give_up());
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return Err(OTelSdkError::AlreadyShutdown) };
        self.handle.control.shut_down(timeout);
        if thread.thread().id() == thread::current().id() {
            // The last handle of the provider was dropped on the export thread, which cannot wait for itself.
            return Ok(());
        }
        // The thread observes the timeout itself, unless a custom exporter blocks it.
        if wait_for_thread(&thread, timeout.saturating_add(TICK)) {
            let _ = thread.join();
        } else {
            self.handle.close();
        }
        match self.handle.stats().left_behind {
            0 => Ok(()),
            _ => Err(OTelSdkError::Timeout(timeout)),
        }
    }
}

impl fmt::Debug for BatchExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchExport").field("queue_len", &self.handle.queue.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::super::exporter::{Batch, Discard, Outcome};
    use super::super::queue::QueueLimits;
    use super::*;

    /// Far longer than anything takes.
    const TIMEOUT: Duration = Duration::from_secs(60);

    /// Starts an export, and pushes one span.
    fn started<E: BatchExporter>(
        batch: BatchConfig,
        build: impl FnOnce() -> Result<E, InitError> + Send + 'static,
    ) -> BatchExport {
        let queue = Arc::new(Queue::new(QueueLimits { spans: 100, bytes: 1 << 20 }));
        let pipeline = Pipeline { queue, batch, collector: "the collector".to_owned(), open_spans: None, audit: None };
        let export = BatchExport::start(pipeline, build).unwrap_or_else(|error| panic!("{error}"));
        export.push(&EncodedSpans::complete(1, 1, vec![0; 9]));
        export
    }

    /// An export with a delay so long that the span stays queued.
    fn export() -> BatchExport {
        started(BatchConfig { schedule_delay: Duration::from_secs(3600), ..BatchConfig::default() }, || Ok(Discard))
    }

    #[test]
    fn a_fork_does_not_wait_for_the_thread() {
        type End = fn(&BatchExport) -> OTelSdkResult;
        let ends: [End; 2] = [|export| export.shutdown(Duration::MAX), |export| export.force_flush()];
        for end in ends {
            let mut export = export();
            let process = std::mem::replace(&mut export.process, 0);
            let error = end(&export).expect_err("nothing is exported").to_string();
            assert!(error.contains("1 span not exported: the process was forked"), "{error}");
            assert_eq!(export.handle().stats().left_behind, 1);
            assert!(matches!(end(&export), Err(OTelSdkError::AlreadyShutdown)), "it is only reported once");
            export.process = process;
            let _ = export.shutdown(Duration::MAX);
        }
    }

    /// An exporter whose export never completes, and which panics when a shutdown begins. Nothing catches that panic.
    struct Panics(mpsc::Sender<()>);

    impl BatchExporter for Panics {
        async fn export(&self, _: Batch<'_>, _: &dyn Fn(Outcome)) {
            let _ = self.0.send(());
            pending::<()>().await;
        }

        fn shutdown_begins(&self, _: Duration) {
            panic!("of the export thread");
        }
    }

    #[test]
    fn a_flush_does_not_wait_for_a_thread_that_has_panicked() {
        let (begin, has_begun) = mpsc::channel();
        let batch = BatchConfig { max_export_batch_size: 1, export_timeout: TIMEOUT, ..BatchConfig::default() };
        let export = started(batch, || Ok(Panics(begin)));
        has_begun.recv().expect("a batch is in flight");
        thread::scope(|scope| {
            let flush = scope.spawn(|| export.force_flush());
            // The thread does not take it before the batch is settled.
            while !export.handle.control.has_request() {
                thread::yield_now();
            }
            assert!(export.shutdown(TIMEOUT).is_err(), "a span is left behind");
            assert!(flush.join().expect("no panic").is_ok(), "it has waited until its timeout");
        });
        assert_eq!(export.handle().stats().left_behind, 1);
    }
}
