//! Tests of automatic propagation, and of the examples in its documentation: both need `--cfg tokio_unstable`.

#[cfg(doctest)]
#[doc = include_str!("../../../runtime/doc/automatic.md")]
pub struct Automatic;
