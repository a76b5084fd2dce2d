//! Detached jobs.

mod attribute;
mod functions;
mod inheritance;
mod lifetime;
