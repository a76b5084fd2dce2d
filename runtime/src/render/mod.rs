//! Spans as a tree of text, as the console and tests show them.

pub(crate) mod span;
pub(crate) mod tree;
