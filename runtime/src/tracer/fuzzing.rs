//! Support for the fuzz target of the encoding, which is outside of this crate. Only compiled with `--cfg fuzzing`.

use std::sync::Arc;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::IdGenerator;

use super::encoded::{frames, message};
use super::kept::Kept;
use super::{Tracer, TracerProvider};

/// Returns the spans that `record` has ended, each as a `Span` message of OTLP.
#[must_use]
pub fn encoded(ids: impl IdGenerator + 'static, record: impl FnOnce(&Tracer)) -> Vec<Vec<u8>> {
    let kept = Arc::new(Kept::default());
    let provider = TracerProvider::builder().with_id_generator(ids).with_sink(Arc::<Kept>::clone(&kept)).build();
    record(&provider.tracer("fuzz"));
    let mut spans = Vec::new();
    for part in kept.take() {
        let before = spans.len();
        spans.extend(frames(&part.bytes).map(|frame| message(frame).to_owned()));
        assert_eq!(spans.len() - before, part.count as usize, "`count` is the number of spans");
    }
    spans
}
