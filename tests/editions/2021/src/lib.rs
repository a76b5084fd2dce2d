//! The attributes in edition 2021.

#![cfg(test)]

#[path = "../../shapes/mod.rs"]
mod shapes;

#[allow(clippy::all, clippy::pedantic, unused_variables, reason = "as in `shapes`")]
mod own;
