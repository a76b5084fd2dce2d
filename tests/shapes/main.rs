//! The shapes of functions.

#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "clippy sees traced functions as they are written, and these have little to do"
)]

mod shapes;
