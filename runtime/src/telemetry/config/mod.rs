//! The configuration of one call of `init`, as a value: the environment fills it, the builder overrides it.
//!
//! Each group of variables has its own file, with the meaning and the defaults of its fields. A setting that can turn
//! out to be invalid later, or that a warning mentions, keeps the name of the variable or builder method that set it.

use opentelemetry::KeyValue;

use crate::propagation::{Format, Propagator};

mod batch;
mod env;
mod error;
mod error_text;
mod exporter;
mod limits;
mod open_spans;
mod otlp;
mod propagators;
mod resource;
mod sampler;

pub(crate) use self::batch::{BatchConfig, DEFAULT_MAX_QUEUE_SIZE};
pub(crate) use self::env::Env;
pub use self::error::ConfigError;
pub(crate) use self::error_text::ErrorTextConfig;
pub(crate) use self::exporter::{Destination, ExporterConfig};
pub(crate) use self::limits::Limits;
pub(crate) use self::open_spans::OpenSpansConfig;
pub use self::otlp::Protocol;
pub(crate) use self::otlp::{OtlpConfig, may_be_token};
#[cfg(feature = "otlp-tls")]
pub(crate) use self::otlp::{TlsFile, TlsFiles};
pub(crate) use self::sampler::SamplerConfig;

/// A value, and the name of the variable or builder method that set it, for errors and warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) name: &'static str,
}

/// Variables that are not supported, and change the meaning of a configuration; each with the reason.
const UNSUPPORTED: [(&str, &str); 3] = [
    ("OTEL_CONFIG_FILE", NO_FILES),
    ("OTEL_EXPERIMENTAL_CONFIG_FILE", NO_FILES),
    ("OTEL_ENTITIES", "entities are not supported; set resource attributes by `OTEL_RESOURCE_ATTRIBUTES`"),
];
const NO_FILES: &str = "configuration files are not supported, and the other variables are used";

#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) disabled: bool,
    /// The configured attributes; later ones override earlier ones.
    pub(crate) resource: Vec<KeyValue>,
    pub(crate) exporter: ExporterConfig,
    pub(crate) batch: BatchConfig,
    pub(crate) sampler: SamplerConfig,
    pub(crate) propagators: Option<Vec<Format>>,
    pub(crate) limits: Limits,
    pub(crate) error_text: ErrorTextConfig,
    pub(crate) open_spans: OpenSpansConfig,
    /// The variables that are set but not supported, with the reasons.
    unsupported: Vec<(&'static str, &'static str)>,
}

impl Config {
    /// The configuration from the environment.
    pub(crate) fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        let disabled = env.choice("OTEL_SDK_DISABLED", &[("true", true), ("false", false)])?.unwrap_or(false);
        // With telemetry disabled, contexts are still propagated and log lines still contain errors.
        let config = Self {
            disabled,
            propagators: propagators::from_env(env)?,
            error_text: ErrorTextConfig::from_env(env)?,
            ..Self::default()
        };
        if disabled {
            return Ok(config);
        }
        Ok(Self {
            resource: resource::from_env(env)?,
            exporter: ExporterConfig::from_env(env)?,
            batch: BatchConfig::from_env(env)?,
            sampler: SamplerConfig::from_env(env)?,
            limits: Limits::from_env(env)?,
            unsupported: UNSUPPORTED.into_iter().filter(|(name, _)| env.get(name).is_some()).collect(),
            ..config
        })
    }

    /// Warnings about settings that are ignored or changed.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let unsupported = self.unsupported.iter().map(|(name, reason)| format!("`{name}` is ignored: {reason}"));
        unsupported.chain(self.sampler.warnings()).collect()
    }

    pub(crate) fn propagator(&self) -> Propagator {
        self.propagators.as_ref().map_or_else(Propagator::default, |formats| Propagator::new(formats.iter().copied()))
    }
}

#[cfg(test)]
mod tests;
