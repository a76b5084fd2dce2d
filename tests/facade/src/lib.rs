//! A company's internal crate, which reexports `throughline` under its own name.

/// One level down, and under another name.
pub mod telemetry {
    pub use throughline as trace;
}

pub use throughline;
