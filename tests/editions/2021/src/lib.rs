//! The attributes in edition 2021.

#![cfg(test)]

#[path = "../../shapes/mod.rs"]
mod shapes;

mod own;
