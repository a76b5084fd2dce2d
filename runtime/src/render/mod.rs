//! Spans as a text tree, for the console and for tests.

pub(crate) mod span;
pub(crate) mod tree;
