//! Detached jobs in a `JoinSet`.

use std::fmt::Display;
use std::future::Future;
use std::panic::Location;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};

use super::own::OwnTask;
use super::spawn::{plain, refused, runtime, unnamed};
use crate::jobs::{self, Token};
use crate::span::handle::Span;
use crate::span::outcome::Outcome;

/// Spawns detached jobs on a [`JoinSet`].
///
/// Each method is the traced form of the one without the suffix; [`spawn`](crate::spawn) describes what a detached job
/// inherits and records. As with any `JoinSet`, dropping the set aborts its tasks. An `Err` is not recorded; to record
/// it, use [`TryJoinSetExt`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use throughline::JoinSetExt as _;
/// use tokio::task::JoinSet;
///
/// let mut set = JoinSet::new();
/// for part in 0..3 {
///     set.spawn_traced(async move { part * 2 });
/// }
/// let parts = set.join_all().await;
/// assert_eq!(parts.iter().sum::<i32>(), 6);
/// # }
/// ```
pub trait JoinSetExt<T> {
    /// Spawns `future` as a detached job in this set: the traced form of [`JoinSet::spawn`].
    ///
    /// # Panics
    ///
    /// Panics if called outside a Tokio runtime.
    #[track_caller]
    fn spawn_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static;

    /// Spawns `future` as a detached job in this set, on `runtime`: the traced form of [`JoinSet::spawn_on`].
    #[track_caller]
    fn spawn_on_traced<F>(&mut self, future: F, runtime: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static;

    /// Spawns a future that is not `Send` as a detached job in this set: the traced form of [`JoinSet::spawn_local`].
    ///
    /// # Panics
    ///
    /// Panics if called outside a [`tokio::task::LocalSet`].
    #[track_caller]
    fn spawn_local_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
        T: 'static;

    /// Runs `f` on the blocking thread pool as a detached job in this set: the traced form of
    /// [`JoinSet::spawn_blocking`].
    ///
    /// # Panics
    ///
    /// Panics if called outside a Tokio runtime.
    #[track_caller]
    fn spawn_blocking_traced<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static;
}

impl<T: 'static> JoinSetExt<T> for JoinSet<T> {
    fn spawn_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let job = unnamed::<F>(Location::caller());
        let runtime = runtime(job.job_name());
        spawn(self, &runtime, job, future, plain)
    }

    fn spawn_on_traced<F>(&mut self, future: F, runtime: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        spawn(self, runtime, unnamed::<F>(Location::caller()), future, plain)
    }

    fn spawn_local_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
        T: 'static,
    {
        spawn_local(self, unnamed::<F>(Location::caller()), future, plain)
    }

    fn spawn_blocking_traced<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_blocking(unnamed::<F>(Location::caller()).closure(f, plain))
    }
}

/// [`JoinSetExt`] for jobs that return a `Result`: an `Err` is recorded on the span and logged. See
/// [`try_spawn`](crate::try_spawn).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use throughline::TryJoinSetExt as _;
/// use tokio::task::JoinSet;
///
/// let mut set = JoinSet::new();
/// set.try_spawn_traced(async { "42".parse::<u8>() });
/// assert_eq!(set.join_all().await, [Ok(42)]);
/// # }
/// ```
pub trait TryJoinSetExt<T, E> {
    /// Spawns `future` as a detached job in this set, and records an `Err`: the traced form of [`JoinSet::spawn`].
    ///
    /// # Panics
    ///
    /// Panics if called outside a Tokio runtime.
    #[track_caller]
    fn try_spawn_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Display + Send + 'static;

    /// Spawns `future` as a detached job in this set, on `runtime`, and records an `Err`: the traced form of
    /// [`JoinSet::spawn_on`].
    #[track_caller]
    fn try_spawn_on_traced<F>(&mut self, future: F, runtime: &Handle) -> AbortHandle
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Display + Send + 'static;

    /// Spawns a future that is not `Send` as a detached job in this set, and records an `Err`: the traced form of
    /// [`JoinSet::spawn_local`].
    ///
    /// # Panics
    ///
    /// Panics if called outside a [`tokio::task::LocalSet`].
    #[track_caller]
    fn try_spawn_local_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = Result<T, E>> + 'static,
        E: Display;

    /// Runs `f` on the blocking thread pool as a detached job in this set, and records an `Err`: the traced form of
    /// [`JoinSet::spawn_blocking`].
    ///
    /// # Panics
    ///
    /// Panics if called outside a Tokio runtime.
    #[track_caller]
    fn try_spawn_blocking_traced<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Display + Send + 'static;
}

impl<T: 'static, E: 'static> TryJoinSetExt<T, E> for JoinSet<Result<T, E>> {
    fn try_spawn_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Display + Send + 'static,
    {
        let job = unnamed::<F>(Location::caller());
        let runtime = runtime(job.job_name());
        spawn(self, &runtime, job, future, Outcome::from_job_result)
    }

    fn try_spawn_on_traced<F>(&mut self, future: F, runtime: &Handle) -> AbortHandle
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Display + Send + 'static,
    {
        spawn(self, runtime, unnamed::<F>(Location::caller()), future, Outcome::from_job_result)
    }

    fn try_spawn_local_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = Result<T, E>> + 'static,
        E: Display,
    {
        spawn_local(self, unnamed::<F>(Location::caller()), future, Outcome::from_job_result)
    }

    fn try_spawn_blocking_traced<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Display + Send + 'static,
    {
        self.spawn_blocking(unnamed::<F>(Location::caller()).closure(f, Outcome::from_job_result))
    }
}

#[track_caller]
fn spawn<F, O>(set: &mut JoinSet<F::Output>, runtime: &Handle, job: Span, future: F, outcome: O) -> AbortHandle
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    O: FnOnce(&F::Output) -> Outcome + Send + 'static,
{
    let job = job.job(future, outcome, Token::new());
    let _own = OwnTask::begin();
    if jobs::is_closed() {
        let task = set.spawn_on(refused(job), runtime);
        task.abort();
        return task;
    }
    set.spawn_on(job, runtime)
}

#[track_caller]
fn spawn_local<F, O>(set: &mut JoinSet<F::Output>, job: Span, future: F, outcome: O) -> AbortHandle
where
    F: Future + 'static,
    F::Output: 'static,
    O: FnOnce(&F::Output) -> Outcome + 'static,
{
    let job = job.job(future, outcome, Token::new());
    let _own = OwnTask::begin();
    if jobs::is_closed() {
        let task = set.spawn_local(refused(job));
        task.abort();
        return task;
    }
    set.spawn_local(job)
}
