//! Bounds on the arguments and results of detached jobs, with helpful error messages.

use std::future::Future;
use std::marker::PhantomData;
use std::thread;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::span::handle::Span;
use crate::span::outcome::Outcome;

/// An argument of a detached job.
#[diagnostic::on_unimplemented(
    message = "a detached job may run on another thread, and this argument is not `Send`: `{Self}`",
    label = "cannot be sent to the job",
    note = "pass a value that is `Send`, such as an `Arc` instead of an `Rc`, or the data to construct it from",
    note = "to run an `async fn` on the current thread, write `#[traced_spawn(local)]`"
)]
pub trait JobArgument: Send {}

#[diagnostic::do_not_recommend]
impl<T: Send + ?Sized> JobArgument for T {}

/// The result of a detached job.
#[diagnostic::on_unimplemented(
    message = "a detached job may run on another thread, and its result is not `Send`: `{Self}`",
    label = "cannot be returned from the job",
    note = "return a value that is `Send`, such as an `Arc` instead of an `Rc`",
    note = "to run an `async fn` on the current thread, write `#[traced_spawn(local)]`"
)]
pub trait JobOutput: Send {}

#[diagnostic::do_not_recommend]
impl<T: Send + ?Sized> JobOutput for T {}

/// Requires that an argument of type `T` can be sent to the job.
#[inline]
pub const fn takes<T: JobArgument>() {}

/// Names the result type `R` of a job. The bound is on the call that takes this value, so that one mistake is
/// reported once.
#[inline]
pub const fn gives<R>() -> Gives<R> {
    Gives(PhantomData)
}

/// Created by [`gives`].
#[derive(Debug)]
pub struct Gives<R>(PhantomData<fn() -> R>);

// The `spawn` methods for generated code, which knows the result type.
impl Span {
    #[doc(hidden)]
    #[track_caller]
    pub fn spawn_giving<F, R, O>(self, future: F, outcome: O, _: Gives<R>) -> JoinHandle<R>
    where
        F: Future<Output = R> + Send + 'static, // a detached job changes threads; `#[traced_spawn(local)]` does not
        R: JobOutput + 'static,
        O: FnOnce(&R) -> Outcome + Send + 'static,
    {
        self.spawn(future, outcome)
    }

    #[doc(hidden)]
    #[track_caller]
    pub fn spawn_on_giving<F, R, O>(self, runtime: &Handle, future: F, outcome: O, _: Gives<R>) -> JoinHandle<R>
    where
        F: Future<Output = R> + Send + 'static, // a detached job changes threads; `#[traced_spawn(local)]` does not
        R: JobOutput + 'static,
        O: FnOnce(&R) -> Outcome + Send + 'static,
    {
        self.spawn_on(runtime, future, outcome)
    }

    #[doc(hidden)]
    #[track_caller]
    pub fn spawn_blocking_giving<F, R, O>(self, f: F, outcome: O, _: Gives<R>) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: JobOutput + 'static,
        O: FnOnce(&R) -> Outcome + Send + 'static,
    {
        self.spawn_blocking(f, outcome)
    }

    #[doc(hidden)]
    #[track_caller]
    pub fn spawn_blocking_on_giving<F, R, O>(self, runtime: &Handle, f: F, outcome: O, _: Gives<R>) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: JobOutput + 'static,
        O: FnOnce(&R) -> Outcome + Send + 'static,
    {
        self.spawn_blocking_on(runtime, f, outcome)
    }

    #[doc(hidden)]
    #[track_caller]
    pub fn spawn_thread_giving<F, R, O>(self, name: &str, f: F, outcome: O, _: Gives<R>) -> thread::JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: JobOutput + 'static,
        O: FnOnce(&R) -> Outcome + Send + 'static,
    {
        self.spawn_thread(name, f, outcome)
    }
}
