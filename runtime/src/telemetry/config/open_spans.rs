//! The registry of open spans, which only the builder configures.

use std::time::Duration;

/// The maximum number of spans that can be tracked, which takes about fifty megabytes.
const LARGEST: usize = 1 << 18;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenSpansConfig {
    /// The maximum number of spans that are tracked; zero disables tracking.
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
