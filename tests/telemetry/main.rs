//! `throughline::init`: what is exported arrives, what does not fit is shed as whole traces, and no shutdown forgets
//! anything.
//!
//! Telemetry is process-wide, so each test runs in a process of its own: see `process`.

mod process;
mod program;
mod support;

mod answers;
mod exit;
mod notices;
mod outage;
mod overload;
mod samplers;
mod setup;
mod unfinished;
mod variables;
mod wire;
