//! The interface between the export thread and exporters.

use std::future::Future;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::super::text::bounded;
use crate::tracer::decode;
use crate::tracer::encoded::{QueuedSpans, Scopes, frames, message};

/// Spans to export.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(super) spans: Vec<QueuedSpans>,
    /// The instrumentation scopes that the spans refer to.
    pub(super) scopes: &'a Scopes,
    /// The maximum number of spans per request. The batch may have more if they were handed over together.
    pub(super) max_spans: usize,
}

/// Exports batches of spans, one at a time.
pub(crate) trait BatchExporter {
    /// Exports a batch, with retries, and reports the outcome of each part as soon as it is known. Returns when the
    /// outcome of the whole batch has been reported.
    fn export(&self, batch: Batch<'_>, report: &dyn Fn(Outcome)) -> impl Future<Output = ()>;

    /// Why the last attempt to export the current batch failed, if known.
    fn last_error(&self) -> Option<String> {
        None
    }

    /// Called when a shutdown begins that has to complete within the given time. A batch that is waiting for a retry
    /// should be retried now.
    fn shutdown_begins(&self, _left: Duration) {}

    /// Called when everything queued before a flush has been exported.
    fn flush(&self) {}

    /// Called when the export ends.
    fn shutdown(&self, _timeout: Duration) {}
}

/// The outcome of a part of a batch.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(super) exported: u64,
    pub(super) refused: u64,
    /// Why spans were refused; if none were, a warning of the collector.
    pub(super) reason: String,
}

impl Outcome {
    pub(super) fn exported(spans: u64) -> Self {
        Self { exported: spans, ..Self::default() }
    }

    pub(super) fn refused(spans: u64, reason: String) -> Self {
        Self { refused: spans, reason, ..Self::default() }
    }
}

fn decoded(batch: Batch<'_>) -> Vec<SpanData> {
    let mut spans = Vec::new();
    for part in batch.spans {
        part.each_run(|scope, run| {
            let unknown = InstrumentationScope::default;
            let scope = batch.scopes.get(scope).map_or_else(unknown, |scope| InstrumentationScope::clone(&scope));
            spans.extend(frames(run).map(|frame| decode::span(message(frame), &scope)));
        });
    }
    spans
}

/// An exporter that discards spans, for processes in which they are only audited.
#[derive(Debug)]
pub(crate) struct Discard;

impl BatchExporter for Discard {
    async fn export(&self, batch: Batch<'_>, report: &dyn Fn(Outcome)) {
        report(Outcome::exported(batch.spans.iter().map(|spans| u64::from(spans.count)).sum()));
    }
}

/// A custom exporter, which does not retry.
#[derive(Debug)]
pub(crate) struct SdkExporter<E>(pub(crate) E);

impl<E: SpanExporter> BatchExporter for SdkExporter<E> {
    async fn export(&self, batch: Batch<'_>, report: &dyn Fn(Outcome)) {
        let max_spans = batch.max_spans.max(1);
        let mut spans = decoded(batch);
        while !spans.is_empty() {
            let rest = spans.split_off(spans.len().min(max_spans));
            let count = spans.len() as u64;
            report(match self.0.export(std::mem::replace(&mut spans, rest)).await {
                Ok(()) => Outcome::exported(count),
                Err(error) => Outcome::refused(count, bounded(&error.to_string())),
            });
        }
    }

    /// An exporter may have a buffer of its own (specification of the tracing SDK, "`ForceFlush`").
    fn flush(&self) {
        let _ = self.0.force_flush();
    }

    fn shutdown(&self, timeout: Duration) {
        let _ = self.0.shutdown_with_timeout(timeout);
    }
}
