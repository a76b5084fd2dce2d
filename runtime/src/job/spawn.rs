//! Detached jobs: each has its own span, in the trace of the code that spawned it.

use std::borrow::Cow;
use std::fmt::Display;
use std::future::Future;
use std::panic::Location;
use std::thread;
use std::time::Instant;

use opentelemetry::trace::TraceContextExt as _;
use tokio::runtime::Handle;
use tokio::task::{self, JoinHandle};

use super::name::function_name;
use super::own::OwnTask;
use crate::context::current;
use crate::context::snapshot::Snapshot;
use crate::guard::reentrance::is_busy;
use crate::jobs::{self, Token};
use crate::span::builder::SpanBuilder;
use crate::span::failure::FailureSource;
use crate::span::handle::Span;
use crate::span::outcome::Outcome;
use crate::span::start::without_span;

pub use super::sent::{Gives, gives, takes};

/// Spawns `future` as a detached job: a replacement for [`tokio::spawn`].
///
/// If a span is current, the job gets a span of its own, which is a child of the current span and may outlive it. Its
/// name is that of the function that created the future, followed by ` (spawned)` to distinguish it from the
/// function's own span; to choose the name, the kind or tags, use [`crate::span`]. Without a current span there is no
/// parent, and the job runs without a span. In both cases the job inherits baggage and tags, and is counted by
/// [`jobs`](crate::jobs).
///
/// Dropping the handle does not stop the job. Aborting it marks the span `throughline.cancelled`. A panic is recorded
/// on the span, logged (see [`jobs`](crate::jobs#failures)) and returned through the handle. An `Err` is not
/// recorded, because the output type is generic; for a `Result`, use [`try_spawn`].
///
/// # Loops
///
/// A span should end when a unit of work does. Accept loops, poll loops and `main` run indefinitely, so they should
/// not have a span; create one for each connection or message instead. A loop that is spawned inside a span would
/// keep its trace open indefinitely. For a periodic job, call a [`#[traced_spawn(link)]`](macro@crate::traced_spawn)
/// function in each iteration: each run then has its own trace, linked to the span it was started from.
///
/// A loop is a job, too. A shutdown waits for it, for three quarters of its timeout, and then reports a job that is still
/// running. So end the loop when the service stops, for example by aborting its handle, or spawn it with
/// [`tokio::spawn`].
///
/// ```
/// use throughline::traced;
/// use tokio::net::{TcpListener, TcpStream};
///
/// #[traced(kind = server)]
/// async fn serve(connection: TcpStream) {}
///
/// async fn accept(listener: TcpListener) -> std::io::Result<()> {
///     loop {
///         let (connection, _) = listener.accept().await?;
///         // Outside of a span: `serve` is the entry of a new trace.
///         throughline::spawn(serve(connection));
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let server = throughline::spawn(accept(listener));
/// # server.abort();
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// Panics if called outside a Tokio runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    unnamed::<F>(Location::caller()).spawn(future, plain)
}

/// Like [`spawn`], for a future that returns a `Result`: an `Err` is recorded on the span, logged (see
/// [`jobs`](crate::jobs#failures)) and returned through the handle.
///
/// # Panics
///
/// Panics if called outside a Tokio runtime.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let job = throughline::try_spawn(async { "4x2".parse::<u32>() });
/// assert!(job.await.unwrap().is_err());
/// # }
/// ```
#[track_caller]
pub fn try_spawn<F, T, E>(future: F) -> JoinHandle<Result<T, E>>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Display + Send + 'static,
{
    unnamed::<F>(Location::caller()).spawn(future, Outcome::from_job_result)
}

/// Runs `f` on Tokio's blocking thread pool, as a detached job: a replacement for [`tokio::task::spawn_blocking`].
///
/// Otherwise like [`spawn`].
///
/// # Panics
///
/// Panics if called outside a Tokio runtime.
#[track_caller]
pub fn spawn_blocking<F, R>(f: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    unnamed::<F>(Location::caller()).spawn_blocking(f, plain)
}

/// Like [`spawn_blocking`], for a closure that returns a `Result`; see [`try_spawn`].
///
/// # Panics
///
/// Panics if called outside a Tokio runtime.
#[track_caller]
pub fn try_spawn_blocking<F, T, E>(f: F) -> JoinHandle<Result<T, E>>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Display + Send + 'static,
{
    unnamed::<F>(Location::caller()).spawn_blocking(f, Outcome::from_job_result)
}

/// Spawns a future that is not `Send` on the current thread, as a detached job: a replacement for
/// [`tokio::task::spawn_local`].
///
/// Otherwise like [`spawn`].
///
/// # Panics
///
/// Panics if called outside a [`tokio::task::LocalSet`].
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    unnamed::<F>(Location::caller()).spawn_local(future, plain)
}

/// Like [`spawn_local`], for a future that returns a `Result`; see [`try_spawn`].
///
/// # Panics
///
/// Panics if called outside a [`tokio::task::LocalSet`].
#[track_caller]
pub fn try_spawn_local<F, T, E>(future: F) -> JoinHandle<Result<T, E>>
where
    F: Future<Output = Result<T, E>> + 'static,
    T: 'static,
    E: Display + 'static,
{
    unnamed::<F>(Location::caller()).spawn_local(future, Outcome::from_job_result)
}

/// Runs `f` on a new OS thread, as a detached job: a replacement for [`std::thread::spawn`].
///
/// Otherwise like [`spawn`].
///
/// # Panics
///
/// Panics if the operating system fails to spawn a thread.
#[track_caller]
pub fn spawn_thread<F, R>(f: F) -> thread::JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    unnamed::<F>(Location::caller()).spawn_thread(function_name::<F>(), f, plain)
}

/// Like [`spawn_thread`], for a closure that returns a `Result`; see [`try_spawn`].
///
/// # Panics
///
/// Panics if the operating system fails to spawn a thread.
#[track_caller]
pub fn try_spawn_thread<F, T, E>(f: F) -> thread::JoinHandle<Result<T, E>>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Display + Send + 'static,
{
    unnamed::<F>(Location::caller()).spawn_thread(function_name::<F>(), f, Outcome::from_job_result)
}

/// A job named after the function that it originates from, with a span if one is current.
pub(crate) fn unnamed<F>(place: &'static Location<'static>) -> Span {
    if is_busy() {
        return without_span(true);
    }
    let name = Cow::Owned(format!("{} (spawned)", function_name::<F>()));
    if current::with(|current| !current.span().span_context().is_valid()) {
        return Span::carried(Snapshot::capture().to_context(), FailureSource { name, is_job: true });
    }
    SpanBuilder::new(name).placed(place).detached().start()
}

/// The outcome of a value that is not inspected: success.
pub(crate) fn plain<R>(_: &R) -> Outcome {
    Outcome::default()
}

/// Replaces a job that is spawned after [`jobs::close`], until it is aborted. A worker thread may poll it before
/// that, so the job itself must not run.
pub(super) async fn refused<F: Future>(job: F) -> F::Output {
    let _never_polled = job;
    std::future::pending().await
}

#[track_caller]
pub(super) fn runtime(job: &str) -> Handle {
    let Ok(handle) = Handle::try_current() else {
        panic!(
            "the detached job `{job}` was started outside a Tokio runtime; enter one first (`let _guard = runtime.enter();`), \
             or specify one: `#[traced_spawn(on = handle)]`; with another executor, spawn a `#[traced]` function in \
             `Snapshot::capture().run_async(..)`"
        )
    };
    handle
}

/// For generated code; elsewhere, use [`SpanBuilder::spawn`] and the like.
#[doc(hidden)]
impl Span {
    /// Runs the future in the span, as a task.
    #[track_caller]
    pub fn spawn<F, O>(self, future: F, outcome: O) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static, // a detached job changes threads; `#[traced_spawn(local)]` does not
        F::Output: Send + 'static,
        O: FnOnce(&F::Output) -> Outcome + Send + 'static,
    {
        let runtime = runtime(self.job_name());
        self.spawn_on(&runtime, future, outcome)
    }

    /// Runs the future in the span, as a task of `runtime`.
    #[track_caller]
    pub fn spawn_on<F, O>(self, runtime: &Handle, future: F, outcome: O) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static, // a detached job changes threads; `#[traced_spawn(local)]` does not
        F::Output: Send + 'static,
        O: FnOnce(&F::Output) -> Outcome + Send + 'static,
    {
        let job = self.job(future, outcome, Token::new());
        let _own = OwnTask::begin();
        if jobs::is_closed() {
            let task = runtime.spawn(refused(job));
            task.abort();
            return task;
        }
        runtime.spawn(job)
    }

    /// Runs the future in the span, as a task of this thread.
    #[track_caller]
    pub fn spawn_local<F, O>(self, future: F, outcome: O) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
        O: FnOnce(&F::Output) -> Outcome + 'static,
    {
        let job = self.job(future, outcome, Token::new());
        let _own = OwnTask::begin();
        if jobs::is_closed() {
            let task = task::spawn_local(refused(job));
            task.abort();
            return task;
        }
        task::spawn_local(job)
    }

    /// Runs the closure in the span, on Tokio's blocking thread pool.
    #[track_caller]
    pub fn spawn_blocking<F, R, O>(self, f: F, outcome: O) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
        O: FnOnce(&R) -> Outcome + Send + 'static,
    {
        let runtime = runtime(self.job_name());
        self.spawn_blocking_on(&runtime, f, outcome)
    }

    /// Runs the closure in the span, on the blocking thread pool of `runtime`.
    #[track_caller]
    pub fn spawn_blocking_on<F, R, O>(self, runtime: &Handle, f: F, outcome: O) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
        O: FnOnce(&R) -> Outcome + Send + 'static,
    {
        runtime.spawn_blocking(self.closure(f, outcome))
    }

    /// Runs the closure in the span, on a new thread named `name`.
    ///
    /// # Panics
    ///
    /// Panics if the operating system fails to spawn a thread.
    #[track_caller]
    pub fn spawn_thread<F, R, O>(self, name: &str, f: F, outcome: O) -> thread::JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
        O: FnOnce(&R) -> Outcome + Send + 'static,
    {
        let thread = thread::Builder::new().name(name.replace('\0', ""));
        thread
            .spawn(self.closure(f, outcome))
            .unwrap_or_else(|error| panic!("failed to spawn the thread `{name}`: {error}"))
    }

    pub(super) fn closure<F, R, O>(self, f: F, outcome: O) -> impl FnOnce() -> R + Send + 'static
    where
        F: FnOnce() -> R + Send + 'static,
        O: FnOnce(&R) -> Outcome + Send + 'static,
        R: Send + 'static,
    {
        let token = Token::new();
        let spawned = Instant::now();
        move || {
            self.0.queued_since(spawned);
            let value = self.run(f, outcome);
            drop(token);
            value
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_refused_job_is_never_polled() {
        let polled = Cell::new(false);
        let mut refused = pin!(refused(async { polled.set(true) }));
        for _ in 0..2 {
            assert!(refused.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert!(!polled.get());
    }
}
