//! Shutdown, which waits for jobs and exports spans within a timeout.

use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::diagnostics::{self, Warning};
use super::export::wait_for_thread;
use super::handle::ACTIVE;
use super::text::{bounded, count};
use super::{ExportStats, OpenSpan, Telemetry, open_spans, signal};
use crate::guard::panics::caught;
use crate::job::timeout::completes_within;
use crate::job::tracker as jobs;
use crate::span::tracer::{self, SetUp};

/// The timeout for dropping a [`Telemetry`].
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// The time that the export thread may take after its timeout, to stop cleanly.
const GRACE: Duration = Duration::from_secs(1);

/// A quarter of a shutdown's timeout is reserved for the export.
const RESERVED_FOR_EXPORT: u32 = 4;

/// Options for [`Telemetry::shutdown_with`].
#[derive(Debug, Clone, Copy)]
#[must_use = "this configures a shutdown, which `shutdown_with` begins"]
pub struct Shutdown {
    timeout: Duration,
    refuse_new_jobs: bool,
}

impl Shutdown {
    /// Creates the options of a shutdown with this timeout.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, refuse_new_jobs: false }
    }

    /// Rejects detached jobs that are spawned after the shutdown has begun, as [`jobs::close`](crate::jobs::close)
    /// does: tasks are aborted before they are first polled. Blocking jobs and threads cannot be aborted and still run.
    pub fn refuse_new_jobs(mut self) -> Self {
        self.refuse_new_jobs = true;
        self
    }
}

/// The result of a shutdown, and the counts of spans by outcome since [`init`](super::init()).
///
/// Its `Display` form is one line, which a shutdown logs: at INFO if it [is complete](Self::is_complete), at WARN
/// otherwise. It mentions exported spans only if there is an exporter, and not if traces are printed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The number of detached jobs that were running when the shutdown began.
    pub jobs: usize,
    /// The number of detached jobs that were still running when the shutdown stopped waiting for them, including those
    /// spawned in the meantime.
    pub jobs_left: usize,
    /// The spans that were still open, oldest first. The shutdown ended them, with the attribute
    /// `throughline.unfinished`.
    pub unfinished: Vec<OpenSpan>,
    /// The counts of ended spans by outcome.
    pub stats: ExportStats,
    /// How long the shutdown took.
    pub elapsed: Duration,
    exports: bool,
}

impl ShutdownReport {
    /// Returns `true` if nothing was lost since [`init`](super::init()): every job and every tracked span had ended, no
    /// trace was shed, and the exporter accepted every span.
    ///
    /// Open spans that were [not tracked](Telemetry::untracked_open_spans) are not considered.
    pub fn is_complete(&self) -> bool {
        let stats = &self.stats;
        let lost = stats.refused + stats.traces_shed() + stats.spans_dropped + stats.spans_unsent();
        self.jobs_left == 0 && self.unfinished.is_empty() && lost == 0
    }

    fn log(&self) {
        if self.is_complete() {
            diagnostics::info(self);
        } else {
            diagnostics::warn(Warning::Shutdown, self);
        }
    }
}

impl fmt::Display for ShutdownReport {
    /// `shut down in 0.2 s: 512 spans exported, 1 detached job still running`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = &self.stats;
        write!(f, "shut down in {:.1} s", self.elapsed.as_secs_f64())?;
        let mut separator = ": ";
        if self.exports {
            write!(f, ": {} exported", count(stats.exported, "span"))?;
            separator = ", ";
        }
        for (number, what, how) in [
            (self.jobs_left as u64, "detached job", "still running"),
            (self.unfinished.len() as u64, "span", "still open"),
            (stats.spans_unsent(), "span", "not exported"),
            (stats.refused, "span", "refused"),
            (stats.spans_dropped, "span", "dropped"),
            (stats.traces_shed(), "trace", "shed"),
        ] {
            if number > 0 {
                write!(f, "{separator}{} {how}", count(number, what))?;
                separator = ", ";
            }
        }
        if let Some(oldest) = self.unfinished.first() {
            write!(f, "; `{}` had been open for {} s", bounded(&oldest.name), oldest.age.as_secs())?;
        }
        Ok(())
    }
}

impl Telemetry {
    /// Shuts telemetry down: waits for detached jobs, ends and marks the spans that are still open, and exports the
    /// queued spans. Returns a report, which is also logged.
    ///
    /// All of this takes at most `timeout`, plus up to one second for the export thread to stop. A quarter of the
    /// timeout is reserved for the export. Jobs that are spawned in the meantime are waited for, too; use
    /// [`shutdown_with`](Self::shutdown_with) to reject them. Spans that start after the shutdown are not recorded.
    ///
    /// The future can be awaited outside a Tokio runtime, and on a runtime without a timer, because a separate thread
    /// keeps track of the time. If the system has no more threads, the future wakes itself, and each poll blocks for two
    /// milliseconds; the export blocks the thread until it is done.
    ///
    /// Do not call this from a detached job: the job would wait for itself until the timeout.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the future drops the `Telemetry`, which flushes with a timeout of five seconds.
    pub async fn shutdown(self, timeout: Duration) -> ShutdownReport {
        self.shutdown_with(Shutdown::new(timeout)).await
    }

    /// Shuts down with the given options. See [`shutdown`](Self::shutdown).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), throughline::telemetry::InitError> {
    /// use std::time::Duration;
    /// use throughline::telemetry::Shutdown;
    ///
    /// let telemetry = throughline::init()?;
    /// // …
    /// let report = telemetry.shutdown_with(Shutdown::new(Duration::from_secs(10)).refuse_new_jobs()).await;
    /// assert!(report.is_complete(), "{report}");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown_with(mut self, how: Shutdown) -> ShutdownReport {
        let begun = Instant::now();
        if how.refuse_new_jobs {
            jobs::close();
        }
        let jobs = jobs::running();
        let for_jobs = how.timeout.saturating_sub(how.timeout / RESERVED_FOR_EXPORT);
        let is_idle = completes_within(for_jobs, jobs::idle()).await;
        let jobs_left = if is_idle { 0 } else { jobs::running() };
        let unfinished = self.end_open_spans();
        let left = how.timeout.saturating_sub(begun.elapsed());
        let (done, is_done) = oneshot::channel::<Infallible>();
        self.shut_down_provider(left, done);
        completes_within(left.saturating_add(GRACE), async { drop(is_done.await) }).await;
        self.shutdown_thread = None;
        let report = self.report(begun, (jobs, jobs_left), unfinished);
        if self.provider.is_some() {
            report.log();
        }
        report
    }

    /// Waits for SIGTERM or Ctrl-C, like [`signal`](super::signal()), and then [shuts down](Self::shutdown). A second
    /// signal has no effect: the shutdown takes up to `timeout`.
    ///
    /// # Panics
    ///
    /// Panics if called outside a Tokio runtime, or on one whose I/O driver is not enabled.
    pub async fn shutdown_on_signal(self, timeout: Duration) -> ShutdownReport {
        signal::signal().await;
        self.shutdown(timeout).await
    }

    fn report(&self, begun: Instant, (jobs, jobs_left): (usize, usize), unfinished: Vec<OpenSpan>) -> ShutdownReport {
        let (stats, exports) = (self.export_stats(), self.exports);
        ShutdownReport { jobs, jobs_left, unfinished, stats, elapsed: begun.elapsed(), exports }
    }

    fn end_open_spans(&self) -> Vec<OpenSpan> {
        let ended =
            self.open_spans.zip(self.provider.as_ref()).map(|(table, provider)| open_spans::end_all(table, provider));
        ended.unwrap_or_default()
    }

    /// Shuts down the provider on a new thread, which drops `done` when it has finished. This blocks, so it must not
    /// run on a worker thread, which other tasks need, or on the blocking thread pool, which may be full of jobs that
    /// do not end.
    fn shut_down_provider(&mut self, timeout: Duration, done: oneshot::Sender<Infallible>) {
        self.is_shut_down = true;
        let Some(provider) = self.provider.clone() else { return };
        let spawned = thread::Builder::new().name("throughline-shutdown".to_owned()).spawn({
            let (provider, export) = (provider.clone(), self.export.clone());
            move || {
                let _done = done;
                let is_shut_down_already = provider.shutdown_with_timeout(timeout).is_err();
                if let Some(export) = export.filter(|_| is_shut_down_already) {
                    export.wait_closed(timeout);
                }
            }
        });
        match spawned {
            Ok(thread) => self.shutdown_thread = Some(thread),
            // Without a thread, blocking is better than losing spans.
            Err(_) => drop(provider.shutdown_with_timeout(timeout)),
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let is_last = self.provider.is_some() && ACTIVE.fetch_sub(1, Ordering::Relaxed) == 1;
        let begun = Instant::now();
        let unfinished = (!self.is_shut_down).then(|| {
            if is_last {
                tracer::set_up_is(SetUp::Dropped);
            }
            let unfinished = self.end_open_spans();
            self.shut_down_provider(DROP_TIMEOUT, oneshot::channel().0);
            unfinished
        });
        // Also waits for the thread of a shutdown that was cancelled.
        if let Some(thread) = &self.shutdown_thread {
            wait_for_thread(thread, DROP_TIMEOUT + GRACE);
        }
        if let Some(unfinished) = unfinished.filter(|_| self.provider.is_some()) {
            let jobs = jobs::running();
            self.report(begun, (jobs, jobs), unfinished).log();
        }
        // The export thread does this itself, if there is one.
        if self.export.is_none() {
            let _ = caught(diagnostics::write_deferred);
        }
    }
}
