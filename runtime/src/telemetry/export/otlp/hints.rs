//! Hints in messages about what to check if a server does not behave like a collector.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::io;

use hyper_util::client::proxy::matcher::Matcher;
use tonic::codegen::http::Uri;

use crate::telemetry::config::{OtlpConfig, Protocol};

/// A suspicion about the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The server has responded, but not as a collector for this protocol does.
    Protocol,
    /// The server has no such path.
    Path,
    /// The connection has failed after it was established.
    Connection,
    /// The TLS handshake has failed.
    Tls,
    /// The collector does not accept the credentials.
    Credentials,
}

impl Doubt {
    /// Whether the doubt is justified even after the server has accepted spans: credentials expire.
    pub(super) fn is_of_a_collector(self) -> bool {
        self == Self::Credentials
    }
}

/// The texts that are appended to messages, for each doubt.
#[derive(Debug)]
pub(super) struct Hints {
    protocol: String,
    path: String,
    connection: String,
    proxy: String,
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
        let proxy = match proxy_variable(config, &Matcher::from_system(), |name| env::var_os(name)) {
            Some(name) => format!("; check `{name}` and `NO_PROXY`, which this process has"),
            None => String::new(),
        };
        Self { connection: format!("{protocol}, {connection}"), protocol, path, proxy }
    }

    /// The hint at a proxy, which is taken from the environment and appears in no other setting. Empty if there is
    /// none.
    pub(super) fn proxy(&self) -> &str {
        &self.proxy
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

/// The variable from which the HTTP client takes a proxy. `matcher` is how the client chooses it, considering `NO_PROXY`.
fn proxy_variable(
    config: &OtlpConfig,
    matcher: &Matcher,
    get: impl Fn(&str) -> Option<OsString>,
) -> Option<&'static str> {
    if config.protocol.value == Protocol::Grpc || get("REQUEST_METHOD").is_some() {
        return None;
    }
    // As the client reads it.
    let endpoint = config.endpoint.value.parse::<reqwest::Url>().ok()?;
    matcher.intercept(&endpoint.as_str().parse::<Uri>().ok()?)?;
    let of_scheme = if config.is_https() { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let is_set = |name: &&str| get(name).is_some_and(|value| !value.is_empty());
    of_scheme.into_iter().chain(["ALL_PROXY", "all_proxy"]).find(is_set)
}

/// The doubt after an error without a response. `is_connected` tells whether there was a connection.
pub(super) fn doubt(error: &(dyn Error + 'static), is_connected: bool) -> Option<Doubt> {
    if is_connected {
        return Some(Doubt::Connection);
    }
    let mut errors = std::iter::successors(Some(error), |&error| error.source());
    errors.any(|error| error.downcast_ref().is_some_and(is_tls)).then_some(Doubt::Tls)
}

/// Whether the error is from rustls: those of the operating system have other kinds. An error may wrap another one that
/// is not its `source`.
fn is_tls(error: &io::Error) -> bool {
    let within = error.get_ref().and_then(|within| within.downcast_ref());
    error.kind() == io::ErrorKind::InvalidData || within.is_some_and(is_tls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::config::ExporterConfig;

    fn otlp(endpoint: &str, protocol: Protocol) -> OtlpConfig {
        let mut config = ExporterConfig::default();
        config.set_collector(endpoint.to_owned(), protocol).expect("a URL");
        config.otlp().expect("a valid configuration").clone()
    }

    #[test]
    fn the_proxy_variable_depends_on_the_scheme() {
        let matcher = Matcher::builder().all("http://p:3128").build();
        for (endpoint, protocol, set, expected) in [
            ("http://c:4318", Protocol::HttpProtobuf, &["HTTP_PROXY"][..], Some("HTTP_PROXY")),
            ("http://c:4318", Protocol::HttpProtobuf, &["http_proxy", "ALL_PROXY"], Some("http_proxy")),
            ("http://c:4318", Protocol::HttpProtobuf, &["HTTPS_PROXY"], None),
            ("https://c:4318", Protocol::HttpProtobuf, &["HTTP_PROXY", "https_proxy"], Some("https_proxy")),
            ("https://c:4318", Protocol::HttpProtobuf, &["all_proxy"], Some("all_proxy")),
            // In a CGI program, `HTTP_PROXY` may be a header of the request.
            ("http://c:4318", Protocol::HttpProtobuf, &["HTTP_PROXY", "REQUEST_METHOD"], None),
            ("http://c:4317", Protocol::Grpc, &["HTTP_PROXY"], None),
            ("http://c:4318", Protocol::HttpProtobuf, &[], None),
        ] {
            let config = otlp(endpoint, protocol);
            let get = |name: &str| set.contains(&name).then(|| "http://p:3128".into());
            assert_eq!(proxy_variable(&config, &matcher, get), expected, "{endpoint} {set:?}");
            assert_eq!(proxy_variable(&config, &matcher, |_| Some("".into())), None);
        }
    }

    #[test]
    fn no_variable_is_named_if_the_collector_is_excluded() {
        let get = |name: &str| (name == "HTTP_PROXY").then(|| "http://p:3128".into());
        for (endpoint, excluded, expected) in [
            ("http://c:4318", "", Some("HTTP_PROXY")),
            ("http://c:4318", "d", Some("HTTP_PROXY")),
            ("http://c:4318", "d, c", None),
            ("http://c:4318", "*", None),
            ("http://c.example.org:4318", ".example.org", None),
            ("http://me:secret@c:4318", "c", None),
            ("http://127.0.0.1:4318", "127.0.0.0/8", None),
            ("http://[::1]:4318", "::1", None),
        ] {
            let matcher = Matcher::builder().http("http://p:3128").no(excluded).build();
            let config = otlp(endpoint, Protocol::HttpProtobuf);
            assert_eq!(proxy_variable(&config, &matcher, get), expected, "{endpoint} {excluded}");
        }
    }

    #[derive(Debug)]
    struct Connecting(io::Error);

    impl std::fmt::Display for Connecting {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("connecting")
        }
    }

    impl Error for Connecting {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    /// rustls reports invalid data, which a connector may wrap in another error.
    #[test]
    fn tls_errors_are_distinguished_from_those_of_the_operating_system() {
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "no certificate of this issuer");
        let within = io::Error::other(invalid());
        let of_the_system = [io::ErrorKind::ConnectionRefused.into(), io::Error::other("no route")];
        let doubt = |error, is_connected| doubt(&Connecting(error), is_connected);
        assert_eq!([invalid(), within].map(|error| doubt(error, false)), [Some(Doubt::Tls); 2]);
        assert_eq!(of_the_system.map(|error| doubt(error, false)), [None; 2]);
        assert_eq!(doubt(invalid(), true), Some(Doubt::Connection));
        let hint = "; check that the collector uses TLS (the endpoint starts with `https://`), and \
                    `OTEL_EXPORTER_OTLP_CERTIFICATE`";
        assert_eq!(Hints::new(&otlp("https://c:4317", Protocol::Grpc)).of(Doubt::Tls), hint);
    }
}
