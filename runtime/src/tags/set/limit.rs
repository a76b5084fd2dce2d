//! The limit of the number of tags in scope.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry::KeyValue;

use super::Tags;
use super::report::report_dropped;

impl Tags {
    /// Drops tags that exceed the limit. A tag that overrides another one is always kept.
    #[inline]
    pub(crate) fn cap(&mut self, inherited: &[KeyValue]) {
        let max = max_scoped();
        if self.scoped.len() + inherited.len() > max && !self.scoped.is_empty() {
            self.capped(inherited, max);
        }
    }

    #[cold]
    fn capped(&mut self, inherited: &[KeyValue], max: usize) {
        let known: HashSet<_> = inherited.iter().map(|tag| tag.key.as_str()).collect();
        let (mut room, before) = (max.saturating_sub(inherited.len()), self.scoped.len());
        let mut first = None;
        self.scoped.retain(|tag| {
            if known.contains(tag.key.as_str()) {
                return true;
            }
            let fits = room > 0;
            room = room.saturating_sub(1);
            if !fits {
                first.get_or_insert_with(|| tag.key.clone());
            }
            fits
        });
        if let Some(first) = first {
            report_dropped(before - self.scoped.len(), &first, max);
        }
    }
}

/// The maximum number of tags in scope. The default is the default attribute limit of a span.
static MAX_SCOPED: AtomicUsize = AtomicUsize::new(128);

pub(in crate::tags) fn max_scoped() -> usize {
    MAX_SCOPED.load(Ordering::Relaxed)
}

/// Sets the maximum number of tags in scope for this process.
#[cfg(feature = "otlp")]
pub(crate) fn set_max_scoped(max: usize) {
    MAX_SCOPED.store(max, Ordering::Relaxed);
}
