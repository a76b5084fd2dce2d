//! The steps of initialization. Fallible steps come first, so that either everything is initialized or nothing.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};

use opentelemetry::{Key, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::ShouldSample;

use super::audit::{LiveAudit, Rules};
use super::builder::{Builder, ExtendProvider, StartExporter};
use super::config::{Config, Destination, ErrorTextConfig, SamplerConfig};
use super::diagnostics::{self, Level};
use super::export::otlp::OtlpExporter;
use super::export::{BatchExport, Discard, Pipeline, Queue, QueueLimits};
use super::handle::ACTIVE;
use super::open_spans::OpenSpanWatch;
use super::resource;
use super::sampler::{LoadShedder, WholeTraceSampler};
use super::text::bounded;
use super::{InitError, RequestIdGenerator, Telemetry};
use crate::atomic::AtomicU64;
use crate::console::Console;
use crate::guard::reentrance::Busy;
use crate::propagation::{self, Propagator};
use crate::semconv;
use crate::span::registry::{self, Table};
use crate::span::tracer::{self, SetUp};
use crate::tags::set as tags;
use crate::tracer::{ProcessIdGenerator, TracerProvider};

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Builder {
    /// Initializes telemetry for this process: everything that the [module](crate::telemetry) lists, or nothing.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`init`](super::init()).
    pub fn init(mut self) -> Result<Telemetry, InitError> {
        let config = self.config()?;
        self.start(config)
    }

    /// Initializes telemetry with this configuration, which is that of the builder.
    pub(crate) fn start(mut self, config: Config) -> Result<Telemetry, InitError> {
        let propagator = self.propagator.take().unwrap_or_else(|| config.propagator());
        if config.disabled {
            return Ok(disabled(config.error_text, propagator));
        }
        let resource = resource::detect(&config.resource);
        let open_spans = (config.open_spans.max > 0).then(|| registry::table(config.open_spans.max));
        let refused = Arc::default();
        let audit = self.audit.take().map(|rules| live_audit(rules, &config, &resource, open_spans, &refused));
        let export = Export::start(self.exporter.take(), &config, &resource, open_spans, audit.clone(), refused)?;
        let watch = watch_open_spans(export.is_none(), &config, open_spans)?;

        let collector = export.as_ref().and_then(|export| export.collector.as_deref());
        let output = Output::new(collector, config.exporter.destination);
        let sampler = self.sampler.take();
        let sampler_name =
            sampler.as_ref().map_or_else(|| config.sampler.root.to_string(), |_| "`Builder::sampler`".to_owned());
        let introduction = introduction(&resource, &output, &sampler_name);
        let warnings = config.warnings();
        // The samplers that the environment can name only use trace IDs.
        let by_attributes = sampler.is_some();
        let root = sampler.unwrap_or_else(|| root_sampler(config.sampler));
        let handle = export.as_ref().map(|export| export.sink.handle());
        let exports = collector.is_some();
        let root = RootSampler { sampler: root, by_attributes };
        let provider = provider(resource, &config, root, export, self.provider, &output);

        config.error_text.apply();
        tags::set_max_scoped(config.limits.span.max_attributes_per_span as usize);
        install_propagator(propagator);
        install_provider(&provider);
        announce(introduction, warnings);
        Ok(Telemetry::new(provider, handle, exports, open_spans, audit, watch))
    }
}

/// The export, if there is any.
struct Export {
    sink: BatchExport,
    load: Arc<LoadShedder>,
    /// The name of the collector in messages; `None` if spans are only audited.
    collector: Option<String>,
}

impl Export {
    /// Starts the export thread for the application's exporter, for OTLP if that was chosen, or for the audit alone.
    fn start(
        custom: Option<StartExporter>,
        config: &Config,
        resource: &Resource,
        open_spans: Option<&'static Table>,
        audit: Option<LiveAudit>,
        refused: Arc<AtomicU64>,
    ) -> Result<Option<Self>, InitError> {
        let collector = match (&custom, config.exporter.destination) {
            (Some(_), _) => Some("the custom exporter".to_owned()),
            (None, Destination::Otlp) => Some(config.exporter.otlp()?.label()),
            (None, _) if audit.is_some() => None,
            (None, Destination::Console | Destination::Nowhere | Destination::Auto) => return Ok(None),
        };
        let limits = QueueLimits { spans: config.batch.max_queue_size.value, bytes: config.batch.queue_bytes().value };
        let queue = Arc::new(Queue::new(limits));
        let pipeline = Pipeline {
            queue: Arc::clone(&queue),
            batch: config.batch,
            collector: collector.clone().unwrap_or_else(|| "the audit".to_owned()),
            audit,
            open_spans: open_spans.map(|table| open_span_watch(table, config)),
        };
        let sink = if let Some(start) = custom {
            start(pipeline, resource)?
        } else if collector.is_none() {
            BatchExport::start(pipeline, || Ok(Discard))?
        } else {
            let (otlp, resource) = (config.exporter.otlp()?.clone(), resource.clone());
            BatchExport::start(pipeline, move || Ok(OtlpExporter::new(&otlp, &resource)?))?
        };
        Ok(Some(Self { sink, load: Arc::new(LoadShedder::new(queue, refused)), collector }))
    }
}

/// Creates the audit of this process, for the service that the resource names.
fn live_audit(
    rules: Rules,
    config: &Config,
    resource: &Resource,
    open_spans: Option<&'static Table>,
    refused: &Arc<AtomicU64>,
) -> LiveAudit {
    let service = resource.get(&Key::from_static_str(semconv::SERVICE_NAME));
    let service = service.map(|name| name.to_string()).unwrap_or_default();
    LiveAudit::new(rules, &service, open_spans, config.open_spans.warn_after, Arc::clone(refused))
}

fn open_span_watch(table: &'static Table, config: &Config) -> OpenSpanWatch {
    OpenSpanWatch::new(table, config.open_spans.warn_after)
}

/// Watches open spans on a separate thread, if there is no export thread.
fn watch_open_spans(
    is_needed: bool,
    config: &Config,
    open_spans: Option<&'static Table>,
) -> Result<Option<mpsc::Sender<Infallible>>, InitError> {
    let table = open_spans.filter(|_| is_needed);
    table.map(|table| open_span_watch(table, config).spawn()).transpose().map_err(InitError::Thread)
}

/// The destination of spans, for messages.
enum Output {
    Exporter(String),
    Console,
    Nowhere,
}

impl Output {
    fn new(collector: Option<&str>, destination: Destination) -> Self {
        match collector {
            Some(collector) => Self::Exporter(collector.to_owned()),
            None if destination.is_console() => Self::Console,
            None => Self::Nowhere,
        }
    }
}

/// A summary of the configuration in one line.
fn introduction(resource: &Resource, output: &Output, sampler: &str) -> String {
    let service = resource.get(&Key::from_static_str(semconv::SERVICE_NAME)).map(|name| bounded(&name.to_string()));
    let output = match output {
        Output::Exporter(collector) => format!("exporting to {collector}"),
        Output::Console => "printing traces to standard error".to_owned(),
        Output::Nowhere => "exporting nothing".to_owned(),
    };
    format!("throughline {VERSION}: service `{}`, {output}, sampler {sampler}", service.unwrap_or_default())
}

/// The sampler for root spans.
struct RootSampler {
    sampler: Box<dyn ShouldSample>,
    /// Whether it may read attributes.
    by_attributes: bool,
}

fn root_sampler(config: SamplerConfig) -> Box<dyn ShouldSample> {
    Box::new(config.root.sampler())
}

/// Builds the tracer provider. Spans are sampled even if nothing is exported: called services follow the sampling
/// decision of the root span, and the application's processors only receive sampled spans.
fn provider(
    resource: Resource,
    config: &Config,
    root: RootSampler,
    export: Option<Export>,
    extensions: Vec<ExtendProvider>,
    output: &Output,
) -> TracerProvider {
    let load = export.as_ref().map(|export| Arc::clone(&export.load));
    let mut provider = TracerProvider::builder()
        .with_resource(resource)
        .with_span_limits(config.limits.span)
        .with_id_generator(RequestIdGenerator::wrap(ProcessIdGenerator::new()))
        .with_root_sampler(WholeTraceSampler::new(root.sampler, load), root.by_attributes);
    if let Some(characters) = config.limits.attribute_value_length {
        provider = provider.with_max_attribute_value_length(characters);
    }
    if let Some(Export { sink, .. }) = export {
        provider = provider.with_sink(Arc::new(sink));
    }
    for extend in extensions {
        provider = extend(provider);
    }
    if matches!(output, Output::Console) {
        provider = provider.with_observer(Console::stderr());
    }
    provider.build()
}

fn install_propagator(propagator: Propagator) {
    propagation::set(propagator.clone());
    global::set_text_map_propagator(propagator);
}

fn install_provider(provider: &TracerProvider) {
    // OpenTelemetry allocates while the global provider is locked. A traced allocator would read it.
    let _busy = Busy::begin();
    global::set_tracer_provider(provider.clone());
    tracer::install(provider);
}

/// Logs the configuration, and warnings about it.
fn announce(introduction: String, warnings: Vec<String>) {
    for warning in warnings {
        diagnostics::defer(Level::Warn, warning);
    }
    if ACTIVE.fetch_add(1, Ordering::Relaxed) > 0 {
        let text = "telemetry is already initialized: spans that start from now on go to the new provider; call \
                    `throughline::init` once, or shut the first one down before";
        diagnostics::defer(Level::Warn, text.to_owned());
    }
    diagnostics::defer(Level::Info, introduction);
}

/// Sets up propagation only. Nothing is recorded.
fn disabled(error_text: ErrorTextConfig, propagator: Propagator) -> Telemetry {
    error_text.apply();
    install_propagator(propagator);
    tracer::set_up_is(SetUp::Done);
    diagnostics::defer(Level::Info, format!("throughline {VERSION}: disabled by `OTEL_SDK_DISABLED`"));
    Telemetry::disabled()
}
