//! Kinds of function bodies.

mod control;
mod names;
mod plain;
mod recursion;
