//! What the standard `OTEL_*` variables say.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::SpanLimits;
use percent_encoding::percent_decode_str;

use crate::propagation::Format;

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
    fn new(variable: &str, value: &str, expected: impl Into<String>) -> Self {
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
    Otlp(Otlp),
    Console,
    Nowhere,
}

/// A collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Otlp {
    pub(super) endpoint: String,
    pub(super) protocol: Protocol,
    pub(super) headers: Vec<(String, String)>,
    /// How long one request may take.
    pub(super) timeout: Duration,
    pub(super) gzip: bool,
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
    pub(super) value_limit: Option<usize>,
}

/// Reads variables. An empty one counts as not set, as the specification has it.
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
        let disabled = self.choice("OTEL_SDK_DISABLED", &[("true", true), ("false", false)])?.unwrap_or(false);
        let (sampler, wrapped) = self.sampler()?;
        Ok(Settings {
            disabled,
            resource: self.resource()?,
            destination: self.destination()?,
            sampler,
            wrapped,
            propagators: self.propagators()?,
            batching: self.batching()?,
            limits: self.limits()?,
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
            let value = percent_decode_str(value.trim()).decode_utf8().map_err(|_| wrong())?;
            if key.trim().is_empty() {
                return Err(wrong());
            }
            attributes.push(KeyValue::new(key.trim().to_owned(), value.into_owned()));
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
        let timeout = match self.milliseconds("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")? {
            Some(timeout) => Some(timeout),
            None => self.milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT")?,
        };
        let gzip = self.gzip()?;
        let Some(endpoint) = self.endpoint(protocol, exporter.is_some())? else { return Ok(None) };
        Ok(Some(Destination::Otlp(Otlp {
            endpoint,
            protocol,
            headers,
            timeout: timeout.unwrap_or(Duration::from_secs(10)),
            gzip,
        })))
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

    fn endpoint(&self, protocol: Protocol, wanted: bool) -> Result<Option<String>, VariableError> {
        let Some((name, value)) = self.first(&["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"])
        else {
            let default = match protocol {
                Protocol::Grpc => "http://localhost:4317",
                Protocol::HttpProtobuf => "http://localhost:4318/v1/traces",
            };
            return Ok(wanted.then(|| default.to_owned()));
        };
        let host = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://"));
        if host.is_none_or(|host| host.is_empty() || host.starts_with(['/', ':']) || host.contains(char::is_whitespace))
        {
            return Err(VariableError::new(name, &value, "an address such as `http://localhost:4317`"));
        }
        let of_traces = name == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        Ok(Some(match protocol {
            Protocol::HttpProtobuf if !of_traces => format!("{}/v1/traces", value.trim_end_matches('/')),
            _ => value,
        }))
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
        let Some(list) = self.get(NAME) else { return Ok(None) };
        let mut formats = Vec::new();
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != "none") {
            let format = name.parse().map_err(|_| {
                let known = "`tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `none`";
                VariableError::new(NAME, &list, format!("some of {known}, separated by commas"))
            })?;
            formats.push(format);
        }
        Ok(Some(formats))
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
            flush_limit: self.milliseconds("OTEL_BSP_EXPORT_TIMEOUT")?.unwrap_or(Duration::from_secs(30)),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, VariableError> {
        let get = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Variables(&get).read()
    }

    fn fine(variables: &[(&str, &str)]) -> Settings {
        read(variables).expect("the variables are valid")
    }

    fn otlp(variables: &[(&str, &str)]) -> Otlp {
        match fine(variables).destination {
            Some(Destination::Otlp(otlp)) => otlp,
            other => panic!("no collector but {other:?}"),
        }
    }

    #[test]
    fn nothing_set() {
        let settings = fine(&[]);
        assert!(!settings.disabled && settings.resource.is_empty() && settings.destination.is_none());
        assert_eq!((settings.sampler, settings.wrapped), (RootSampler::AlwaysOn, None));
        assert_eq!(settings.propagators, None);
        let batching = Batching {
            queue: DEFAULT_QUEUE,
            batch: 512,
            delay: Duration::from_secs(5),
            flush_limit: Duration::from_secs(30),
        };
        assert_eq!(settings.batching, batching);
    }

    #[test]
    fn empty_is_not_set() {
        assert!(fine(&[("OTEL_SDK_DISABLED", ""), ("OTEL_TRACES_SAMPLER", " ")]).destination.is_none());
    }

    #[test]
    fn disabled() {
        for (value, disabled) in [("true", true), ("TRUE", true), ("false", false)] {
            assert_eq!(fine(&[("OTEL_SDK_DISABLED", value)]).disabled, disabled);
        }
    }

    #[test]
    fn resource() {
        let settings = fine(&[
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a, deployment.environment.name=prod%20eu ,team=x"),
            ("OTEL_SERVICE_NAME", "orders"),
        ]);
        let expected = [("deployment.environment.name", "prod eu"), ("team", "x"), ("service.name", "orders")];
        assert_eq!(settings.resource, expected.map(|(key, value)| KeyValue::new(key, value)));
    }

    #[test]
    fn exporter() {
        assert_eq!(fine(&[("OTEL_TRACES_EXPORTER", "none")]).destination, Some(Destination::Nowhere));
        assert_eq!(fine(&[("OTEL_TRACES_EXPORTER", "console")]).destination, Some(Destination::Console));
        assert_eq!(otlp(&[("OTEL_TRACES_EXPORTER", "otlp")]).endpoint, "http://localhost:4318/v1/traces");
    }

    #[test]
    fn endpoint_and_protocol() {
        const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        for (variables, endpoint, protocol) in [
            (vec![(ALL, "http://c:4317")], "http://c:4317", Protocol::Grpc),
            (vec![(ALL, "http://c:4318")], "http://c:4318/v1/traces", Protocol::HttpProtobuf),
            (vec![(ALL, "http://c:4318/base/")], "http://c:4318/base/v1/traces", Protocol::HttpProtobuf),
            (vec![(TRACES, "http://c:4318/own")], "http://c:4318/own", Protocol::HttpProtobuf),
            (vec![(TRACES, "http://t:1/x"), (ALL, "http://c:4317")], "http://t:1/x", Protocol::HttpProtobuf),
            (vec![(ALL, "http://c:9"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "http://c:9", Protocol::Grpc),
            (
                vec![
                    (ALL, "http://c:9"),
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
                ],
                "http://c:9/v1/traces",
                Protocol::HttpProtobuf,
            ),
        ] {
            let otlp = otlp(&variables);
            assert_eq!((otlp.endpoint.as_str(), otlp.protocol), (endpoint, protocol), "{variables:?}");
        }
    }

    #[test]
    fn headers_timeout_compression() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317");
        let plain = otlp(&[endpoint]);
        assert_eq!((plain.headers, plain.timeout, plain.gzip), (vec![], Duration::from_secs(10), false));
        let full = otlp(&[
            endpoint,
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20x, tenant=a"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ]);
        let headers = [("authorization", "Bearer x"), ("tenant", "a")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!((full.headers, full.timeout, full.gzip), (headers.to_vec(), Duration::from_millis(250), true));
        let own = otlp(&[
            endpoint,
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
        ]);
        let headers = vec![("b".to_owned(), "2".to_owned())];
        assert_eq!((own.headers, own.timeout, own.gzip), (headers, Duration::from_millis(1), false));
    }

    #[test]
    fn sampler() {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
        for (variables, sampler, wrapped) in [
            (vec![(NAME, "always_on")], RootSampler::AlwaysOn, true),
            (vec![(NAME, "always_off")], RootSampler::AlwaysOff, true),
            (vec![(NAME, "traceidratio"), (ARGUMENT, "0.25")], RootSampler::Ratio(0.25), true),
            (vec![(NAME, "traceidratio")], RootSampler::Ratio(1.0), true),
            (vec![(NAME, "parentbased_always_on")], RootSampler::AlwaysOn, false),
            (vec![(NAME, "parentbased_always_off")], RootSampler::AlwaysOff, false),
            (vec![(NAME, "parentbased_traceidratio"), (ARGUMENT, "0")], RootSampler::Ratio(0.0), false),
        ] {
            let settings = fine(&variables);
            assert_eq!(settings.sampler, sampler, "{variables:?}");
            assert_eq!(settings.wrapped.as_deref(), wrapped.then_some(variables[0].1));
        }
    }

    #[test]
    fn propagators() {
        let of = |list| fine(&[("OTEL_PROPAGATORS", list)]).propagators;
        assert_eq!(of("tracecontext,baggage"), Some(vec![Format::TraceContext, Format::Baggage]));
        assert_eq!(of("b3, b3multi, jaeger"), Some(vec![Format::B3, Format::B3Multi, Format::Jaeger]));
        assert_eq!(of("none"), Some(vec![]));
    }

    #[test]
    fn batching_and_limits() {
        let settings = fine(&[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"),
            ("OTEL_BSP_SCHEDULE_DELAY", "200"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "3000"),
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "7"),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "3"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "4"),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", "5"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "64"),
        ]);
        let batching =
            Batching { queue: 100, batch: 10, delay: Duration::from_millis(200), flush_limit: Duration::from_secs(3) };
        assert_eq!(settings.batching, batching);
        let limits = settings.limits;
        assert_eq!((limits.max_attributes_per_span, limits.max_attributes_per_event), (7, 3));
        assert_eq!((limits.max_attributes_per_link, limits.max_events_per_span, limits.max_links_per_span), (7, 4, 5));
        assert_eq!(settings.value_limit, Some(64));
        assert_eq!(fine(&[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "9")]).limits.max_attributes_per_span, 9);
        assert_eq!(fine(&[("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "9")]).limits.max_attributes_per_link, 9);
        assert_eq!(fine(&[("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9")]).value_limit, Some(9));
        assert_eq!(fine(&[("OTEL_BSP_MAX_QUEUE_SIZE", "100")]).batching.batch, 100);
    }

    #[test]
    fn wrong_values_name_the_variable_the_value_and_what_is_allowed() {
        for (name, value, expected) in [
            ("OTEL_SDK_DISABLED", "yes", "one of `true`, `false`"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a", "`key=value` pairs, separated by commas"),
            ("OTEL_RESOURCE_ATTRIBUTES", "=a", "`key=value` pairs, separated by commas"),
            ("OTEL_TRACES_EXPORTER", "zipkin", "one of `otlp`, `console`, `none`"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317", "an address such as `http://localhost:4317`"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://", "an address such as `http://localhost:4317`"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "one of `grpc`, `http/protobuf`"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "x", "one of `grpc`, `http/protobuf`"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1s", "a whole number of milliseconds"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "one of `gzip`, `none`"),
            (
                "OTEL_PROPAGATORS",
                "xray",
                "some of `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `none`, separated by commas",
            ),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "a whole number above zero"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1", "a whole number above zero"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "999999999", "no more than the queue holds, 131072"),
            ("OTEL_BSP_SCHEDULE_DELAY", "soon", "a whole number of milliseconds"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "x", "a whole number of milliseconds"),
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", "a whole number"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1", "a whole number"),
        ] {
            let error = read(&[(name, value)]).expect_err("the value is wrong");
            assert_eq!(error.to_string(), format!("`{name}` is `{value}`; expected {expected}"));
            assert_eq!(error.variable(), name);
        }
        for ratio in ["1.5", "-0.1", "NaN", "half"] {
            let error = read(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", ratio)]);
            assert_eq!(
                error.unwrap_err().to_string(),
                format!("`OTEL_TRACES_SAMPLER_ARG` is `{ratio}`; expected a number from 0.0 to 1.0")
            );
        }
        let secret = read(&[("OTEL_EXPORTER_OTLP_HEADERS", "authorization secret")]).unwrap_err().to_string();
        assert_eq!(secret, "`OTEL_EXPORTER_OTLP_HEADERS` is `…`; expected `name=value` pairs, separated by commas");
        let long = read(&[("OTEL_SDK_DISABLED", &"\n".repeat(1000))]);
        assert!(long.is_ok(), "only blanks is not set");
        let long = read(&[("OTEL_SDK_DISABLED", &"x\n".repeat(1000))]).unwrap_err().to_string();
        assert!(long.len() < 300 && !long.contains('\n'), "{long}");
    }
}
