//! `OTEL_*_LIMIT`: "Attribute Limits" and "Span Limits" in the specification of environment variables.

use opentelemetry_sdk::trace::SpanLimits;

use super::{ConfigError, Env};

#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    /// The limits that the SDK enforces.
    pub(crate) span: SpanLimits,
    /// The maximum number of characters of a string value, for which the SDK has no limit.
    pub(crate) attribute_value_length: Option<u32>,
}

impl Limits {
    pub(super) fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        let mut span = SpanLimits::default();
        let of_any_attributes = env.limit("OTEL_ATTRIBUTE_COUNT_LIMIT")?;
        for (name, limit, fallback) in [
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", &mut span.max_attributes_per_span, of_any_attributes),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", &mut span.max_attributes_per_event, of_any_attributes),
            ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", &mut span.max_attributes_per_link, of_any_attributes),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", &mut span.max_events_per_span, None),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", &mut span.max_links_per_span, None),
        ] {
            if let Some(value) = env.limit(name)?.or(fallback) {
                *limit = value;
            }
        }
        let of_spans = env.limit("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")?;
        let of_any = env.limit("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")?;
        Ok(Self { span, attribute_value_length: of_spans.or(of_any) })
    }
}
