//! Why tracing could not be set up.

use std::fmt;

use super::env::VariableError;

/// Tracing could not be set up.
#[derive(Debug)]
#[non_exhaustive]
pub enum InitError {
    /// A variable has a value that cannot be understood.
    Variable(VariableError),
    /// The address that [`Builder::collector`](super::Builder::collector) was given cannot be used.
    Exporter {
        /// The address, without what may be secret in it.
        endpoint: String,
        /// What was expected.
        why: String,
    },
    /// The export thread could not be spawned.
    Thread(std::io::Error),
}

impl InitError {
    pub(super) fn exporter(endpoint: &str, why: String) -> Self {
        Self::Exporter { endpoint: endpoint.to_owned(), why }
    }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(error) => error.fmt(f),
            Self::Exporter { endpoint, why } => write!(f, "`Builder::collector` is `{endpoint}`; expected {why}"),
            Self::Thread(error) => write!(f, "could not spawn the export thread: {error}"),
        }
    }
}

impl std::error::Error for InitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Variable(error) => Some(error),
            Self::Thread(error) => Some(error),
            Self::Exporter { .. } => None,
        }
    }
}

impl From<VariableError> for InitError {
    fn from(error: VariableError) -> Self {
        Self::Variable(error)
    }
}

impl From<std::io::Error> for InitError {
    fn from(error: std::io::Error) -> Self {
        Self::Thread(error)
    }
}
