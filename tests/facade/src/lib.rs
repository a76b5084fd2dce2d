//! What a company's own crate of tools does: it hands `throughline` on, under its own name.

/// One level down, and under another name.
pub mod telemetry {
    pub use throughline as trace;
}

pub use throughline;
