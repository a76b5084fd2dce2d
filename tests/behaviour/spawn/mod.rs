//! Detached jobs.
#![allow(clippy::unused_async, reason = "the functions are there to be traced, and are as short as can be")]

mod attribute;
mod functions;
mod inheritance;
mod lifetime;
