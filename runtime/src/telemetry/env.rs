//! What the standard `OTEL_*` variables say.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::SpanLimits;
use percent_encoding::percent_decode_str;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::error::InitError;
use crate::propagation::Format;
use crate::redact::error_text::ErrorText;

/// A variable whose value cannot be understood.
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
pub struct VariableError {
    variable: String,
    value: String,
    expected: String,
}

impl VariableError {
    pub(super) fn new(variable: &str, value: &str, expected: impl Into<String>) -> Self {
        Self { variable: variable.to_owned(), value: value.to_owned(), expected: expected.into() }
    }

    /// The name of the variable.
    pub fn variable(&self) -> &str {
        &self.variable
    }
}

impl fmt::Display for VariableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A value of hostile length or content must not fill the screen.
        let value: String = self.value.chars().take(80).flat_map(char::escape_debug).collect();
        write!(f, "`{}` is `{value}`; expected {}", self.variable, self.expected)
    }
}

impl std::error::Error for VariableError {}

/// How spans are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, as protobuf.
    HttpProtobuf,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        })
    }
}

/// Where finished spans go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    Otlp(Box<Otlp>),
    Console,
    Nowhere,
}

/// A collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Otlp {
    pub(super) endpoint: String,
    /// The variable that says so, if it is not said in code.
    pub(super) variable: Option<&'static str>,
    pub(super) protocol: Protocol,
    pub(super) headers: Vec<(String, String)>,
    /// How long one request may take, if not for ever.
    pub(super) timeout: Option<Duration>,
    pub(super) gzip: bool,
    #[cfg(feature = "otlp-tls")]
    pub(super) files: TlsFiles,
}

impl Otlp {
    /// The error for an endpoint that cannot be used.
    pub(super) fn wrong(&self, expected: &str) -> InitError {
        let endpoint = without_secrets(&self.endpoint);
        match self.variable {
            Some(variable) => VariableError::new(variable, &endpoint, expected).into(),
            None => InitError::exporter(&endpoint, expected.to_owned()),
        }
    }

    pub(super) fn look_at_endpoint(&self) -> Result<(), InitError> {
        usable(&self.endpoint).map_err(|expected| self.wrong(&expected))
    }

    pub(super) fn is_secure(&self) -> bool {
        self.endpoint.starts_with("https://")
    }

    pub(super) fn header_map(&self) -> HeaderMap {
        // Both were looked at when they were read.
        let headers = self
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?)));
        headers.collect()
    }
}

/// What encrypted connections need, each by the variable that names it.
#[cfg(feature = "otlp-tls")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TlsFiles {
    /// Who may vouch for the collector, if not those that this machine trusts.
    pub(super) authorities: Option<TlsFile>,
    /// The certificate by which this process is known to the collector, and its key.
    pub(super) identity: Option<(TlsFile, TlsFile)>,
}

#[cfg(feature = "otlp-tls")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsFile {
    pub(super) variable: &'static str,
    pub(super) path: String,
}

/// The sampler that is asked for the first span of a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum RootSampler {
    AlwaysOn,
    AlwaysOff,
    Ratio(f64),
}

/// How spans wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batching {
    pub(super) queue: usize,
    pub(super) batch: usize,
    pub(super) delay: Duration,
    pub(super) flush_limit: Duration,
}

/// The default bound in memory: about a hundred megabytes of spans with ten attributes.
pub(super) const DEFAULT_QUEUE: usize = 1 << 17;

/// How long one request may take if not said otherwise.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// All of it.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) disabled: bool,
    /// `service.name` and the other attributes that were given.
    pub(super) resource: Vec<KeyValue>,
    pub(super) destination: Option<Destination>,
    pub(super) sampler: RootSampler,
    /// The name of a sampler that is not parent-based, and is wrapped.
    pub(super) wrapped: Option<String>,
    pub(super) propagators: Option<Vec<Format>>,
    pub(super) batching: Batching,
    pub(super) limits: SpanLimits,
    /// What is recorded of the texts of errors.
    pub(super) error_text: Option<ErrorText>,
    pub(super) value_limit: Option<usize>,
}

impl Settings {
    /// The sampler as it works, whatever it was called.
    pub(super) fn sampler_name(&self) -> String {
        match self.sampler {
            RootSampler::AlwaysOn => "`parentbased_always_on`".to_owned(),
            RootSampler::AlwaysOff => "`parentbased_always_off`".to_owned(),
            RootSampler::Ratio(ratio) => format!("`parentbased_traceidratio` ({ratio})"),
        }
    }
}

/// Reads variables. An empty one counts as not set, as the specification has it.
/// What counts in a process whose SDK is disabled.
const HEARD_IF_DISABLED: [&str; 2] = ["OTEL_PROPAGATORS", "THROUGHLINE_ERROR_TEXT"];

pub(super) struct Variables<'a>(pub(super) &'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The first of `names` that is set.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|&name| Some((name, self.get(name)?)))
    }

    fn parse<T: FromStr>(
        &self,
        name: &str,
        expected: &str,
        valid: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, VariableError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.parse() {
            Ok(parsed) if valid(&parsed) => Ok(Some(parsed)),
            _ => Err(VariableError::new(name, &value, expected)),
        }
    }

    fn count(&self, name: &str) -> Result<Option<usize>, VariableError> {
        self.parse(name, "a whole number above zero", |&count: &usize| count > 0)
    }

    fn limit(&self, name: &str) -> Result<Option<u32>, VariableError> {
        self.parse(name, "a whole number", |_| true)
    }

    fn milliseconds(&self, name: &str) -> Result<Option<Duration>, VariableError> {
        let milliseconds = self.parse(name, "a whole number of milliseconds", |_: &u64| true)?;
        Ok(milliseconds.map(Duration::from_millis))
    }

    /// Of a time limit, zero is none, as the specification has it.
    fn limit_of_time(&self, name: &str) -> Result<Option<Duration>, VariableError> {
        Ok(self.milliseconds(name)?.map(|time| if time.is_zero() { Duration::MAX } else { time }))
    }

    /// One of a few words, in any case.
    fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, VariableError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let found = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(&value));
        found.map(|(_, choice)| Some(*choice)).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
            VariableError::new(name, &value, format!("one of {}", words.join(", ")))
        })
    }

    pub(super) fn read(&self) -> Result<Settings, VariableError> {
        if self.choice("OTEL_SDK_DISABLED", &[("true", true), ("false", false)])?.unwrap_or(false) {
            // Nothing else has a say then, but for what is passed on, and what log lines may show.
            let heard = |name: &str| self.get(name).filter(|_| HEARD_IF_DISABLED.contains(&name));
            return Ok(Settings { disabled: true, ..Variables(&heard).read()? });
        }
        let (sampler, wrapped) = self.sampler()?;
        Ok(Settings {
            disabled: false,
            resource: self.resource()?,
            destination: self.destination()?,
            sampler,
            wrapped,
            propagators: self.propagators()?,
            batching: self.batching()?,
            limits: self.limits()?,
            error_text: self
                .choice("THROUGHLINE_ERROR_TEXT", &[("full", false), ("type", true)])?
                .map(|type_only| if type_only { ErrorText::type_only() } else { ErrorText::full() }),
            value_limit: self
                .limit("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")?
                .or(self.limit("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")?)
                .map(|limit| limit as usize),
        })
    }

    fn resource(&self) -> Result<Vec<KeyValue>, VariableError> {
        const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let mut attributes = Vec::new();
        let list = self.get(NAME).unwrap_or_default();
        for pair in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let wrong = || VariableError::new(NAME, &list, "`key=value` pairs, separated by commas");
            let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
            let [key, value] =
                [key, value].map(|part| percent_decode_str(part.trim()).decode_utf8().map_err(|_| wrong()));
            let (key, value) = (key?, value?);
            if key.is_empty() {
                return Err(wrong());
            }
            attributes.push(KeyValue::new(key.into_owned(), value.into_owned()));
        }
        if let Some(name) = self.get("OTEL_SERVICE_NAME") {
            attributes.retain(|attribute| attribute.key.as_str() != "service.name");
            attributes.push(KeyValue::new("service.name", name));
        }
        Ok(attributes)
    }

    fn destination(&self) -> Result<Option<Destination>, VariableError> {
        let exporter =
            self.choice("OTEL_TRACES_EXPORTER", &[("otlp", "otlp"), ("console", "console"), ("none", "none")])?;
        match exporter {
            Some("console") => return Ok(Some(Destination::Console)),
            Some("none") => return Ok(Some(Destination::Nowhere)),
            _ => {}
        }
        let protocol = self.protocol()?;
        let headers = self.headers()?;
        let timeout = match self.limit_of_time("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")? {
            Some(timeout) => Some(timeout),
            None => self.limit_of_time("OTEL_EXPORTER_OTLP_TIMEOUT")?,
        };
        let gzip = self.gzip()?;
        let Some((variable, endpoint)) = self.endpoint(protocol, exporter.is_some())? else { return Ok(None) };
        Ok(Some(Destination::Otlp(Box::new(Otlp {
            endpoint,
            variable: Some(variable),
            protocol,
            headers,
            timeout: Some(timeout.unwrap_or(DEFAULT_TIMEOUT)).filter(|timeout| *timeout < Duration::MAX),
            gzip,
            #[cfg(feature = "otlp-tls")]
            files: self.tls_files()?,
        }))))
    }

    #[cfg(feature = "otlp-tls")]
    fn tls_files(&self) -> Result<TlsFiles, VariableError> {
        let file = |names: &[&'static str; 2]| self.first(names).map(|(variable, path)| TlsFile { variable, path });
        let certificate =
            file(&["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"]);
        let key = file(&["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"]);
        let alone = |file: TlsFile, other: &str| VariableError::new(file.variable, &file.path, other);
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(alone_is), None) => {
                return Err(alone(alone_is, "a file together with that of `OTEL_EXPORTER_OTLP_CLIENT_KEY`"));
            }
            (None, Some(alone_is)) => {
                return Err(alone(alone_is, "a file together with that of `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`"));
            }
            (None, None) => None,
        };
        let authorities = file(&["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"]);
        Ok(TlsFiles { authorities, identity })
    }

    fn protocol(&self) -> Result<Protocol, VariableError> {
        let choices = [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf)];
        for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
            if let Some(protocol) = self.choice(name, &choices)? {
                return Ok(protocol);
            }
        }
        // What the specification recommends; the port says it too.
        let endpoint = self.first(&["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]);
        let grpc = endpoint.is_some_and(|(_, endpoint)| endpoint.trim_end_matches('/').ends_with(":4317"));
        Ok(if grpc { Protocol::Grpc } else { Protocol::HttpProtobuf })
    }

    fn endpoint(&self, protocol: Protocol, wanted: bool) -> Result<Option<(&'static str, String)>, VariableError> {
        const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        const OF_TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        let Some((name, value)) = self.first(&[OF_TRACES, ALL]) else {
            let default = match protocol {
                Protocol::Grpc => "http://localhost:4317",
                Protocol::HttpProtobuf => "http://localhost:4318/v1/traces",
            };
            return Ok(wanted.then(|| (ALL, default.to_owned())));
        };
        usable(&value).map_err(|expected| VariableError::new(name, &without_secrets(&value), expected))?;
        let endpoint = match protocol {
            Protocol::HttpProtobuf if name == ALL => format!("{}/v1/traces", value.trim_end_matches('/')),
            _ => value,
        };
        Ok(Some((name, endpoint)))
    }

    fn headers(&self) -> Result<Vec<(String, String)>, VariableError> {
        let Some((name, list)) = self.first(&["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"])
        else {
            return Ok(Vec::new());
        };
        // The value may be a secret: it is not repeated.
        let wrong = || VariableError::new(name, "…", "`name=value` pairs, separated by commas");
        let mut headers = Vec::new();
        for pair in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
            let value = percent_decode_str(value.trim()).decode_utf8().map_err(|_| wrong())?;
            let key = key.trim().to_ascii_lowercase();
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if key.is_empty() || !key.bytes().all(is_token) || !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
                return Err(wrong());
            }
            if is_of_the_protocol(&key) {
                let expected = format!("no `{key}`, which the protocol sets itself");
                return Err(VariableError::new(name, &format!("{key}=…"), expected));
            }
            headers.push((key, value.into_owned()));
        }
        Ok(headers)
    }

    fn gzip(&self) -> Result<bool, VariableError> {
        for name in ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"] {
            if let Some(gzip) = self.choice(name, &[("gzip", true), ("none", false)])? {
                return Ok(gzip);
            }
        }
        Ok(false)
    }

    fn sampler(&self) -> Result<(RootSampler, Option<String>), VariableError> {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        let choices = [
            ("always_on", "always_on"),
            ("always_off", "always_off"),
            ("traceidratio", "traceidratio"),
            ("parentbased_always_on", "parentbased_always_on"),
            ("parentbased_always_off", "parentbased_always_off"),
            ("parentbased_traceidratio", "parentbased_traceidratio"),
        ];
        let chosen = self.choice(NAME, &choices)?.unwrap_or("parentbased_always_on");
        let root = chosen.strip_prefix("parentbased_");
        let sampler = match root.unwrap_or(chosen) {
            "always_off" => RootSampler::AlwaysOff,
            "traceidratio" => {
                let ratio = self.parse("OTEL_TRACES_SAMPLER_ARG", "a number from 0.0 to 1.0", |ratio: &f64| {
                    (0.0..=1.0).contains(ratio)
                })?;
                RootSampler::Ratio(ratio.unwrap_or(1.0))
            }
            _ => RootSampler::AlwaysOn,
        };
        Ok((sampler, root.is_none().then(|| chosen.to_owned())))
    }

    fn propagators(&self) -> Result<Option<Vec<Format>>, VariableError> {
        const NAME: &str = "OTEL_PROPAGATORS";
        let list = self.get(NAME).unwrap_or_default();
        let names: Vec<_> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let formats = names.into_iter().filter(|name| !name.eq_ignore_ascii_case("none")).map(|name| {
            name.to_ascii_lowercase().parse().map_err(|_| {
                let known = "`tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `none`";
                VariableError::new(NAME, &list, format!("some of {known}, separated by commas"))
            })
        });
        formats.collect::<Result<_, _>>().map(Some)
    }

    fn batching(&self) -> Result<Batching, VariableError> {
        const BATCH: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
        let queue = self.count("OTEL_BSP_MAX_QUEUE_SIZE")?.unwrap_or(DEFAULT_QUEUE);
        let batch = self.count(BATCH)?;
        if let Some(batch) = batch.filter(|&batch| batch > queue) {
            let expected = format!("no more than the queue holds, {queue}");
            return Err(VariableError::new(BATCH, &batch.to_string(), expected));
        }
        Ok(Batching {
            queue,
            batch: batch.unwrap_or(512).min(queue),
            delay: self.milliseconds("OTEL_BSP_SCHEDULE_DELAY")?.unwrap_or(Duration::from_secs(5)),
            flush_limit: self.limit_of_time("OTEL_BSP_EXPORT_TIMEOUT")?.unwrap_or(Duration::from_secs(30)),
        })
    }

    fn limits(&self) -> Result<SpanLimits, VariableError> {
        let mut limits = SpanLimits::default();
        let general = self.limit("OTEL_ATTRIBUTE_COUNT_LIMIT")?;
        for (name, limit, general) in [
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_span, general),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_event, general),
            ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", &mut limits.max_attributes_per_link, general),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", &mut limits.max_events_per_span, None),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", &mut limits.max_links_per_span, None),
        ] {
            if let Some(value) = self.limit(name)?.or(general) {
                *limit = value;
            }
        }
        Ok(limits)
    }
}

/// Headers that say how a request is framed, what is in it, or to whom it goes: with one of those of
/// somebody else's, no request is understood.
fn is_of_the_protocol(header: &str) -> bool {
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

/// What was expected, unless it is the address of a collector.
fn usable(endpoint: &str) -> Result<(), String> {
    const EXPECTED: &str = "an address such as `http://localhost:4317`";
    let host = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    if host.is_none_or(|host| host.is_empty() || host.starts_with(['/', ':']) || host.contains(char::is_whitespace)) {
        return Err(EXPECTED.to_owned());
    }
    match endpoint.parse::<reqwest::Url>() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{EXPECTED} ({error})")),
    }
}

/// An address as it may be shown: without a password, and without the query, which may hold a token.
pub(super) fn without_secrets(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = match path.split_once('?') {
        Some((path, _)) => format!("{path}?…"),
        None => path.to_owned(),
    };
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => authority.to_owned(),
    };
    if scheme.is_empty() { format!("{authority}{path}") } else { format!("{scheme}://{authority}{path}") }
}

#[cfg(test)]
mod tests;
