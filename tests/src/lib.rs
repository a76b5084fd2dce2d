//! Tests only; see the folders beside this one.

/// The code of the page is compiled and run by the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/from-tracing.md")]
struct FromTracing;
