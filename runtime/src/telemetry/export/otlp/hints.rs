//! What to check when a server does not behave like a collector.

use std::error::Error;
use std::io;

use crate::telemetry::config::OtlpConfig;

/// What may be wrong with the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The server has responded, but not as a collector for this protocol does.
    Protocol,
    /// The server has no such path.
    Path,
    /// The connection has failed after it was established.
    Connection,
    /// There is no agreement on TLS.
    Tls,
    /// The collector does not accept the credentials.
    Credentials,
}

impl Doubt {
    /// Whether it remains when the server has accepted spans: credentials expire.
    pub(super) fn is_of_a_collector(self) -> bool {
        self == Self::Credentials
    }
}

/// For each doubt, what to add to the message.
#[derive(Debug)]
pub(super) struct Hints {
    protocol: String,
    path: String,
    connection: String,
}

const TLS: &str = "; check that the collector uses TLS (the endpoint starts with `https://`), and \
     `OTEL_EXPORTER_OTLP_CERTIFICATE`";

const CREDENTIALS: &str = "; check the credentials, commonly in `OTEL_EXPORTER_OTLP_HEADERS`";

impl Hints {
    pub(super) fn new(config: &OtlpConfig) -> Self {
        let protocol = format!(
            "; check `{}` and the port, commonly 4317 for `grpc` and 4318 for `http/protobuf`",
            config.protocol.name
        );
        let connection = if config.is_https() {
            "and `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` if the collector requires a client certificate"
        } else {
            "and whether the collector requires `https://`"
        };
        let path = match config.unusual_path() {
            Some(unusual) => format!("; check the path: {unusual}"),
            None => protocol.clone(),
        };
        Self { connection: format!("{protocol}, {connection}"), protocol, path }
    }

    pub(super) fn of(&self, doubt: Doubt) -> &str {
        match doubt {
            Doubt::Protocol => &self.protocol,
            Doubt::Path => &self.path,
            Doubt::Connection => &self.connection,
            Doubt::Tls => TLS,
            Doubt::Credentials => CREDENTIALS,
        }
    }
}

/// The doubt after an error without a response. `is_connected` says whether there was a connection.
pub(super) fn doubt(error: &(dyn Error + 'static), is_connected: bool) -> Option<Doubt> {
    if is_connected {
        return Some(Doubt::Connection);
    }
    let mut errors = std::iter::successors(Some(error), |&error| error.source());
    errors.any(|error| error.downcast_ref().is_some_and(is_tls)).then_some(Doubt::Tls)
}

/// Whether it is rustls that reports the error: what the system reports is of other kinds. One may contain another, which
/// is not its source.
fn is_tls(error: &io::Error) -> bool {
    let within = error.get_ref().and_then(|within| within.downcast_ref());
    error.kind() == io::ErrorKind::InvalidData || within.is_some_and(is_tls)
}
