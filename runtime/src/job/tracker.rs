//! Counts running detached jobs, and waits for them, for example before the process exits.
//!
//! Every job that Throughline spawns is counted from the time it is spawned until it completes, panics or is
//! cancelled: tasks, blocking closures and threads alike.
//!
//! # Failures
//!
//! A detached job's handle is often dropped, and its span is lost if the trace is not sampled. Therefore a job that
//! panics or returns an `Err` (with `#[traced_spawn]` and the `try_spawn` functions, which see the `Result`) emits a
//! `tracing` event at level ERROR with the target `throughline::jobs`, whether or not there is a span:
//!
//! | field | meaning |
//! |---|---|
//! | `throughline.job.name` | the name of the job |
//! | `error` | the error and its sources, or the panic message; omitted with `err = off` |
//! | `error.type` | the type of the error, or `panic` |
//! | `trace_id`, `span_id`, `throughline.tags` | the job's trace, span and tags; omitted if the process uses one of the formatters of `throughline::log`, which add them to every line |
//!
//! Failed jobs are counted by `throughline.jobs.failed`, with the attributes `throughline.job.name` and `error.type`.
//! A job that is cancelled does not count as failed, and one that succeeds has no additional cost.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::timeout::within;

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static CLOSED: AtomicBool = AtomicBool::new(false);
static IDLE: Notify = Notify::const_new();

/// Counts one job as running until it is dropped.
pub(crate) struct Token {
    #[cfg(feature = "testing")]
    _watched: Option<super::watched::Watched>,
}

impl Token {
    pub(crate) fn new() -> Self {
        RUNNING.fetch_add(1, Ordering::AcqRel);
        Self {
            #[cfg(feature = "testing")]
            _watched: super::watched::Watched::new(),
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if RUNNING.fetch_sub(1, Ordering::AcqRel) == 1 {
            IDLE.notify_waiters();
        }
    }
}

/// Stops accepting tasks, for services that are shutting down.
///
/// A task spawned from now on is aborted before it is first polled, and its handle returns a cancellation error. This
/// cannot be undone.
///
/// Blocking jobs and threads still run, because they cannot be aborted.
pub fn close() {
    CLOSED.store(true, Ordering::Release);
}

/// Returns `true` if [`close`] was called.
pub fn is_closed() -> bool {
    CLOSED.load(Ordering::Acquire)
}

/// Returns the number of jobs that are running or waiting to run.
pub fn running() -> usize {
    RUNNING.load(Ordering::Acquire)
}

/// Waits until no job is running, for at most `limit`.
///
/// This includes jobs that are spawned while it waits. Cancel safe: dropping the future does not affect the jobs.
///
/// In a Tokio runtime, the limit is measured by Tokio's clock. If that is paused, as with
/// `#[tokio::test(start_paused = true)]`, it jumps to the limit as soon as the runtime is idle, even if a job on a thread
/// or in another runtime is not. With any other executor, a thread keeps track of the time.
///
/// # Errors
///
/// Returns [`StillRunning`], with the number of remaining jobs, if the limit is reached.
///
/// # Panics
///
/// Panics if there is a job to wait for and this is called in a Tokio runtime whose timer is not enabled.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), throughline::jobs::StillRunning> {
/// use std::time::Duration;
///
/// throughline::spawn(async { /* … */ });
/// throughline::jobs::wait(Duration::from_secs(5)).await?;
/// assert_eq!(throughline::jobs::running(), 0);
/// # Ok(())
/// # }
/// ```
pub async fn wait(limit: Duration) -> Result<(), StillRunning> {
    if running() == 0 {
        return Ok(());
    }
    let is_idle = within(limit, idle()).await;
    match running() {
        // The last job may have ended while the limit was reached.
        jobs if !is_idle && jobs > 0 => Err(StillRunning { jobs }),
        _ => Ok(()),
    }
}

/// Waits until no job is running.
pub(crate) async fn idle() {
    loop {
        let mut notified = std::pin::pin!(IDLE.notified());
        // Registered before the check, so that a job that ends in between is not missed.
        notified.as_mut().enable();
        if running() == 0 {
            return;
        }
        notified.await;
    }
}

/// The error returned by [`wait`] if jobs are still running when the limit is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StillRunning {
    /// The number of jobs that are still running.
    pub jobs: usize,
}

impl fmt::Display for StillRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.jobs {
            1 => f.write_str("1 detached job is still running"),
            jobs => write!(f, "{jobs} detached jobs are still running"),
        }
    }
}

impl std::error::Error for StillRunning {}
