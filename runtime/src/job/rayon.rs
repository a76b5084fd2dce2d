//! Detached jobs and parallel joins on rayon's thread pool.

use std::fmt::Display;
use std::panic::Location;

use opentelemetry::Context;

use super::spawn::{plain, unnamed};
use crate::context::current;
use crate::span::outcome::Outcome;

/// Spawns `f` on rayon's thread pool, as a detached job: a replacement for [`rayon::spawn`].
///
/// Otherwise like [`crate::spawn`].
///
/// A panic is recorded on the span, logged, and then passed to the panic handler of the thread pool. Without one, rayon
/// aborts the process.
///
/// ```
/// throughline::in_span("request", || {
///     throughline::rayon::spawn(|| { /* may outlive the request */ });
/// });
/// ```
#[track_caller]
pub fn spawn<F>(f: F)
where
    F: FnOnce() + Send + 'static,
{
    rayon::spawn(unnamed::<F>(Location::caller()).closure(f, plain));
}

/// Like [`spawn`], for a closure that returns a `Result`: an `Err` is recorded on the span and logged, and then
/// dropped, because there is no handle to return it through.
#[track_caller]
pub fn try_spawn<F, E>(f: F)
where
    F: FnOnce() -> Result<(), E> + Send + 'static,
    E: Display + Send + 'static,
{
    let job = unnamed::<F>(Location::caller()).closure(f, Outcome::from_job_result);
    // The error has been recorded and logged, and there is no handle to return it through.
    rayon::spawn(move || drop(job()));
}

/// Runs two closures in the current span, potentially in parallel, and waits for both: a replacement for
/// [`rayon::join`].
///
/// Both run with the complete context of the caller, including values set with `Context::with_value`. No span is
/// started. If one of them panics, the panic is propagated, as by `rayon::join`.
///
/// ```
/// fn sum(values: &[u64]) -> u64 {
///     if values.len() <= 1_000 {
///         return throughline::in_span("sum_part", || values.iter().sum());
///     }
///     let (left, right) = values.split_at(values.len() / 2);
///     let (left, right) = throughline::rayon::join(|| sum(left), || sum(right));
///     left + right
/// }
///
/// // Each `sum_part` is a child of `sum`, whichever thread it runs on.
/// let total = throughline::in_span("sum", || sum(&[1; 1_500]));
/// assert_eq!(total, 1_500);
/// ```
pub fn join<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    let context = current::get();
    rayon::join(within(context.clone(), a), within(context, b))
}

fn within<R>(context: Context, f: impl FnOnce() -> R) -> impl FnOnce() -> R {
    move || {
        let _attached = current::attach(context);
        f()
    }
}
