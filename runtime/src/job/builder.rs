//! Detached jobs in a span that is configured by a builder.

use std::fmt::Display;
use std::future::Future;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::spawn::{plain, runtime};
use crate::span::builder::SpanBuilder;
use crate::span::outcome::Outcome;

impl SpanBuilder {
    /// Spawns the future as a detached job in this span, whether or not another span is current. See
    /// [`spawn`](crate::spawn).
    ///
    /// # Panics
    ///
    /// Panics if called outside a Tokio runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let runtime = runtime(self.name());
        self.spawn_on(&runtime, future)
    }

    /// Spawns a future that returns a `Result` as a detached job in this span, and records an `Err`. See
    /// [`try_spawn`](crate::try_spawn).
    ///
    /// # Panics
    ///
    /// Panics if called outside a Tokio runtime.
    #[track_caller]
    pub fn try_spawn<F, T, E>(self, future: F) -> JoinHandle<Result<T, E>>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Display + Send + 'static,
    {
        let runtime = runtime(self.name());
        self.try_spawn_on(&runtime, future)
    }

    /// Spawns the future on `runtime`, as a detached job in this span. May be called outside a Tokio runtime. See
    /// [`spawn`](crate::spawn).
    pub fn spawn_on<F>(self, runtime: &Handle, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.detached().start().spawn_on(runtime, future, plain)
    }

    /// Spawns a future that returns a `Result` on `runtime`, as a detached job in this span, and records an `Err`. May
    /// be called outside a Tokio runtime. See [`try_spawn`](crate::try_spawn).
    pub fn try_spawn_on<F, T, E>(self, runtime: &Handle, future: F) -> JoinHandle<Result<T, E>>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Display + Send + 'static,
    {
        self.detached().start().spawn_on(runtime, future, Outcome::from_job_result)
    }

    /// Runs the closure on Tokio's blocking thread pool, as a detached job in this span. See
    /// [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// # Panics
    ///
    /// Panics if called outside a Tokio runtime.
    #[track_caller]
    pub fn spawn_blocking<F, R>(self, f: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let runtime = runtime(self.name());
        self.detached().start().spawn_blocking_on(&runtime, f, plain)
    }

    /// Runs a closure that returns a `Result` on Tokio's blocking thread pool, as a detached job in this span, and
    /// records an `Err`. See [`try_spawn_blocking`](crate::try_spawn_blocking).
    ///
    /// # Panics
    ///
    /// Panics if called outside a Tokio runtime.
    #[track_caller]
    pub fn try_spawn_blocking<F, T, E>(self, f: F) -> JoinHandle<Result<T, E>>
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Display + Send + 'static,
    {
        let runtime = runtime(self.name());
        self.detached().start().spawn_blocking_on(&runtime, f, Outcome::from_job_result)
    }
}
