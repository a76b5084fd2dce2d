//! Work for rayon's pool.

use std::fmt::Display;
use std::panic::Location;

use super::spawn::{plain, unnamed};
use crate::context::snapshot::Snapshot;
use crate::span::outcome::Outcome;

/// Starts `f` on rayon's pool as a detached job. The drop-in for [`rayon::spawn`]; otherwise like
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
    // Its error is on the span and in the log, and there is no handle to have it.
    rayon::spawn(move || drop(job()));
}

/// Runs two closures, in parallel if it can, in the current span. The drop-in for [`rayon::join`].
pub fn join<A, B, RA, RB>(a: A, b: B) -> (RA, RB)
where
    A: FnOnce() -> RA + Send,
    B: FnOnce() -> RB + Send,
    RA: Send,
    RB: Send,
{
    let snapshot = Snapshot::capture();
    rayon::join(snapshot.clone().wrap(a), snapshot.wrap(b))
}
