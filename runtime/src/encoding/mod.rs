//! The encoding of spans for OTLP, written while they are recorded.

pub(crate) mod code;
pub(crate) mod fields;
pub(crate) mod keys;
pub(crate) mod reader;
pub(crate) mod recycled;
pub(crate) mod wire;

/// An instrumentation scope of a provider, as an index into a list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ScopeId(pub(crate) u32);

impl ScopeId {
    /// The scope of our own spans: the first of every provider.
    pub(crate) const OURS: Self = Self(0);

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The role of a span in the buffer of its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The first span of the buffer, and the local root of the trace in this process.
    LocalRoot,
    /// The first span of the buffer, with a parent of another tracer, or started through OpenTelemetry's API.
    First,
    /// The first span of the buffer, with the span context of a parent that may have ended, as in a detached job.
    Detached,
    /// A further span, in the buffer of its parent.
    Below,
}
