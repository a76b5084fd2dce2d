//! Print each finished trace as a tree in the terminal.
//!
//! ```
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//! use throughline::console::Console;
//! use throughline::telemetry::TagProcessor;
//!
//! let provider = SdkTracerProvider::builder()
//!     .with_span_processor(TagProcessor::new())
//!     .with_span_processor(Console::stderr())
//!     .build();
//! throughline::install(&provider);
//!
//! throughline::in_span("checkout", || throughline::in_span("pay", || ()));
//! // trace 4bf92f3577b34da6a3ce929d0e0e4736 · 12.3 ms · 2 spans
//! // checkout  12.3 ms
//! // └── pay    8.1 ms
//! # provider.shutdown().unwrap();
//! ```
//!
//! A line has the span's name, its kind unless that is internal, its duration, how it ended if not
//! well, where a detached job stands in time, the tags, and the links. What describes the code
//! and the transport (`code.*`, `url.*`, `http.*`, `messaging.*`, `db.*` and the like) is left out, but
//! for the HTTP status, the size of a batch, and that a message was delivered before. The text of a span cannot leave its line: control characters are escaped.

mod picture;
mod traces;

use std::fmt;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use self::traces::{Part, Traces};

/// Text that waits to be written is at most about this long.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// How long `force_flush` waits for a terminal that does not take what it is given.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// A span processor that prints each trace as a tree once all its spans have ended.
///
/// For development and small tools. A trace waits for its spans, but not for ever: see
/// [`patience`](Self::patience). `force_flush` and `shutdown` print what has not ended too, marked
/// `… still running`. What ends after its trace was printed comes as a tree of its own, under a
/// line that says which trace it continues.
///
/// At most 1,024 traces are held, and 10,000 spans of each. Beyond that the oldest trace, or the
/// spans there are, are printed as they stand, and spans that cannot be held are counted in the first
/// line. A terminal that is closed or too slow holds nobody up: what it does not take is dropped.
pub struct Console {
    shared: Mutex<Shared>,
    /// Signals that the writer is back in its place.
    written: Condvar,
    hold: bool,
}

struct Shared {
    traces: Traces,
    /// Trees that wait to be written, each with the start of its trace.
    waiting: Vec<(SystemTime, String)>,
    waiting_bytes: usize,
    /// Trees that were dropped because too many were waiting.
    dropped: usize,
    /// Absent while a thread writes. It does so without the lock, so that a slow terminal stops
    /// only that thread, and spans of the writer itself do not stop it for ever.
    out: Option<Box<dyn Write + Send>>,
}

impl Console {
    /// Prints to standard output; in colour if that is a terminal and `NO_COLOR` is not set. For programs whose
    /// output nobody parses: trees stand between its lines.
    pub fn stdout() -> Self {
        Self::new(anstream::stdout())
    }

    /// Prints to standard error, as [`init`](crate::init) does; in colour if that is a terminal and `NO_COLOR` is
    /// not set.
    pub fn stderr() -> Self {
        Self::new(anstream::stderr())
    }

    /// Prints to `out`, without colour.
    pub fn to(out: impl Write + Send + 'static) -> Self {
        Self::new(anstream::StripStream::new(Box::new(out) as Box<dyn Write + Send>))
    }

    fn new(out: impl Write + Send + 'static) -> Self {
        let shared = Shared {
            traces: Traces::default(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            dropped: 0,
            out: Some(Box::new(out)),
        };
        Self { shared: Mutex::new(shared), written: Condvar::new(), hold: false }
    }

    /// How long after the end of its first span a trace waits for detached jobs; five seconds if
    /// not set. Then it is printed with the jobs that are still running.
    ///
    /// A trace whose first span stays open, such as that of a loop, is printed `so far` when something
    /// in it has ended as long ago as that, and five seconds at least. The next time it takes twice as
    /// long, up to 64 times, and the tree has only what is new, below the spans it belongs to.
    ///
    /// There is no timer: time is looked at when a span ends, of whatever trace.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.shared.get_mut().unwrap_or_else(PoisonError::into_inner).traces.patience = patience;
        self
    }

    /// Keeps the trees back until `force_flush` or `shutdown`, or until there is a megabyte of
    /// them, and prints them in the order in which the traces have started. For programs whose own
    /// output they would tear apart.
    #[must_use]
    pub fn hold(mut self) -> Self {
        self.hold = true;
        self
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes whatever waits, unless another thread is at it: that one will look again.
    fn write<'a>(&'a self, mut shared: MutexGuard<'a, Shared>) -> MutexGuard<'a, Shared> {
        while !shared.waiting.is_empty() {
            let Some(mut out) = shared.out.take() else { break };
            let trees = std::mem::take(&mut shared.waiting);
            shared.waiting_bytes = 0;
            let dropped = std::mem::take(&mut shared.dropped);
            drop(shared);
            // A pipe that is closed is no reason to fail: the program has other things to do.
            let _ = write_all(&mut out, trees, dropped);
            shared = self.lock();
            shared.out = Some(out);
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
            shared.add(&part);
            if !self.hold || shared.is_full() {
                shared = self.write(shared);
            }
        }
        shared
    }

    fn flush(&self, limit: Duration) -> OTelSdkResult {
        let mut shared = self.lock();
        let rest = shared.traces.rest();
        let shared = self.write(self.print(shared, rest));
        let (shared, _) = self
            .written
            .wait_timeout_while(shared, limit, |shared| shared.out.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        if shared.out.is_some() { Ok(()) } else { Err(OTelSdkError::Timeout(limit)) }
    }
}

fn write_all(out: &mut dyn Write, mut trees: Vec<(SystemTime, String)>, dropped: usize) -> io::Result<()> {
    trees.sort_by_key(|(start, _)| *start);
    for (_, tree) in trees {
        out.write_all(tree.as_bytes())?;
    }
    if dropped > 0 {
        let what = if dropped == 1 { "1 trace was" } else { &format!("{dropped} traces were") };
        writeln!(out, "{what} not printed, because the terminal is too slow")?;
    }
    out.flush()
}

impl Shared {
    fn add(&mut self, part: &Part) {
        if self.is_full() {
            self.dropped += 1;
            return;
        }
        let tree = picture::draw(part, opentelemetry::time::now());
        self.waiting_bytes += tree.len();
        self.waiting.push((part.start, tree));
    }

    fn is_full(&self) -> bool {
        self.waiting_bytes >= MAX_WAITING_BYTES
    }
}

impl SpanProcessor for Console {
    fn on_start(&self, span: &mut Span, _context: &Context) {
        // Recorded but not sampled: no exporter would see it either.
        let Some(data) = span.exported_data().filter(|data| data.span_context.is_sampled()) else { return };
        let mut shared = self.lock();
        let part = shared.traces.begin(data);
        drop(self.print(shared, part));
    }

    fn on_end(&self, data: SpanData) {
        if !data.span_context.is_sampled() {
            return;
        }
        let mut shared = self.lock();
        let parts = shared.traces.end(data, Instant::now());
        drop(self.print(shared, parts));
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(FLUSH_LIMIT)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
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
