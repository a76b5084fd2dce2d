//! `OTEL_TRACES_EXPORTER`: the destination of finished spans.

use std::io::IsTerminal as _;

use super::{ConfigError, Env, OtlpConfig, Protocol};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Destination {
    Otlp,
    Console,
    Nowhere,
    /// Nothing was chosen: the console if a developer is probably watching, and nowhere otherwise.
    #[default]
    Auto,
}

impl Destination {
    pub(crate) fn is_console(self) -> bool {
        match self {
            Self::Console => true,
            Self::Auto => cfg!(debug_assertions) || std::io::stderr().is_terminal(),
            Self::Otlp | Self::Nowhere => false,
        }
    }
}

#[derive(Debug)]
pub(crate) struct ExporterConfig {
    pub(crate) destination: Destination,
    /// An error here is only reported if spans may be exported over OTLP.
    otlp: Result<OtlpConfig, ConfigError>,
}

impl Default for ExporterConfig {
    fn default() -> Self {
        Self { destination: Destination::default(), otlp: Ok(OtlpConfig::default()) }
    }
}

impl ExporterConfig {
    pub(super) fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        let choices = [("otlp", Destination::Otlp), ("console", Destination::Console), ("none", Destination::Nowhere)];
        let chosen = env.choice("OTEL_TRACES_EXPORTER", &choices)?;
        let otlp = OtlpConfig::from_env(env);
        if let Some(destination @ (Destination::Console | Destination::Nowhere)) = chosen {
            return Ok(Self { destination, otlp });
        }
        let otlp = otlp?;
        let destination =
            chosen.unwrap_or(if otlp.has_endpoint_variable { Destination::Otlp } else { Destination::Auto });
        Ok(Self { destination, otlp: Ok(otlp) })
    }

    /// Exports over OTLP to the endpoint of `Builder::collector`, whatever destination the environment names.
    pub(crate) fn set_collector(&mut self, endpoint: String, protocol: Protocol) -> Result<(), ConfigError> {
        let otlp = self.otlp.as_mut().map_err(|error| error.clone())?;
        otlp.set_collector(endpoint, protocol)?;
        self.destination = Destination::Otlp;
        Ok(())
    }

    pub(crate) fn otlp(&self) -> Result<&OtlpConfig, ConfigError> {
        self.otlp.as_ref().map_err(ConfigError::clone)
    }
}
