//! Options that take an expression.

use throughline::{traced, traced_spawn};

#[traced(parent = %message)]
fn displayed(message: opentelemetry::Context) {}

#[traced(links = #messages)]
fn interpolated(messages: Vec<opentelemetry::Context>) {}

#[traced(name = $name)]
fn variable() {}

#[traced_spawn(on = ?handle)]
async fn debugged(handle: tokio::runtime::Handle) {}

#[traced(parent = message +)]
fn half(message: opentelemetry::Context) {}

fn main() {}
