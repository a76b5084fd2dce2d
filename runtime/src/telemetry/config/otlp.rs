//! `OTEL_EXPORTER_OTLP_*`: the collector. "OpenTelemetry Protocol Exporter" in the specification.
//!
//! Each variable has a form for traces alone (`…_OTLP_TRACES_…`), which takes precedence.

use std::fmt;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{ConfigError, Env, Setting};
use crate::redact::url::without_user;

/// The transport protocol for exporting spans over OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with binary Protobuf payloads.
    HttpProtobuf,
}

impl fmt::Display for Protocol {
    /// The value of `OTEL_EXPORTER_OTLP_PROTOCOL`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        })
    }
}

impl Protocol {
    fn default_endpoint(self) -> &'static str {
        match self {
            Self::Grpc => "http://localhost:4317",
            Self::HttpProtobuf => "http://localhost:4318/v1/traces",
        }
    }
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
/// The path for traces (OTLP/HTTP, "OTLP/HTTP Request").
const TRACES_PATH: &str = "/v1/traces";

const COLLECTOR: &str = "Builder::collector";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OtlpConfig {
    pub(crate) endpoint: Setting<String>,
    /// Whether the endpoint was set by a variable.
    pub(super) has_endpoint_variable: bool,
    pub(crate) protocol: Setting<Protocol>,
    pub(crate) headers: HeaderMap,
    /// The timeout of a request; `None` for no limit.
    pub(crate) timeout: Option<Duration>,
    pub(crate) gzip: bool,
    #[cfg(feature = "otlp-tls")]
    pub(crate) tls: TlsFiles,
}

impl Default for OtlpConfig {
    fn default() -> Self {
        let protocol = Protocol::HttpProtobuf;
        Self {
            endpoint: Setting { value: protocol.default_endpoint().to_owned(), name: ENDPOINT },
            has_endpoint_variable: false,
            protocol: Setting { value: protocol, name: PROTOCOL },
            headers: HeaderMap::new(),
            timeout: Some(DEFAULT_TIMEOUT),
            gzip: false,
            #[cfg(feature = "otlp-tls")]
            tls: TlsFiles::default(),
        }
    }
}

impl OtlpConfig {
    pub(super) fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        let protocol = protocol(env)?;
        let endpoint = endpoint(env, protocol.value)?;
        let default = Setting { value: protocol.value.default_endpoint().to_owned(), name: ENDPOINT };
        Ok(Self {
            has_endpoint_variable: endpoint.is_some(),
            endpoint: endpoint.unwrap_or(default),
            protocol,
            headers: headers(env)?,
            timeout: timeout(env)?,
            gzip: gzip(env)?,
            #[cfg(feature = "otlp-tls")]
            tls: TlsFiles::from_env(env),
        })
    }

    pub(super) fn set_collector(&mut self, endpoint: String, protocol: Protocol) -> Result<(), ConfigError> {
        self.endpoint = Setting { value: endpoint, name: COLLECTOR };
        self.protocol = Setting { value: protocol, name: COLLECTOR };
        self.endpoint.value = checked_url(&self.endpoint.value).map_err(|expected| self.endpoint_error(&expected))?;
        Ok(())
    }

    /// The error for an endpoint that cannot be used.
    pub(crate) fn endpoint_error(&self, expected: &str) -> ConfigError {
        let Setting { value, name } = &self.endpoint;
        let (path, query) = value.split_at(value.find(['?', '#']).unwrap_or(value.len()));
        // The value as it was given, without the path that was appended.
        let is_appended = self.protocol.value == Protocol::HttpProtobuf && *name == ENDPOINT;
        let path = path.strip_suffix(TRACES_PATH).filter(|_| is_appended).unwrap_or(path);
        ConfigError::new(name, &redacted_url(&format!("{path}{query}")), expected)
    }

    /// The endpoint without user and password, which HTTP/2 does not allow in `:authority` (RFC 9113, section 8.3.1).
    pub(crate) fn endpoint_without_user(&self) -> String {
        let (scheme, rest) = self.endpoint.value.split_once("://").unwrap_or_default();
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let host = authority.rfind('@').map_or(0, |at| at + 1);
        format!("{scheme}://{}", &rest[host..])
    }

    /// Describes what is unusual about the path of an HTTP endpoint, if anything is.
    pub(crate) fn unusual_path(&self) -> Option<String> {
        let (url, name) = (&self.endpoint.value, self.endpoint.name);
        let path = &url[..url.find(['?', '#']).unwrap_or(url.len())];
        match path.trim_end_matches('/').strip_suffix(TRACES_PATH) {
            _ if self.protocol.value == Protocol::Grpc => None,
            // The path was appended to a value that already had it.
            Some(base) if name == ENDPOINT && base.ends_with(TRACES_PATH) => {
                Some(format!("`{TRACES_PATH}` is appended to that of `{name}`, and must not be part of it"))
            }
            Some(_) => None,
            None => Some(format!("that of `{name}` is used unchanged, and is commonly `{TRACES_PATH}`")),
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.endpoint.value.starts_with("https://")
    }

    /// The name of the collector in messages: `` `http://localhost:4317` (grpc) ``.
    pub(crate) fn label(&self) -> String {
        format!("`{}` ({})", redacted_url(&self.endpoint.value), self.protocol.value)
    }
}

fn protocol(env: &Env<'_>) -> Result<Setting<Protocol>, ConfigError> {
    let choices = [Protocol::Grpc, Protocol::HttpProtobuf];
    let choices = choices.map(|protocol| (if protocol == Protocol::Grpc { "grpc" } else { "http/protobuf" }, protocol));
    if let Some(protocol) = env.first_choice(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", PROTOCOL], &choices)? {
        return Ok(protocol);
    }
    // The specification recommends `http/protobuf`, but the port of gRPC is unambiguous.
    let endpoint = env.first(&[TRACES_ENDPOINT, ENDPOINT]);
    let is_grpc = endpoint.is_some_and(|endpoint| endpoint.value.trim_end_matches('/').ends_with(":4317"));
    Ok(Setting { value: if is_grpc { Protocol::Grpc } else { Protocol::HttpProtobuf }, name: PROTOCOL })
}

fn endpoint(env: &Env<'_>, protocol: Protocol) -> Result<Option<Setting<String>>, ConfigError> {
    let Some(mut endpoint) = env.first(&[TRACES_ENDPOINT, ENDPOINT]) else { return Ok(None) };
    endpoint.value = checked_url(&endpoint.value)
        .map_err(|expected| ConfigError::new(endpoint.name, &redacted_url(&endpoint.value), expected))?;
    // Only the general endpoint is a base URL ("Endpoint URLs for OTLP/HTTP").
    if protocol == Protocol::HttpProtobuf && endpoint.name == ENDPOINT {
        let (base, query) = endpoint.value.split_at(endpoint.value.find(['?', '#']).unwrap_or(endpoint.value.len()));
        endpoint.value = format!("{}{TRACES_PATH}{query}", base.trim_end_matches('/'));
    }
    Ok(Some(endpoint))
}

fn headers(env: &Env<'_>) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    let Some(list) = env.first(&["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"]) else {
        return Ok(headers);
    };
    for pair in list.value.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        // The values may be secrets, so they are not shown.
        let (name, value) = header(pair).map_err(|expected| ConfigError::new(list.name, "…", expected))?;
        let wrong = |expected| ConfigError::new(list.name, &format!("{name}=…"), expected);
        if is_set_by_exporter(name.as_str()) {
            return Err(wrong(format!("no `{name}` header, which the exporter sets itself")));
        }
        let value = value.ok_or_else(|| wrong("a value in UTF-8 without control characters".to_owned()))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Parses a header. Returns its name, and its value if it can be sent, or an error that describes what is expected.
fn header(pair: &str) -> Result<(HeaderName, Option<HeaderValue>), &'static str> {
    let (name, value) = pair.split_once('=').ok_or("comma-separated `name=value` pairs")?;
    let name =
        name.trim().parse().map_err(|_| "comma-separated `name=value` pairs, whose names are those of headers")?;
    let value = percent_decode_str(value.trim()).decode_utf8().ok();
    // gRPC metadata cannot contain tabs.
    let value = value.and_then(|value| HeaderValue::from_str(&value).ok());
    Ok((name, value.filter(|value| !value.as_bytes().contains(&b'\t'))))
}

/// Whether a header determines the framing, the content or the destination of a request. Overriding such a header would
/// make requests invalid.
fn is_set_by_exporter(header: &str) -> bool {
    const NAMES: [&str; 13] = [
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    NAMES.contains(&header) || header.starts_with("grpc-")
}

fn timeout(env: &Env<'_>) -> Result<Option<Duration>, ConfigError> {
    let timeout = match env.timeout("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")? {
        Some(timeout) => timeout,
        None => env.timeout("OTEL_EXPORTER_OTLP_TIMEOUT")?.unwrap_or(DEFAULT_TIMEOUT),
    };
    Ok(Some(timeout).filter(|timeout| *timeout < Duration::MAX))
}

fn gzip(env: &Env<'_>) -> Result<bool, ConfigError> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
    Ok(env.first_choice(names, &[("gzip", true), ("none", false)])?.is_some_and(|gzip| gzip.value))
}

/// The PEM files for TLS. They are read when the exporter is built.
#[cfg(feature = "otlp-tls")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The CA certificates to verify the collector with, instead of the system's.
    pub(crate) ca_certificates: Option<TlsFile>,
    client_certificate: Option<TlsFile>,
    client_key: Option<TlsFile>,
}

/// A path.
#[cfg(feature = "otlp-tls")]
pub(crate) type TlsFile = Setting<String>;

#[cfg(feature = "otlp-tls")]
impl TlsFiles {
    fn from_env(env: &Env<'_>) -> Self {
        Self {
            ca_certificates: env.first(&["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"]),
            client_certificate: env
                .first(&["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"]),
            client_key: env.first(&["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"]),
        }
    }

    /// The certificate and the private key with which this process identifies itself (mTLS).
    pub(crate) fn client_identity(&self) -> Result<Option<(&TlsFile, &TlsFile)>, ConfigError> {
        let alone = |file: &TlsFile, other: &str| {
            Err(ConfigError::new(file.name, &file.value, format!("`{other}` to be set too")))
        };
        match (&self.client_certificate, &self.client_key) {
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            (Some(certificate), None) => alone(certificate, "OTEL_EXPORTER_OTLP_CLIENT_KEY"),
            (None, Some(key)) => alone(key, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
            (None, None) => Ok(None),
        }
    }
}

/// Returns `url` with its scheme in lowercase, or describes what is expected if it cannot be the endpoint of a
/// collector.
fn checked_url(url: &str) -> Result<String, String> {
    const EXPECTED: &str = "a URL such as `http://localhost:4317`";
    let (scheme, host) = url.split_once("://").unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    let is_host = !host.is_empty() && !host.starts_with(['/', ':']) && !host.contains(char::is_whitespace);
    if !is_host || !["http", "https"].contains(&&*scheme) {
        return Err(EXPECTED.to_owned());
    }
    match url.parse::<reqwest::Url>() {
        Ok(_) => Ok(format!("{scheme}://{host}")),
        Err(error) => Err(format!("{EXPECTED} ({error})")),
    }
}

/// A URL without the user, the password and the query, and without segments of the path that may be tokens.
///
/// Works on text, because the value may not be a valid URL.
pub(crate) fn redacted_url(url: &str) -> String {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let (user, rest) = without_user(rest);
    let user = if user.is_empty() { "" } else { "…@" };
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?…"));
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path: Vec<_> = path.split('/').map(|segment| if may_be_token(segment) { "…" } else { segment }).collect();
    format!("{scheme}{user}{host}{}{query}", path.join("/"))
}

/// Whether a segment of a path may be a token, which is where some vendors expect it. Words and versions are shorter,
/// or have neither digits nor uppercase letters.
pub(crate) fn may_be_token(segment: &str) -> bool {
    const MIN_LEN: usize = 20;
    segment.len() >= MIN_LEN && segment.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}
