//! Detached jobs: spawning them, and tracking which are running.

mod join_set;
mod observer;
#[cfg(feature = "rayon")]
pub mod rayon;
mod sent;
mod span;
pub(crate) mod spawn;
pub mod tracker;

pub use join_set::{JoinSetExt, TryJoinSetExt};
