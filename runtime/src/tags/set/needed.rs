//! Tags of calls that are not recorded, but which are needed nevertheless.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;

use crate::context::data::Data;

/// The tags that are needed although the call is not recorded.
#[derive(Debug)]
pub(crate) enum NeededTags {
    /// All tags in scope, for log lines.
    ForLogs,
    /// Tags that override a tag or a baggage member of this context.
    Overriding(Context),
}

impl NeededTags {
    /// Whether any tags are needed: a log formatter uses them, or there is something that they could override.
    #[inline]
    pub(crate) fn are_any(context: &Context) -> bool {
        is_read_by_logs() || has_any(context)
    }

    /// `None` if no tags are needed.
    pub(crate) fn below(context: &Context) -> Option<Self> {
        if is_read_by_logs() {
            return Some(Self::ForLogs);
        }
        has_any(context).then(|| Self::Overriding(context.clone()))
    }

    /// Whether the scoped tag `key` is needed: log lines include all tags, and an outdated value in the context has
    /// to be overridden.
    pub(super) fn needs(&self, key: &'static str) -> bool {
        let Self::Overriding(context) = self else { return true };
        context.baggage().get(key).is_some() || Data::of(context).is_some_and(|data| data.tags.has(key))
    }
}

/// Whether the context has tags or baggage. A span of our own tracer could hold tags too, but calls below it are
/// recorded.
#[inline(never)]
fn has_any(context: &Context) -> bool {
    Data::of(context).is_some_and(|data| !data.tags.is_empty()) || !context.baggage().is_empty()
}

/// Whether log lines include tags, even in traces that are not sampled.
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use opentelemetry::KeyValue;

    use super::super::{Tag, Tags};
    use super::*;

    #[test]
    fn an_unrecorded_call_evaluates_only_tags_that_override_others() {
        let mut above = Tags::default();
        above.scope("tenant_id", || Tag::new(Some("acme".into())));
        above.scope("tier", || Tag::new(Some("gold".into())));
        let context = above.enrich(&Context::new()).expect("there are tags");
        let region = [KeyValue::new("region", "eu")];
        assert!(has_any(&context) && !has_any(&Context::new()));
        assert!(has_any(&Context::new().with_baggage(region.clone())));
        let context = context.with_baggage(region);
        let mut tags = Tags::default();
        tags.keep_only(NeededTags::Overriding(context));
        let evaluated = RefCell::new(Vec::new());
        let tag = |key| {
            evaluated.borrow_mut().push(key);
            Tag::new(Some("globex".into()))
        };
        for key in ["tenant_id", "region", "order_no"] {
            tags.scope(key, || tag(key));
            tags.add(key, || unreachable!("attributes of the span alone are not needed"));
        }
        assert_eq!(evaluated.take(), ["tenant_id", "region"]);
        assert!(tags.take_missing().is_empty(), "nothing has panicked");
    }
}
