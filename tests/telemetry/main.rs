//! `throughline::init`: what is sent arrives, what does not fit goes as whole traces, and no exit
//! forgets anything.
//!
//! There is one of it in a process, so each test runs in a process of its own: see `process`.

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
