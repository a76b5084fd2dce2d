//! Why tracing could not be set up.

use std::fmt;

use super::env::VariableError;

/// Tracing could not be set up.
#[derive(Debug)]
#[non_exhaustive]
pub enum InitError {
    /// A variable has a value that cannot be understood.
    Variable(VariableError),
    /// The exporter cannot be made.
    Exporter {
        /// Where it was to send to.
        endpoint: String,
        /// What is wrong.
        why: String,
    },
    /// The system gives no thread.
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
            Self::Exporter { endpoint, why } => write!(f, "cannot send spans to `{endpoint}`: {why}"),
            Self::Thread(error) => write!(f, "cannot start the thread that sends spans: {error}"),
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
