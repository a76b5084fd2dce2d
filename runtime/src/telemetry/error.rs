//! The error of the setup.

use std::fmt;

use super::config::ConfigError;

/// The error returned by [`init`](crate::init) if telemetry could not be initialized.
#[derive(Debug)]
#[non_exhaustive]
pub enum InitError {
    /// An environment variable or an argument of the builder is invalid.
    Config(ConfigError),
    /// The export thread could not be spawned.
    Thread(std::io::Error),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Thread(error) => write!(f, "could not spawn the export thread: {error}"),
        }
    }
}

impl std::error::Error for InitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Thread(error) => Some(error),
        }
    }
}

impl From<ConfigError> for InitError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<std::io::Error> for InitError {
    fn from(error: std::io::Error) -> Self {
        Self::Thread(error)
    }
}
