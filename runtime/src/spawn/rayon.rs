//! Work for rayon's pool.

use super::{plain, unnamed};
use crate::callsite::Callsite;
use crate::snapshot::Snapshot;

/// Starts `f` on rayon's pool as a detached job. The drop-in for [`rayon::spawn`]; otherwise like
/// [`crate::spawn`].
#[track_caller]
pub fn spawn<F>(f: F)
where
    F: FnOnce() + Send + 'static,
{
    rayon::spawn(unnamed::<F>(&Callsite::block("")).closure(f, plain));
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
