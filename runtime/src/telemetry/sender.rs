//! Who takes the batches, and what becomes of them.

use std::future::Future;
use std::time::Duration;

use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::text::bounded;

/// What takes batches.
pub(super) trait Sender {
    /// Sends a batch, and says of each part of it what became of it as soon as that is known. Does not come
    /// back before all of it is settled.
    fn send(&self, batch: Vec<SpanData>, settle: &dyn Fn(Sent)) -> impl Future<Output = ()>;

    /// What the last try of the batch that is being sent has failed of, if it is known.
    fn trouble(&self) -> String {
        String::new()
    }

    /// There will not be much time any more: what waits for a better moment is to be tried now.
    fn hurry(&self) {}

    /// Nothing will be sent any more.
    fn end(&self, _limit: Duration) {}
}

/// What became of a part of a batch.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) taken: u64,
    /// For good.
    pub(super) refused: u64,
    /// Why it was refused.
    pub(super) why: String,
}

/// An exporter that is not ours.
#[derive(Debug)]
pub(super) struct Foreign<E>(pub(super) E);

impl<E: SpanExporter> Sender for Foreign<E> {
    async fn send(&self, batch: Vec<SpanData>, settle: &dyn Fn(Sent)) {
        let count = batch.len() as u64;
        settle(match self.0.export(batch).await {
            Ok(()) => Sent { taken: count, ..Sent::default() },
            Err(error) => Sent { refused: count, why: bounded(&error.to_string()), ..Sent::default() },
        });
    }

    fn end(&self, limit: Duration) {
        let _ = self.0.shutdown_with_timeout(limit);
    }
}
