//! Detached jobs: spawning them, and tracking which are running.

#[cfg(all(feature = "tokio", tokio_unstable))]
pub(crate) mod automatic;
mod builder;
mod join_set;
mod name;
mod observer;
mod own;
#[cfg(feature = "rayon")]
pub mod rayon;
mod sent;
mod span;
pub(crate) mod spawn;
pub(crate) mod timeout;
pub mod tracker;
#[cfg(feature = "testing")]
pub(crate) mod watched;

pub use join_set::{JoinSetExt, TryJoinSetExt};
