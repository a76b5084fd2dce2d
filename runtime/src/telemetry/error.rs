//! The error of the setup.

use std::fmt;
use std::io;

use super::config::ConfigError;

/// The error returned by [`init`](crate::init) if telemetry could not be initialized.
///
/// Its `Display` form includes the cause, so [`source`](std::error::Error::source) returns `None`. Its `Debug` form is the
/// same text, which is what a `main` prints that returns the error.
#[non_exhaustive]
pub enum InitError {
    /// An environment variable or an argument of the builder is invalid.
    Config(ConfigError),
    /// The thread that exports spans or watches open ones, or its runtime, could not be started.
    Thread(io::Error),
    /// The global subscriber of `tracing`, or the logger of the `log` crate, is already set. Only
    /// [`init_with_subscriber`](crate::init_with_subscriber) sets them.
    #[cfg(feature = "tracing")]
    Subscriber(tracing_subscriber::util::TryInitError),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => fmt::Display::fmt(error, f),
            Self::Thread(error) => write!(f, "could not start a background thread: {error}"),
            #[cfg(feature = "tracing")]
            Self::Subscriber(error) => write!(
                f,
                "{error}; remove the other setup of the log, such as `tracing_subscriber::fmt::init()`, or keep it, add \
                 `throughline::tracing_layer()`, and call `throughline::init()`"
            ),
        }
    }
}

impl fmt::Debug for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for InitError {}

/// For a `main` that returns `io::Result<()>`.
impl From<InitError> for io::Error {
    fn from(error: InitError) -> Self {
        match error {
            InitError::Config(_) => Self::new(io::ErrorKind::InvalidInput, error),
            InitError::Thread(ref cause) => Self::new(cause.kind(), error),
            #[cfg(feature = "tracing")]
            InitError::Subscriber(_) => Self::new(io::ErrorKind::AlreadyExists, error),
        }
    }
}

impl From<ConfigError> for InitError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_report_of_the_error_and_its_sources_has_each_text_once() {
        let thread = InitError::Thread(io::Error::other("out of threads"));
        let config = InitError::Config(ConfigError::new("OTEL_TRACES_SAMPLER", "sometimes", "a sampler"));
        assert_eq!(thread.to_string(), "could not start a background thread: out of threads");
        assert_eq!(config.to_string(), "`OTEL_TRACES_SAMPLER` is `sometimes`; expected a sampler");
        assert!(thread.source().is_none() && config.source().is_none());
    }

    #[test]
    fn a_main_that_returns_the_error_prints_its_message() {
        let config = InitError::Config(ConfigError::new("OTEL_TRACES_SAMPLER", "sometimes", "a sampler"));
        assert_eq!(format!("{config:?}"), config.to_string());
    }

    #[test]
    fn a_main_that_returns_an_io_error_prints_the_message_once() {
        let config = InitError::Config(ConfigError::new("OTEL_TRACES_SAMPLER", "sometimes", "a sampler"));
        let thread = InitError::Thread(io::ErrorKind::OutOfMemory.into());
        for (error, kind) in [(config, io::ErrorKind::InvalidInput), (thread, io::ErrorKind::OutOfMemory)] {
            let text = error.to_string();
            let error = io::Error::from(error);
            assert_eq!((error.kind(), error.to_string()), (kind, text.clone()));
            assert_eq!(format!("{error:?}").matches(&text).count(), 1, "{error:?}");
        }
    }
}
