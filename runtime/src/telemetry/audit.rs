//! The audit of this process. Without the feature `audit`, types without values stand in for it.

#[cfg(feature = "audit")]
pub(crate) use crate::audit::{LiveAudit, Rules};

#[cfg(not(feature = "audit"))]
pub(crate) use self::absent::{LiveAudit, Rules};

#[cfg(not(feature = "audit"))]
mod absent {
    use std::sync::Arc;
    use std::time::Duration;

    use opentelemetry::trace::TraceId;

    use crate::atomic::AtomicU64;
    use crate::span::registry::Table;
    use crate::tracer::encoded::QueuedSpans;

    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Rules {}

    #[derive(Debug, Clone)]
    pub(crate) enum LiveAudit {}

    impl LiveAudit {
        pub(crate) fn new(
            rules: Rules,
            _service: &str,
            _open_spans: Option<&'static Table>,
            _max_age: Duration,
            _refused: Arc<AtomicU64>,
        ) -> Self {
            match rules {}
        }

        pub(crate) fn observe(&self, _batch: &[QueuedSpans]) {
            match *self {}
        }

        pub(crate) fn judge(&self, _is_flush: bool, _is_shutdown: bool, _is_queued: impl Fn(TraceId) -> bool) {
            match *self {}
        }
    }
}
