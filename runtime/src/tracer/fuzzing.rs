//! What the fuzz target of the encoding needs, which is outside of this crate. Compiled with `--cfg fuzzing` alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::IdGenerator;

use super::encoded::{EncodedSpans, SpanSink, frames, message};
use super::{Tracer, TracerProvider};

#[derive(Debug, Default)]
struct Kept(Mutex<Vec<EncodedSpans>>);

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

/// The spans that `record` has ended, each as a `Span` message of OTLP.
#[must_use]
pub fn encoded(ids: impl IdGenerator + 'static, record: impl FnOnce(&Tracer)) -> Vec<Vec<u8>> {
    let kept = Arc::new(Kept::default());
    let provider = TracerProvider::builder().with_id_generator(ids).with_sink(kept.clone()).build();
    record(&provider.tracer("fuzz"));
    let kept = std::mem::take(&mut *kept.0.lock().unwrap_or_else(PoisonError::into_inner));
    let mut spans = Vec::new();
    for part in &kept {
        let before = spans.len();
        spans.extend(frames(&part.bytes).map(|frame| message(frame).to_owned()));
        assert_eq!(spans.len() - before, part.count as usize, "each span is counted");
    }
    spans
}
