//! Prints each finished trace as a tree in the terminal.
//!
//! ```
//! use throughline::console::Console;
//! use throughline::telemetry::TracerProvider;
//!
//! let provider = TracerProvider::builder().with_span_processor(Console::stderr()).build();
//! throughline::install(&provider);
//!
//! throughline::in_span("checkout", || throughline::in_span("pay", || ()));
//! // trace 4bf92f3577b34da6a3ce929d0e0e4736 · 12.3 ms · 2 spans
//! // checkout  12.3 ms
//! // └── pay    8.1 ms
//! # provider.shutdown().unwrap();
//! ```
//!
//! A line shows the span's name, its kind unless that is internal, its duration, its error, panic or cancellation,
//! the start of a detached job relative to the trace, the tags, and the links. Attributes that describe the code or
//! the transport (`code.*`, `url.*`, `http.*`, `messaging.*`, `db.*` and others) are not shown, except for the HTTP
//! status, the size of a batch, and whether a message was redelivered. Control characters, and others that could
//! disguise a line, are [escaped](crate::text::needs_escape).

mod buffer;
mod format;

use std::fmt;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use self::buffer::{Part, TraceBuffer};
use crate::guard::panics::caught;
use crate::tracer::{Additions, SpanObserver};

/// The approximate limit for text that is waiting to be written.
const MAX_QUEUED_BYTES: usize = 1 << 20;

/// How long `force_flush` waits for a write that blocks.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// A span processor that prints each trace as a tree once all of its spans have ended.
///
/// For development and small tools. A trace waits for its open spans, but not indefinitely: see
/// [`max_wait`](Self::max_wait). `force_flush` and `shutdown` print open spans too, marked `… still running`. Spans
/// that end after their trace was printed are printed as a separate tree, under a line that names the trace that it
/// continues.
///
/// At most 1,024 traces are buffered, with 10,000 spans each. Beyond that the oldest trace, or the spans buffered so
/// far, are printed early, and the first line counts the spans that were omitted. Output that is closed or too slow
/// does not block other threads; excess text is dropped.
pub struct Console {
    shared: Mutex<Shared>,
    /// Notified when a thread has finished writing.
    written: Condvar,
    hold: bool,
}

struct Shared {
    traces: TraceBuffer,
    /// Trees that wait to be written, each with the start of its trace.
    queue: Vec<(SystemTime, String)>,
    queued_bytes: usize,
    /// Trees that were dropped because the queue was full.
    dropped: usize,
    /// `None` while a thread is writing. It does so without the lock, so that a slow terminal only blocks that thread,
    /// and a writer that starts spans itself does not deadlock.
    out: Option<Box<dyn Write + Send>>,
    /// The thread that is writing.
    writer: Option<ThreadId>,
}

impl Console {
    /// Creates a console that prints to standard output, in colour if that is a terminal and `NO_COLOR` is not set. Use
    /// it only if the output of the program is not parsed, because the trees appear between its lines.
    pub fn stdout() -> Self {
        Self::new(anstream::stdout())
    }

    /// Creates a console that prints to standard error, in colour if that is a terminal and `NO_COLOR` is not set. This
    /// is what `throughline::init` uses.
    pub fn stderr() -> Self {
        Self::new(anstream::stderr())
    }

    /// Creates a console that prints to `writer`, without colour.
    pub fn with_writer(writer: impl Write + Send + 'static) -> Self {
        Self::new(anstream::StripStream::new(Box::new(writer) as Box<dyn Write + Send>))
    }

    fn new(out: impl Write + Send + 'static) -> Self {
        let shared = Shared {
            traces: TraceBuffer::default(),
            queue: Vec::new(),
            queued_bytes: 0,
            dropped: 0,
            out: Some(Box::new(out)),
            writer: None,
        };
        Self { shared: Mutex::new(shared), written: Condvar::new(), hold: false }
    }

    /// Sets how long a trace waits for detached jobs after its root has ended: five seconds by default. It is then
    /// printed with the jobs that are still running.
    ///
    /// A trace whose root span stays open, such as that of a loop, is printed `so far` when one of its ended spans has
    /// waited that long, and at least five seconds. Each further wait is twice as long, up to 64 times the first one,
    /// and only new spans are printed, below their ancestors.
    ///
    /// There is no timer: the waits are checked whenever a span of any trace ends.
    #[must_use]
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.shared.get_mut().unwrap_or_else(PoisonError::into_inner).traces.max_wait = max_wait;
        self
    }

    /// Buffers the trees until `force_flush` or `shutdown` is called, or until they take a megabyte, and prints them in
    /// the order in which the traces started. For programs with other output.
    #[must_use]
    pub fn hold(mut self) -> Self {
        self.hold = true;
        self
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Like `lock`, but returns `None` if the caller is called by the writer. Its spans are not printed, because that
    /// would cause further ones, and it cannot wait for itself.
    fn enter(&self) -> Option<MutexGuard<'_, Shared>> {
        Some(self.lock()).filter(|shared| shared.writer.is_none_or(|writer| writer != thread::current().id()))
    }

    /// Writes the queue, unless another thread is writing, which then checks the queue again when it is done.
    fn write<'a>(&'a self, mut shared: MutexGuard<'a, Shared>) -> MutexGuard<'a, Shared> {
        while !shared.queue.is_empty() {
            let Some(mut out) = shared.out.take() else { break };
            shared.writer = Some(thread::current().id());
            let trees = std::mem::take(&mut shared.queue);
            shared.queued_bytes = 0;
            let dropped = std::mem::take(&mut shared.dropped);
            drop(shared);
            // If a pipe is closed, or the writer panics, these trees are lost, and the program continues.
            let _ = caught(|| write_all(&mut out, trees, dropped));
            shared = self.lock();
            (shared.out, shared.writer) = (Some(out), None);
            self.written.notify_all();
        }
        shared
    }

    fn print<'a>(
        &'a self,
        mut shared: MutexGuard<'a, Shared>,
        parts: impl IntoIterator<Item = Part>,
    ) -> MutexGuard<'a, Shared> {
        for part in parts {
            shared.enqueue(&part);
            if !self.hold || shared.is_full() {
                shared = self.write(shared);
            }
        }
        shared
    }

    fn flush(&self, timeout: Duration) -> OTelSdkResult {
        let Some(mut shared) = self.enter() else { return Ok(()) };
        let parts = shared.traces.flush();
        let shared = self.write(self.print(shared, parts));
        let (shared, _) = self
            .written
            .wait_timeout_while(shared, timeout, |shared| shared.out.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        if shared.out.is_some() { Ok(()) } else { Err(OTelSdkError::Timeout(timeout)) }
    }
}

fn write_all(out: &mut dyn Write, mut trees: Vec<(SystemTime, String)>, dropped: usize) -> io::Result<()> {
    trees.sort_by_key(|(start, _)| *start);
    for (_, tree) in trees {
        out.write_all(tree.as_bytes())?;
    }
    if dropped > 0 {
        let traces = if dropped == 1 { "trace" } else { "traces" };
        writeln!(out, "{dropped} {traces} dropped: the output is too slow")?;
    }
    out.flush()
}

impl Shared {
    fn enqueue(&mut self, part: &Part) {
        if self.is_full() {
            self.dropped += 1;
            return;
        }
        let tree = format::trace(part, opentelemetry::time::now());
        self.queued_bytes += tree.len();
        self.queue.push((part.start, tree));
    }

    fn is_full(&self) -> bool {
        self.queued_bytes >= MAX_QUEUED_BYTES
    }
}

impl Console {
    // A span that is recorded but not sampled is not shown, as it would not be exported.
    fn span_started(&self, data: SpanData) {
        if !data.span_context.is_sampled() {
            return;
        }
        if let Some(mut shared) = self.enter() {
            let part = shared.traces.span_started(data);
            drop(self.print(shared, part));
        }
    }

    fn span_ended(&self, data: SpanData) {
        if !data.span_context.is_sampled() {
            return;
        }
        if let Some(mut shared) = self.enter() {
            let parts = shared.traces.span_ended(data, Instant::now());
            drop(self.print(shared, parts));
        }
    }
}

impl SpanProcessor for Console {
    fn on_start(&self, span: &mut Span, _context: &Context) {
        if let Some(data) = span.exported_data() {
            self.span_started(data);
        }
    }

    fn on_end(&self, data: SpanData) {
        self.span_ended(data);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(FLUSH_TIMEOUT)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.flush(timeout)
    }
}

impl SpanObserver for Console {
    fn started(&self, span: &SpanData, _parent: &Context) -> Additions {
        self.span_started(span.clone());
        Additions::default()
    }

    fn ended(&self, span: &SpanData) {
        self.span_ended(span.clone());
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(FLUSH_TIMEOUT)
    }

    fn shutdown(&self, timeout: Duration) -> OTelSdkResult {
        self.flush(timeout)
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("hold", &self.hold).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
