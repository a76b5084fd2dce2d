//! A crate with `#[traced]` before every function is the same crate. `README.md` tells how to ask that of
//! one.

pub mod crates;
pub mod diagnostics;
pub mod lints;
pub mod source;
pub mod suite;
