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

/// What a span is to the buffer of its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It began the buffer, and the trace in this process.
    LocalRoot,
    /// It began the buffer, below a span of another tracer, or by OpenTelemetry's API.
    First,
    /// It began the buffer, below the identity of a span that may have ended, as a detached job does.
    Detached,
    /// The buffer is that of a span above.
    Below,
}
