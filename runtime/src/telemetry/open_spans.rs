//! Lists open spans, warns about them, and ends them on shutdown.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, Status, TraceContextExt as _, TraceId};

use super::diagnostics;
use super::text::{bounded, count};
use crate::semconv;
use crate::span::registry::{Entry, Overdue, Table};
use crate::tracer::TracerProvider;

/// The interval at which open spans are scanned.
pub(crate) const SCAN_INTERVAL: Duration = Duration::from_millis(500);

/// An open span: it has started and has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenSpan {
    /// The span name.
    pub name: Cow<'static, str>,
    /// The trace ID.
    pub trace_id: TraceId,
    /// The span ID.
    pub span_id: SpanId,
    /// The time since its start, accurate to half a second.
    pub age: Duration,
    /// The source location at which it was started; `None` if an integration started it.
    pub place: Option<&'static Location<'static>>,
}

impl OpenSpan {
    fn new(entry: &Entry, age: Duration) -> Self {
        let identity = entry.identity();
        Self {
            name: entry.name.clone(),
            trace_id: identity.trace_id(),
            span_id: identity.span_id(),
            age,
            place: entry.place,
        }
    }
}

/// The open spans, oldest first.
pub(super) fn list(table: &Table) -> Vec<OpenSpan> {
    let mut spans = Vec::new();
    table.each(|entry, age| spans.push(OpenSpan::new(entry, age)));
    oldest_first(spans)
}

/// Ends and marks all open spans, except for those of another provider of Throughline, and returns them, oldest first.
pub(super) fn end_all(table: &Table, provider: &TracerProvider) -> Vec<OpenSpan> {
    let mut spans = Vec::new();
    for (entry, age) in table.drain(|context| provider.may_have_started(context)) {
        spans.push(OpenSpan::new(&entry, age));
        let span = entry.context.span();
        span.set_attribute(KeyValue::new(semconv::THROUGHLINE_UNFINISHED, true));
        span.set_status(Status::error("process shut down before the span ended"));
        span.end();
    }
    oldest_first(spans)
}

fn oldest_first(mut spans: Vec<OpenSpan>) -> Vec<OpenSpan> {
    spans.sort_by_key(|span| std::cmp::Reverse(span.age));
    spans
}

/// A name and a place.
type Place = (Cow<'static, str>, Option<&'static Location<'static>>);

/// For each place, the span that has been open for longest, and the number of all of them.
fn by_place(spans: Vec<(Overdue, Duration)>) -> BTreeMap<Place, ((SpanContext, Duration), u64)> {
    let mut by_place = BTreeMap::new();
    for (Overdue { identity, name, place }, age) in spans {
        let (oldest, count) = by_place.entry((name, place)).or_insert_with(|| ((identity.clone(), age), 0));
        *count += 1;
        if age > oldest.1 {
            *oldest = (identity, age);
        }
    }
    by_place
}

/// Warns about spans that stay open.
pub(crate) struct OpenSpanWatch {
    table: &'static Table,
    warn_after: Duration,
    /// Whether the warning about untracked spans was logged.
    has_warned: AtomicBool,
}

impl OpenSpanWatch {
    pub(super) fn new(table: &'static Table, warn_after: Duration) -> Self {
        Self { table, warn_after, has_warned: AtomicBool::new(false) }
    }

    /// Logs a warning for spans that have been open for too long: a shared one for spans that were started at the same
    /// place, because if one of them does not end, others probably will not either.
    pub(crate) fn scan(&self) {
        self.table.tick();
        self.warn_of_untracked();
        for ((name, place), ((identity, age), count)) in by_place(self.table.overdue(self.warn_after)) {
            let at = place.map_or_else(String::new, |place| format!(" started at {}:{}", place.file(), place.line()));
            let more = if count > 1 { format!("; {} more from the same place", count - 1) } else { String::new() };
            diagnostics::emit(|| {
                tracing::warn!(
                    target: diagnostics::TARGET,
                    trace_id = %identity.trace_id(),
                    span_id = %identity.span_id(),
                    "the span `{}`{at} has been open for {} s and may never end: it is exported only when it ends; \
                     give each unit of work its own span, or raise `Builder::open_span_warning`{more}",
                    bounded(&name),
                    age.as_secs(),
                );
            });
        }
    }

    /// Logs a warning, once, if there are untracked spans.
    fn warn_of_untracked(&self) {
        let missed = self.table.missed();
        if missed > 0 && !self.has_warned.swap(true, Ordering::Relaxed) {
            let missed = count(missed, "span");
            diagnostics::emit(|| {
                tracing::warn!(
                    target: diagnostics::TARGET,
                    "{missed} not tracked, because too many are open: a shutdown does not end those that are not \
                     tracked; raise `Builder::max_open_spans`, or end spans earlier",
                );
            });
        }
    }

    /// Scans on a separate thread, if there is no export thread, until the returned value is dropped. Also logs
    /// deferred messages.
    pub(super) fn spawn(self) -> io::Result<mpsc::Sender<Infallible>> {
        let (guard, is_dropped) = mpsc::channel();
        thread::Builder::new().name("throughline-watch".to_owned()).spawn(move || {
            while let Err(mpsc::RecvTimeoutError::Timeout) = is_dropped.recv_timeout(SCAN_INTERVAL) {
                diagnostics::log_deferred();
                self.scan();
            }
        })?;
        Ok(guard)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{TraceFlags, TraceState};

    use super::*;

    #[test]
    fn the_oldest_span_of_a_place_is_named() {
        let overdue = |id: u64, name: &'static str, place, seconds| {
            let identity = SpanContext::new(1.into(), id.into(), TraceFlags::SAMPLED, false, TraceState::NONE);
            (Overdue { identity, name: name.into(), place }, Duration::from_secs(seconds))
        };
        let here = Some(Location::caller());
        let there = Some(Location::caller());
        let spans = vec![
            overdue(1, "a", here, 5),
            overdue(2, "a", here, 9),
            overdue(3, "a", here, 7),
            overdue(4, "a", there, 1),
            overdue(5, "b", here, 2),
            overdue(6, "b", here, 2),
            overdue(7, "a", None, 3),
        ];
        let mut named: Vec<_> = by_place(spans)
            .into_iter()
            .map(|((name, place), ((identity, age), count))| {
                (u64::from_be_bytes(identity.span_id().to_bytes()), name, place, age.as_secs(), count)
            })
            .collect();
        named.sort_unstable_by_key(|named| named.0);
        let expected = [(2, "a", here, 9, 3), (4, "a", there, 1, 1), (5, "b", here, 2, 2), (7, "a", None, 3, 1)];
        assert_eq!(named, expected.map(|(id, name, place, age, count)| (id, name.into(), place, age, count)));
    }
}
