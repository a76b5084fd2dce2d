//! The error for an invalid setting.

use std::fmt;

use crate::text::excerpt;

/// The maximum number of characters of an invalid value in a message.
const SHOWN: usize = 80;

/// The error for an invalid setting.
///
/// The message names the environment variable or the method of [`Builder`](crate::telemetry::Builder) that set it,
/// the value, and what is expected. Passwords in URLs and values of headers are not shown.
///
/// ```
/// let error = throughline::telemetry::builder()
///     .variables(|name| (name == "OTEL_TRACES_SAMPLER").then(|| "sometimes".to_owned()))
///     .init()
///     .unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`OTEL_TRACES_SAMPLER` is `sometimes`; expected one of `always_on`, `always_off`, `traceidratio`, \
///      `parentbased_always_on`, `parentbased_always_off`, `parentbased_traceidratio`"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    setting: &'static str,
    value: String,
    expected: String,
}

impl ConfigError {
    pub(crate) fn new(setting: &'static str, value: &str, expected: impl Into<String>) -> Self {
        Self { setting, value: value.to_owned(), expected: expected.into() }
    }

    /// Returns the name of the setting: an environment variable, such as `OTEL_TRACES_SAMPLER`, or a method of the
    /// builder, such as `Builder::collector`.
    pub fn setting(&self) -> &str {
        self.setting
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = excerpt(&self.value, SHOWN);
        write!(f, "`{}` is `{value}`; expected {}", self.setting, self.expected)
    }
}

impl std::error::Error for ConfigError {}
