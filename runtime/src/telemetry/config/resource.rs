//! `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`.

use opentelemetry::KeyValue;
use percent_encoding::percent_decode_str;

use super::{ConfigError, Env};
use crate::semconv::SERVICE_NAME;

pub(super) fn from_env(env: &Env<'_>) -> Result<Vec<KeyValue>, ConfigError> {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let list = env.get(NAME).unwrap_or_default();
    let pairs = list.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(attribute);
    let attributes: Option<Vec<_>> = pairs.collect();
    let mut attributes =
        attributes.ok_or_else(|| ConfigError::new(NAME, &list, "comma-separated `key=value` pairs"))?;
    if let Some(name) = env.get("OTEL_SERVICE_NAME") {
        attributes.retain(|attribute| attribute.key.as_str() != SERVICE_NAME);
        attributes.push(KeyValue::new(SERVICE_NAME, name));
    }
    Ok(attributes)
}

/// Parses an attribute, whose key and value are percent-encoded.
fn attribute(pair: &str) -> Option<KeyValue> {
    let (key, value) = pair.split_once('=')?;
    let key = percent_decode_str(key.trim()).decode_utf8().ok().filter(|key| !key.is_empty())?;
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
    Some(KeyValue::new(key.into_owned(), value.into_owned()))
}
