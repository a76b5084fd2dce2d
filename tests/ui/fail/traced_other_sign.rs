//! The value of an option is written with `=`.

use throughline::{traced, traced_spawn};

#[traced(name => "place")]
fn arrow() {}

#[traced_spawn(kind := producer)]
async fn colon() {}

#[traced(crate::runtime)]
fn path() {}

#[traced(kind == server)]
fn two_signs() {}

#[traced(parent(message), name("place"))]
fn parentheses(message: opentelemetry::Context) {}

#[traced_spawn(link(message), on(handle))]
async fn of_a_job(message: opentelemetry::Context, handle: tokio::runtime::Handle) {}

fn main() {}
