//! The interface between the export thread and exporters.

use std::future::Future;
use std::time::Duration;

use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::super::text::bounded;

/// Exports batches of spans, one at a time.
pub(crate) trait BatchExporter {
    /// Exports a batch, with retries, and reports the outcome of each part as soon as it is known. Returns when the
    /// outcome of the whole batch has been reported.
    fn export(&self, batch: Vec<SpanData>, report: &dyn Fn(Outcome)) -> impl Future<Output = ()>;

    /// Why the last attempt to export the current batch failed, if known.
    fn last_error(&self) -> Option<String> {
        None
    }

    /// The process is shutting down: a batch that is waiting to be retried should be retried now.
    fn retry_now(&self) {}

    /// Nothing will be exported any more.
    fn shutdown(&self, _timeout: Duration) {}
}

/// The outcome of a part of a batch.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(super) exported: u64,
    pub(super) refused: u64,
    /// Why spans were refused.
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

/// A custom exporter, which does not retry.
#[derive(Debug)]
pub(crate) struct SdkExporter<E>(pub(crate) E);

impl<E: SpanExporter> BatchExporter for SdkExporter<E> {
    async fn export(&self, batch: Vec<SpanData>, report: &dyn Fn(Outcome)) {
        let spans = batch.len() as u64;
        report(match self.0.export(batch).await {
            Ok(()) => Outcome::exported(spans),
            Err(error) => Outcome::refused(spans, bounded(&error.to_string())),
        });
    }

    fn shutdown(&self, timeout: Duration) {
        let _ = self.0.shutdown_with_timeout(timeout);
    }
}
