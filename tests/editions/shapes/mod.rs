//! Functions that every edition understands, though not always in the same way.

#![allow(
    clippy::all,
    clippy::pedantic,
    unused_variables,
    reason = "the shapes of other people's functions, not the style of this crate"
)]

#[path = "../../shapes/shapes/harness.rs"]
pub(crate) mod harness;

mod detached;
mod functions;
mod scopes;
mod tags;
