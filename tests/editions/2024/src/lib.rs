//! The attributes in edition 2024.

#![cfg(test)]

#[path = "../../shapes/mod.rs"]
mod shapes;

mod own;
