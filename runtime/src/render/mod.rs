//! Spans as a text tree, for the console, for tests and for the audit.

#[cfg(any(feature = "console", feature = "testing"))]
pub(crate) mod span;
pub(crate) mod tree;
