//! An in-memory sink for tests and fuzz targets.

use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;

use super::encoded::{EncodedSpans, SpanSink};

/// Keeps the spans that are pushed.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Vec<EncodedSpans>>);

impl Kept {
    /// Takes the spans that were pushed since the last call, one element per push.
    pub(crate) fn take(&self) -> Vec<EncodedSpans> {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SpanSink for Kept {
    fn push(&self, spans: &EncodedSpans<Vec<u8>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(spans.with(spans.bytes.as_slice().into()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
