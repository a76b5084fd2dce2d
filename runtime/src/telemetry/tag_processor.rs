//! Tags on the spans of other code.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::Span as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::context::data::Data;
use crate::span::tracer;
use crate::tags::set::has_key;

/// Puts the tags of `#[biz_tags]` on spans that other code starts: through the OpenTelemetry API,
/// or through `tracing` with `tracing-opentelemetry`.
///
/// These are the context-scoped attributes of the OpenTelemetry specification. Register it before
/// the processors that export. Throughline's own spans have their tags already when they start, so
/// that samplers see them, and are left alone. An attribute that the other code has set itself
/// wins.
///
/// Costs nothing for a span without tags above it; otherwise one copy of the span's attributes, to
/// see which are set.
///
/// ```
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use throughline::telemetry::TagProcessor;
///
/// let provider = SdkTracerProvider::builder()
///     .with_span_processor(TagProcessor::new())
///     // …then the exporter
///     .build();
/// throughline::install(&provider);
/// ```
#[derive(Debug, Default)]
pub struct TagProcessor(());

impl TagProcessor {
    /// A processor that does this one thing.
    pub fn new() -> Self {
        Self::default()
    }
}

impl SpanProcessor for TagProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        if tracer::is_own_span() {
            return;
        }
        let Some(data) = Data::of(context).filter(|data| !data.tags.is_empty()) else { return };
        let set = span.exported_data().map(|data| data.attributes).unwrap_or_default();
        span.set_attributes(data.tags.iter().filter(|tag| !has_key(&set, &tag.key)).cloned());
    }

    fn on_end(&self, _span: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
