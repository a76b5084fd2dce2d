//! `init`, and a builder for settings in code.

use std::fmt;
use std::time::Duration;

use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{ShouldSample, SpanExporter, SpanProcessor};

use super::audit::Rules;
use super::config::{
    Config, ConfigError, DEFAULT_MAX_QUEUE_SIZE, Env, ErrorTextConfig, OpenSpansConfig, Protocol, Setting,
};
use super::export::{BatchExport, Pipeline, SdkExporter};
use super::{InitError, Telemetry};
use crate::propagation::Propagator;
use crate::redact::error_text::ErrorText;
use crate::semconv;
use crate::tracer::{Guarded, TracerProviderBuilder};

/// Initializes telemetry for this process, configured by the standard `OTEL_*` environment variables.
///
/// The [module](crate::telemetry) documents what is set up and the supported variables; use [`builder`] for other
/// settings. Keep the returned value until the end of `main`, and call [`Telemetry::shutdown`] there. Dropping it
/// flushes for at most five seconds.
///
/// It does not wait for the collector, and may be called outside a Tokio runtime. A second call while the first value
/// still exists takes over the spans that start from then on, and logs a warning.
///
/// # Errors
///
/// Returns [`InitError::Config`] if a variable has an invalid value, and [`InitError::Thread`] if a background thread
/// could not be started. In both cases nothing has been initialized. An unreachable collector is not an error: spans
/// are queued and the export is retried.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), throughline::telemetry::InitError> {
/// let telemetry = throughline::init()?;
/// // …
/// telemetry.shutdown(std::time::Duration::from_secs(10)).await;
/// # Ok(())
/// # }
/// ```
pub fn init() -> Result<Telemetry, InitError> {
    builder().init()
}

/// Configures [`init`] in code. These settings take precedence over the environment.
///
/// ```
/// # fn main() -> Result<(), throughline::telemetry::InitError> {
/// let telemetry = throughline::telemetry::builder()
///     .service_name("orders")
///     .resource_attribute("deployment.environment.name", "staging")
///     .max_queue_size(20_000)
///     .init()?;
/// # Ok(())
/// # }
/// ```
pub fn builder() -> Builder {
    Builder {
        // A variable that is not Unicode counts as set, so that it is reported as invalid.
        variables: Box::new(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned())),
        resource: Vec::new(),
        collector: None,
        max_queue_size: None,
        max_queue_bytes: None,
        error_text: None,
        open_spans: OpenSpansConfig::default(),
        audit: None,
        exporter: None,
        sampler: None,
        propagator: None,
        provider: Vec::new(),
    }
}

/// Looks up a variable.
type Variables = Box<dyn Fn(&str) -> Option<String>>;

/// Starts the export with a custom exporter.
pub(super) type StartExporter = Box<dyn FnOnce(Pipeline, &Resource) -> Result<BatchExport, InitError>>;

/// Extends the provider.
pub(super) type ExtendProvider = Box<dyn FnOnce(TracerProviderBuilder) -> TracerProviderBuilder>;

/// Configures telemetry, and initializes it with [`init`](Self::init). Created by [`builder`].
///
/// It is not `Send`, because [`variables`](Self::variables) takes any closure: call `init` on the thread that creates
/// it.
#[must_use = "nothing is set up before `init`"]
pub struct Builder {
    // Overrides of the environment.
    variables: Variables,
    resource: Vec<KeyValue>,
    collector: Option<(String, Protocol)>,
    max_queue_size: Option<usize>,
    max_queue_bytes: Option<usize>,
    error_text: Option<ErrorText>,
    open_spans: OpenSpansConfig,
    // Settings that the environment does not have.
    pub(super) audit: Option<Rules>,
    pub(super) exporter: Option<StartExporter>,
    pub(super) sampler: Option<Box<dyn ShouldSample>>,
    pub(super) propagator: Option<Propagator>,
    pub(super) provider: Vec<ExtendProvider>,
}

impl Builder {
    /// Looks up variables with `get` instead of in the process environment, for configuration files and tests, and for
    /// the settings that have no method of their own, such as limits, headers and timeouts:
    ///
    /// ```
    /// # fn main() -> Result<(), throughline::telemetry::InitError> {
    /// let telemetry = throughline::telemetry::builder()
    ///     .variables(|name| match name {
    ///         "OTEL_SPAN_EVENT_COUNT_LIMIT" => Some("1000".to_owned()),
    ///         other => std::env::var(other).ok(),
    ///     })
    ///     .init()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn variables(mut self, get: impl Fn(&str) -> Option<String> + 'static) -> Self {
        self.variables = Box::new(get);
        self
    }

    /// Sets the resource attribute `service.name`. Overrides `OTEL_SERVICE_NAME`.
    pub fn service_name(self, name: impl Into<String>) -> Self {
        self.resource_attribute(semconv::SERVICE_NAME, name.into())
    }

    /// Adds a resource attribute. Overrides those of `OTEL_RESOURCE_ATTRIBUTES` and those that are detected; the last
    /// value of a key applies.
    pub fn resource_attribute(mut self, key: impl Into<Key>, value: impl Into<Value>) -> Self {
        self.resource.push(KeyValue::new(key, value));
        self
    }

    /// Sets the collector to export to: an endpoint such as `http://localhost:4317` for gRPC or
    /// `http://localhost:4318/v1/traces` for HTTP, which is used unchanged. Overrides `OTEL_TRACES_EXPORTER` and the
    /// variables for endpoint and protocol. Headers, timeout, compression and certificates are taken from the
    /// environment.
    ///
    /// [`init`](Self::init) returns an error if `endpoint` is not a URL, or is an `https://` URL without the feature
    /// `otlp-tls`.
    pub fn collector(mut self, endpoint: impl Into<String>, protocol: Protocol) -> Self {
        self.collector = Some((endpoint.into(), protocol));
        self
    }

    /// Sets a custom exporter, instead of OTLP. It runs on the export thread, within a Tokio runtime.
    ///
    /// A batch for which it returns an error or panics counts as refused and is not retried. A flush calls its
    /// `force_flush` after all spans have been passed to it.
    pub fn exporter(mut self, exporter: impl SpanExporter + 'static) -> Self {
        self.exporter = Some(Box::new(move |pipeline, resource| {
            let resource = resource.clone();
            BatchExport::start(pipeline, move || {
                let mut exporter = exporter;
                exporter.set_resource(&resource);
                Ok(SdkExporter(exporter))
            })
        }));
        self
    }

    /// Sets the sampler, which decides which traces are recorded. Overrides `OTEL_TRACES_SAMPLER`.
    ///
    /// It is only consulted for root spans; every other span follows its parent. A trace for which it panics is not
    /// recorded.
    ///
    /// ```
    /// # fn main() -> Result<(), throughline::telemetry::InitError> {
    /// use opentelemetry_sdk::trace::Sampler;
    ///
    /// // One trace in ten.
    /// let telemetry = throughline::telemetry::builder().sampler(Sampler::TraceIdRatioBased(0.1)).init()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        self.sampler = Some(Box::new(Guarded(Box::new(sampler))));
        self
    }

    /// Sets the propagator: which headers are injected and extracted. Overrides `OTEL_PROPAGATORS`.
    pub fn propagator(mut self, propagator: Propagator) -> Self {
        self.propagator = Some(propagator);
        self
    }

    /// Sets how much of error text is recorded in this process; see [`ErrorText`]. Overrides `THROUGHLINE_ERROR_TEXT`.
    pub fn error_text(mut self, choice: ErrorText) -> Self {
        self.error_text = Some(choice);
        self
    }

    /// Sets the maximum number of finished spans that are queued or in flight; 131,072 by default. Zero counts as one.
    /// Overrides `OTEL_BSP_MAX_QUEUE_SIZE`. [`max_queue_bytes`](Self::max_queue_bytes) limits their size.
    ///
    /// When the queue is three quarters full, no new traces are recorded until it is half empty again.
    pub fn max_queue_size(mut self, spans: usize) -> Self {
        self.max_queue_size = Some(spans.max(1));
        self
    }

    /// Sets the maximum encoded size, in bytes, of the finished spans that are queued or in flight. This bounds the
    /// memory used for export. Zero counts as one. Overrides `THROUGHLINE_MAX_QUEUE_BYTES`. The default is 1 KiB for
    /// each span of [`max_queue_size`](Self::max_queue_size), but at least 32 MiB: 128 MiB if that is not set either.
    ///
    /// When the queue is three quarters full, no new traces are recorded until it is half empty again.
    pub fn max_queue_bytes(mut self, bytes: usize) -> Self {
        self.max_queue_bytes = Some(bytes.max(1));
        self
    }

    /// Sets the maximum number of open spans that are tracked; 16,384 by default, and 262,144 at most. Tracked spans
    /// are [listed](Telemetry::open_spans), warned about, and ended on shutdown. The first call of [`init`](Self::init)
    /// in a process that enables tracking allocates memory for all of them and determines the limit; later calls do not
    /// change it.
    ///
    /// Zero disables tracking, which saves some tens of nanoseconds per span.
    pub fn max_open_spans(mut self, spans: usize) -> Self {
        self.open_spans.set_max(spans);
        self
    }

    /// Sets how long a span may be open before a warning is logged; five minutes by default. There is one warning per
    /// span, and a shared one for spans with the same name and source location that become overdue at the same time.
    pub fn open_span_warning(mut self, after: Duration) -> Self {
        self.open_spans.warn_after = after;
        self
    }

    /// Audits the exported spans: whether the traces of this process are complete, and where they break. The rules are
    /// treated as [`partial`](Rules::partial), because other processes record spans of the same traces.
    ///
    /// The results are available from [`Telemetry::audit`] and in the metrics `throughline.audit.*`. Traces that are
    /// not sampled, shed or evicted are not audited. The audit runs on the export thread and adds no cost to the
    /// threads that record spans; `docs/audit.md` has measurements.
    #[cfg(feature = "audit")]
    pub fn audit(mut self, rules: Rules) -> Self {
        self.audit = Some(rules);
        self
    }

    /// Adds a span processor; processors are called in the order in which they are added. Shutdown does not wait for it
    /// beyond the timeout. If it panics, the panic is caught and does not reach the traced code.
    pub fn processor(mut self, processor: impl SpanProcessor + 'static) -> Self {
        self.provider.push(Box::new(|provider| provider.with_span_processor(processor)));
        self
    }

    /// Returns a variable, unless a setting in code overrides it. It then need not be valid.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let is_overridden = match name {
            // Admits batches of any size, which later shrink to the queue size set in code.
            "OTEL_BSP_MAX_QUEUE_SIZE" if self.max_queue_size.is_some() => return Some(usize::MAX.to_string()),
            "THROUGHLINE_MAX_QUEUE_BYTES" => self.max_queue_bytes.is_some(),
            "THROUGHLINE_ERROR_TEXT" => self.error_text.is_some(),
            "OTEL_PROPAGATORS" => self.propagator.is_some(),
            "OTEL_TRACES_SAMPLER" | "OTEL_TRACES_SAMPLER_ARG" => self.sampler.is_some(),
            "OTEL_TRACES_EXPORTER"
            | "OTEL_EXPORTER_OTLP_ENDPOINT"
            | "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
            | "OTEL_EXPORTER_OTLP_PROTOCOL"
            | "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" => self.collector.is_some() || self.exporter.is_some(),
            _ => name.starts_with("OTEL_EXPORTER_OTLP_") && self.exporter.is_some(),
        };
        if is_overridden { None } else { (self.variables)(name) }
    }

    /// The configuration from the environment, with the overrides of this builder.
    pub(crate) fn config(&mut self) -> Result<Config, ConfigError> {
        let mut config = Config::from_env(&Env::new(&|name: &str| self.variable(name)))?;
        config.open_spans = self.open_spans;
        config.resource.append(&mut self.resource);
        if let Some(choice) = self.error_text.take() {
            config.error_text = ErrorTextConfig::Builder(choice);
        }
        if let Some(spans) = self.max_queue_size {
            config.batch.set_max_queue_size(Setting { value: spans, name: "Builder::max_queue_size" });
        }
        if let Some(bytes) = self.max_queue_bytes {
            config.batch.max_queue_bytes = Some(Setting { value: bytes, name: "Builder::max_queue_bytes" });
        }
        if let Some((endpoint, protocol)) = self.collector.take().filter(|_| !config.disabled) {
            config.exporter.set_collector(endpoint, protocol)?;
        }
        Ok(config)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("resource", &self.resource)
            .field("max_queue_size", &self.max_queue_size.unwrap_or(DEFAULT_MAX_QUEUE_SIZE))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{Sampler, SpanData};

    use super::*;

    #[derive(Debug)]
    struct Own;

    impl SpanExporter for Own {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            Ok(())
        }
    }

    fn with(variables: &'static [(&str, &str)]) -> Builder {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        builder().variables(get)
    }

    #[test]
    fn a_variable_that_code_overrides_need_not_be_valid() {
        let collector = |builder: Builder| builder.collector("http://c:4317", Protocol::Grpc);
        let exporter = |builder: Builder| builder.exporter(Own);
        let sampler = |builder: Builder| builder.sampler(Sampler::AlwaysOn);
        for (variables, set) in [
            (&[("OTEL_TRACES_EXPORTER", "zipkin")][..], &collector as &dyn Fn(Builder) -> Builder),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317")], &collector),
            (&[("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json")], &collector),
            (&[("OTEL_TRACES_EXPORTER", "zipkin")], &exporter),
            (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")], &exporter),
            (&[("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")], &exporter),
            (&[("OTEL_TRACES_SAMPLER", "jaeger_remote")], &sampler),
            (&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")], &sampler),
            (&[("OTEL_PROPAGATORS", "ottrace")], &|builder| builder.propagator(Propagator::default())),
            (&[("OTEL_BSP_MAX_QUEUE_SIZE", "0")], &|builder| builder.max_queue_size(10)),
            (&[("THROUGHLINE_MAX_QUEUE_BYTES", "0")], &|builder| builder.max_queue_bytes(10)),
            (&[("THROUGHLINE_ERROR_TEXT", "none")], &|builder| builder.error_text(ErrorText::full())),
        ] {
            let error = with(variables).config().expect_err("an invalid variable");
            assert!(variables.iter().any(|(name, _)| *name == error.setting()), "{error}");
            set(with(variables)).config().unwrap_or_else(|error| panic!("{error}"));
        }
        let error = collector(with(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")])).config().expect_err("not overridden");
        assert_eq!(error.setting(), "OTEL_EXPORTER_OTLP_TIMEOUT");
    }

    #[test]
    fn the_collector_is_not_validated_if_telemetry_is_disabled() {
        let config =
            |builder: Builder| builder.collector("ftp://c", Protocol::Grpc).config().map(|config| config.disabled);
        assert_eq!(config(with(&[("OTEL_SDK_DISABLED", "true")])), Ok(true));
        config(with(&[])).expect_err("not the URL of a collector");
    }

    #[test]
    fn the_batch_size_is_limited_by_the_queue_size_set_in_code() {
        let size = |spans| {
            let config = with(&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "200000")]).max_queue_size(spans).config();
            config.unwrap_or_else(|error| panic!("{error}")).batch.max_export_batch_size
        };
        assert_eq!((size(1_000_000), size(100)), (200_000, 100));
    }
}
