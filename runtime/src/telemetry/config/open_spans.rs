//! The registry of open spans, which only the builder configures.

use std::time::Duration;

/// The most spans that can be tracked: some fifty megabytes.
const LARGEST: usize = 1 << 18;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenSpansConfig {
    /// The most spans that are tracked; zero turns tracking off.
    pub(crate) max: usize,
    /// How long a span may be open before a warning is logged.
    pub(crate) warn_after: Duration,
}

impl Default for OpenSpansConfig {
    fn default() -> Self {
        Self { max: 1 << 14, warn_after: Duration::from_secs(5 * 60) }
    }
}

impl OpenSpansConfig {
    pub(crate) fn set_max(&mut self, spans: usize) {
        self.max = spans.min(LARGEST);
    }
}
