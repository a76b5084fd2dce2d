//! Tags on OpenTelemetry's log records.

use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord as _};
use opentelemetry::{Array, InstrumentationScope, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};

use crate::tags::set::{current_tags, read_by_logs};

/// A log processor that adds the tags in scope to each log record.
///
/// Register it before the processors that export. An attribute that the record already has takes precedence. No
/// processor is needed for the IDs: the SDK takes them from the current context, which Throughline shares.
///
/// The cost per record is one read of the current context and, if there are tags in scope, a comparison of their keys
/// with the attributes of the record.
///
/// ```
/// use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
/// use opentelemetry_sdk::logs::SdkLoggerProvider;
/// use throughline::log::TagLogProcessor;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let provider = SdkLoggerProvider::builder()
///     .with_log_processor(TagLogProcessor::new())
///     // …then the exporter
///     .build();
/// let subscriber = tracing_subscriber::registry().with(OpenTelemetryTracingBridge::new(&provider));
/// # drop(subscriber);
/// ```
#[derive(Debug)]
pub struct TagLogProcessor(());

impl TagLogProcessor {
    /// Creates the processor.
    pub fn new() -> Self {
        read_by_logs();
        Self(())
    }
}

impl Default for TagLogProcessor {
    fn default() -> Self {
        Self::new()
    }
}

impl LogProcessor for TagLogProcessor {
    fn emit(&self, record: &mut SdkLogRecord, _scope: &InstrumentationScope) {
        for tag in &*current_tags() {
            if !record.attributes_iter().any(|(key, _)| *key == tag.key) {
                record.add_attribute(tag.key.clone(), any(&tag.value));
            }
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn any(value: &Value) -> AnyValue {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::I64(value) => (*value).into(),
        Value::F64(value) => (*value).into(),
        Value::String(value) => value.clone().into(),
        Value::Array(Array::Bool(list)) => list.iter().copied().collect(),
        Value::Array(Array::I64(list)) => list.iter().copied().collect(),
        Value::Array(Array::F64(list)) => list.iter().copied().collect(),
        Value::Array(Array::String(list)) => list.iter().cloned().collect(),
        other => other.as_str().into_owned().into(),
    }
}
