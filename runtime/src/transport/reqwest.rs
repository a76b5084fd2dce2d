//! Requests of `reqwest`.
