//! A call of each method that is forbidden. A line that ends in `//~` and a path is one where clippy has to name that
//! path; there is no other.
#![allow(dead_code, deprecated, reason = "the calls are linted, never made")]

mod actix;
mod join;
mod rayon;
mod standard;
mod tokio;
mod tokio_util;

async fn job() {}
fn work() {}
