//! Protects telemetry from the application code it calls: from panics, and from recursion.

pub(crate) mod panics;
pub(crate) mod reentrance;
