//! The way of a finished span to its exporter: a queue, and a thread that empties it.
//!
//! The thread has a runtime of its own, so that no worker of the application's ever waits for a
//! collector, whatever flavour of runtime there is, or none.

use std::fmt;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::env::Batching;
use super::queue::Queue;
use super::sender::Sender;
use super::shared::{Handle, Shared, TICK, Watch, has_ended, in_future, locked};
use super::work::{End, Worker};

/// The span processor.
pub(super) struct Pipeline {
    shared: Arc<Shared>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Pipeline {
    /// Starts the thread. `make` builds the exporter in the thread's runtime.
    pub(super) fn start<E, M, X>(queue: Arc<Queue>, batching: Batching, watch: Watch, make: M) -> Result<Self, X>
    where
        E: Sender,
        M: FnOnce() -> Result<E, X> + Send + 'static,
        X: From<std::io::Error> + Send + 'static,
    {
        let shared = Arc::new(Shared::new(queue, batching, watch));
        let (tell, told) = mpsc::sync_channel(1);
        let worker = Arc::clone(&shared);
        let thread = thread::Builder::new().name("throughline-export".to_owned()).spawn(move || {
            // What the exporter does is nobody's trace.
            let _quiet = Context::enter_telemetry_suppressed_scope();
            let _end = End(&worker);
            // Made here, because a runtime must not be dropped within another one.
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error.into()))),
            };
            runtime.block_on(async {
                let exporter = match make() {
                    Ok(exporter) => exporter,
                    Err(error) => return drop(tell.send(Err(error))),
                };
                if tell.send(Ok(())).is_ok() {
                    Worker::new(&worker, exporter).work().await;
                }
            });
            // A connection that does not close must not hold the thread.
            runtime.shutdown_background();
        })?;
        match told.recv() {
            Ok(Ok(())) => Ok(Self { shared, thread: Mutex::new(Some(thread)) }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(std::io::Error::other("the export thread ended before it began").into()),
        }
    }

    pub(super) fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }
}

impl SpanProcessor for Pipeline {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        let ready = self.shared.queue.push(span);
        let enough = self.shared.enough();
        if ready.after / enough > ready.before / enough {
            self.shared.bell.notify_one();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.shared.ask(self.shared.batching.flush_limit, |control, tell| control.flushes.push(tell))
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let Some(thread) = locked(&self.thread).take() else { return Err(OTelSdkError::AlreadyShutdown) };
        locked(&self.shared.control).deadline = Some(in_future(timeout));
        self.shared.bell.notify_one();
        // The thread keeps the time, unless an exporter that is not ours blocks it.
        if has_ended(&thread, timeout.saturating_add(TICK)) {
            let _ = thread.join();
        } else {
            self.shared.leave_behind();
        }
        match self.shared.counts().left_behind {
            0 => Ok(()),
            _ => Err(OTelSdkError::Timeout(timeout)),
        }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("waiting", &self.shared.queue.len()).finish_non_exhaustive()
    }
}
