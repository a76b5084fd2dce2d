//! Protects telemetry from application code that it calls: from panics and recursion.

pub(crate) mod panics;
pub(crate) mod reentrance;
