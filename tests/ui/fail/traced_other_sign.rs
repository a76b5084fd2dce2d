//! The value of an option is written with `=`.

use throughline::{traced, traced_spawn};

#[traced(name => "place")]
fn arrow() {}

#[traced_spawn(kind := producer)]
async fn colon() {}

#[traced(crate::runtime)]
fn path() {}

fn main() {}
