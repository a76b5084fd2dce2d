//! Calls that are not recorded, but whose tags are needed.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;

use crate::context::data::Data;

/// Which tags are needed although nothing is recorded.
#[derive(Debug)]
pub(crate) enum NeededTags {
    /// All tags in scope, for log lines.
    ForLogs,
    /// Tags that override a tag or a baggage member of this context.
    Overriding(Context),
}

impl NeededTags {
    /// `None` if no tags are needed: there is nothing that they could override, and no log formatter uses them.
    #[inline]
    pub(crate) fn below(context: &Context) -> Option<Self> {
        if is_read_by_logs() {
            return Some(Self::ForLogs);
        }
        // A span of our own tracer would not be off.
        let needed = Data::of(context).is_some_and(|data| !data.tags.is_empty());
        (needed || !context.baggage().is_empty()).then(|| Self::Overriding(context.clone()))
    }

    /// Whether the scoped tag `key` is needed: log lines include all tags, and an outdated value in the context has
    /// to be overridden.
    pub(super) fn needs(&self, key: &'static str) -> bool {
        let Self::Overriding(context) = self else { return true };
        context.baggage().get(key).is_some() || Data::of(context).is_some_and(|data| data.tags.has(key))
    }
}

/// Whether log lines include tags, in traces that are not sampled too.
static READ_BY_LOGS: AtomicBool = AtomicBool::new(false);

#[inline]
pub(crate) fn is_read_by_logs() -> bool {
    READ_BY_LOGS.load(Ordering::Relaxed)
}

/// Enables the evaluation of scoped tags in traces that are not sampled. Cannot be undone.
#[cfg(feature = "log")]
pub(crate) fn read_by_logs() {
    READ_BY_LOGS.store(true, Ordering::Relaxed);
}
