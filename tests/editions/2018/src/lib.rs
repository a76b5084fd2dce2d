//! The attributes in edition 2018.

#![cfg(test)]

#[path = "../../shapes/mod.rs"]
mod shapes;

mod own;
