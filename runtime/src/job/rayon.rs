//! Work on rayon's thread pool.

use std::fmt::Display;
use std::panic::Location;

use opentelemetry::Context;

use super::spawn::{plain, unnamed};
use crate::context::current;
use crate::span::outcome::Outcome;

/// Spawns `f` on rayon's thread pool, as a detached job: a replacement for [`rayon::spawn`]. Otherwise like
/// [`crate::spawn`].
#[track_caller]
pub fn spawn<F>(f: F)
where
    F: FnOnce() + Send + 'static,
{
    rayon::spawn(unnamed::<F>(Location::caller()).closure(f, plain));
}

/// [`spawn`] for a closure that returns a `Result`; otherwise like [`crate::try_spawn`].
#[track_caller]
pub fn try_spawn<F, E>(f: F)
where
    F: FnOnce() -> Result<(), E> + Send + 'static,
    E: Display + Send + 'static,
{
    let job = unnamed::<F>(Location::caller()).closure(f, Outcome::of_job_result);
    // The error has been recorded and logged, and there is no handle to return it through.
    rayon::spawn(move || drop(job()));
}

/// Runs two closures in the current span, potentially in parallel: a replacement for [`rayon::join`]. Both have the whole
/// context of the caller, who waits for them.
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
