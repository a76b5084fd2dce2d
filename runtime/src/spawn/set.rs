//! Detached jobs in a `JoinSet`.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};

use super::{plain, refused, unnamed};
use crate::callsite::Callsite;
use crate::jobs::{self, Token};

/// Starts jobs in a [`JoinSet`] that stay in the trace. Each method is the traced form of the one
/// without the suffix; see [`spawn`](crate::spawn) for what a job is.
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
    /// [`JoinSet::spawn`], traced.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    #[track_caller]
    fn spawn_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static;

    /// [`JoinSet::spawn_on`], traced.
    #[track_caller]
    fn spawn_traced_on<F>(&mut self, future: F, runtime: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static;

    /// [`JoinSet::spawn_local`], traced.
    ///
    /// # Panics
    ///
    /// Outside a [`tokio::task::LocalSet`].
    #[track_caller]
    fn spawn_local_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
        T: 'static;

    /// [`JoinSet::spawn_blocking`], traced.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
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
        self.spawn_traced_on(future, &super::runtime("a job of a `JoinSet`"))
    }

    fn spawn_traced_on<F>(&mut self, future: F, runtime: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let job = unnamed::<F>(&Callsite::block("")).job(future, plain, Token::new());
        if jobs::is_closed() {
            let task = self.spawn_on(refused(job), runtime);
            task.abort();
            return task;
        }
        self.spawn_on(job, runtime)
    }

    fn spawn_local_traced<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
        T: 'static,
    {
        let job = unnamed::<F>(&Callsite::block("")).job(future, plain, Token::new());
        if jobs::is_closed() {
            let task = self.spawn_local(refused(job));
            task.abort();
            return task;
        }
        self.spawn_local(job)
    }

    fn spawn_blocking_traced<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_blocking(unnamed::<F>(&Callsite::block("")).closure(f, plain))
    }
}
