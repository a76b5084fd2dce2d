//! Which detached jobs are running, and waiting for them.
//!
//! Every job that Throughline starts is counted from the moment it is spawned until it has ended,
//! was cancelled, or panicked: tasks, blocking closures and threads alike.
//!
//! # Failures
//!
//! Nobody may wait for a detached job, and a trace that is not sampled shows nothing. So a job that
//! panics, or ends with an error that is seen (`#[traced_spawn]`, the `try_spawn` functions), writes one
//! ERROR event of `tracing` with the target `throughline::jobs`, whether there is a span or not:
//!
//! | field | meaning |
//! |---|---|
//! | `throughline.job.name` | the job's name |
//! | `error` | the error and what has led to it (its sources), or the panic's message; not with `err = off` |
//! | `error.type` | the type of the error, or `panic` |
//! | `trace_id`, `span_id`, `throughline.tags` | where it was; left out as soon as this process has one of the formatters of `throughline::log`, which write them on every line |
//!
//! The counter `throughline.jobs.failed` counts it, by `throughline.job.name` and `error.type`. A job
//! that is cancelled has not failed, and one that succeeds costs nothing more.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static CLOSED: AtomicBool = AtomicBool::new(false);
static IDLE: Notify = Notify::const_new();

/// One job that counts as running.
#[derive(Debug)]
pub(crate) struct Token(());

impl Token {
    pub(crate) fn new() -> Self {
        RUNNING.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if RUNNING.fetch_sub(1, Ordering::AcqRel) == 1 {
            IDLE.notify_waiters();
        }
    }
}

/// Lets no new tasks in: one that is spawned from now on is aborted before it is polled, and its
/// handle says that it was cancelled. For services that are shutting down. There is no way back.
///
/// Blocking jobs and threads, which cannot be aborted, still run.
pub fn close() {
    CLOSED.store(true, Ordering::Release);
}

/// Whether [`close`] was called.
pub fn is_closed() -> bool {
    CLOSED.load(Ordering::Acquire)
}

/// How many jobs are running or waiting to run.
pub fn running() -> usize {
    RUNNING.load(Ordering::Acquire)
}

/// Waits until no job is running, for `limit` at most.
///
/// Jobs that start while it waits are waited for too. Safe to cancel: dropping the future leaves
/// the jobs running.
///
/// # Errors
///
/// [`StillRunning`] tells how many jobs are left when the limit is reached.
///
/// # Panics
///
/// Outside a Tokio runtime, and in one without its timer enabled, if there is something to wait
/// for.
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
    tokio::time::timeout(limit, idle()).await.map_err(|_| StillRunning { jobs: running() })
}

/// Waits until no job is running.
pub(crate) async fn idle() {
    loop {
        let mut notified = std::pin::pin!(IDLE.notified());
        // Listen first, then look: a job that ends in between is not missed.
        notified.as_mut().enable();
        if running() == 0 {
            return;
        }
        notified.await;
    }
}

/// The jobs had not ended when the limit was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StillRunning {
    /// How many were left.
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
