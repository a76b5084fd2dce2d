//! The tree of a trace, as the console and tests show it.

pub(crate) mod tree;
