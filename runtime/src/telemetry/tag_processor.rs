//! Tags on the spans of other libraries.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::Span as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::span::tracer;
use crate::tags::scoped;
use crate::tags::set::has_key;

/// A span processor that adds the tags of `#[biz_tags]` to spans that other libraries start.
///
/// This includes spans that are started through the OpenTelemetry API, and those of `tracing` with
/// `tracing-opentelemetry`. In OpenTelemetry's terms, these tags are context-scoped attributes.
///
/// Register it before the processors that export. An attribute that the span starts with takes precedence over a tag
/// of the same key. Throughline's own spans start with their tags, so that samplers see them; this processor
/// does not change them.
///
/// The cost is one copy of the span's attributes if there are tags in the context, and one lookup in the context
/// otherwise.
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
    /// Creates the processor.
    pub fn new() -> Self {
        Self::default()
    }
}

impl SpanProcessor for TagProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        if tracer::is_own_span() {
            return;
        }
        let tags = scoped::of(context);
        if tags.is_empty() {
            return;
        }
        let set = span.exported_data().map(|data| data.attributes).unwrap_or_default();
        span.set_attributes(tags.list().iter().filter(|tag| !has_key(&set, &tag.key)).cloned());
    }

    fn on_end(&self, _span: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
