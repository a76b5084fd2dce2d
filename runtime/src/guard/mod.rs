//! Telemetry must not fail by the code that it calls, nor call itself.

pub(crate) mod panics;
pub(crate) mod reentrance;
