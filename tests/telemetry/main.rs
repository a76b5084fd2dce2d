//! `throughline::init`: exported spans arrive, excess load is shed as whole traces, and a shutdown loses nothing.
//!
//! Telemetry is process-wide, so each test runs in its own process; see `process`.

mod process;
mod program;
mod support;

mod answers;
mod audit;
mod connections;
mod contexts;
mod dead_connections;
mod exit;
mod frames;
mod injections;
mod notices;
mod outage;
mod overload;
mod retries;
mod samplers;
mod setup;
mod signals;
mod subscriber;
mod tracing_layer;
mod unfinished;
mod variables;
mod wire;
#[cfg(target_os = "linux")]
mod without_threads;
