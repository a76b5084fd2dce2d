//! The ways to leave a function.

mod panicking;
mod returning;
