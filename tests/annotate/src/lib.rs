//! A crate behaves the same with `#[traced]` on every function. `README.md` describes how to check that for a crate.

pub mod crates;
pub mod diagnostics;
pub mod lints;
pub mod source;
pub mod suite;
