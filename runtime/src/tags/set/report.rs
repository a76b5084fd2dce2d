//! Reports of tags without a value, and of tags that exceed a limit.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, Key, KeyValue};

use crate::{metrics, semconv};

/// Reports required tags without a value: an event on the span, and a counter.
pub(crate) fn report_missing(keys: &[&'static str], context: &Context) {
    for key in keys {
        let key = KeyValue::new(semconv::THROUGHLINE_TAG_KEY, *key);
        context.span().add_event("throughline.tag.missing", vec![key.clone()]);
        metrics::add(["throughline.tags.missing", "{tag}", "Required tags that had no value"], 1, &[key]);
    }
}

/// Reports tags that exceed the limit: a counter, and a warning the first time.
#[cold]
pub(in crate::tags) fn report_dropped(dropped: usize, first: &Key, max: usize) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let counter = ["throughline.tags.dropped", "{tag}", "Tags dropped because too many were in scope"];
    metrics::add(counter, dropped as u64, &[]);
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(target: "throughline", "tag `{first}` dropped: the limit of {max} tags in scope is reached; \
            further drops are only counted; use `tags(…)` or `throughline::record` for attributes of a single span, or raise \
            `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`");
    }
}

/// Reports a baggage member that exceeds a limit: a warning the first time.
#[cold]
pub(crate) fn report_unsent(key: &str) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(target: "throughline", "baggage member `{key}` not sent to other processes: W3C Baggage allows \
            64 members, 8192 bytes and ASCII keys; propagate fewer or shorter tags; further ones are not logged");
    }
}
