//! Tests only; see the folders beside this one.
