//! `init`, and what can be said besides.

use std::convert::Infallible;
use std::fmt;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use opentelemetry::{Key, KeyValue, Value, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    Sampler, SdkTracerProvider, ShouldSample, SpanExporter, SpanProcessor, TracerProviderBuilder,
};

use super::counts::Counts;
#[cfg(feature = "otlp-tls")]
use super::env::TlsFiles;
use super::env::{
    DEFAULT_QUEUE, DEFAULT_TIMEOUT, Destination, Otlp, Protocol, RootSampler, Settings, VariableError, Variables,
    without_secrets,
};
use super::error::InitError;
use super::notice::{self, Level};
use super::pipeline::Pipeline;
use super::queue::Queue;
use super::sampler::{Room, WholeTraces};
use super::sender::Foreign;
use super::shared::{Handle, Watch};
use super::text::bounded;
use super::{RequestIdGenerator, TagProcessor};
use super::{otlp, overdue, resource};
use crate::console::Console;
use crate::propagation::{self, Propagator};
use crate::redact::error_text::{self, ErrorText};
use crate::span::registry::{self, Table};
use crate::span::tracer::{self, SetUp};
use crate::tags::set;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How many open spans are listed if not said otherwise.
const OPEN_SPANS: usize = 1 << 14;

/// The most that may be listed: some fifty megabytes.
const MOST_OPEN_SPANS: usize = 1 << 18;

/// How long a span may be open before it is told of.
const OVERDUE: Duration = Duration::from_secs(5 * 60);

/// Sets up tracing for this process by the standard `OTEL_*` variables. See the
/// [module](crate::telemetry) for what it does, and [`builder`] for more.
///
/// Keep the value until the end of `main`, and call [`Telemetry::shutdown`] there. Dropping it sends
/// what waits, for five seconds at most.
///
/// A second call while the first value is there takes over, and a warning says so.
///
/// # Errors
///
/// If a variable has a value that cannot be understood, if the address of the collector is not one,
/// or if the export thread cannot be spawned. A collector that does not answer is no error.
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

/// [`init`] with more to say. What is said here goes before the variables.
///
/// ```
/// # fn main() -> Result<(), throughline::telemetry::InitError> {
/// let telemetry = throughline::telemetry::builder()
///     .service_name("orders")
///     .attribute("deployment.environment.name", "staging")
///     .queue(20_000)
///     .init()?;
/// # Ok(())
/// # }
/// ```
pub fn builder() -> Builder {
    Builder {
        // What is no Unicode is not a value that is allowed, rather than not there.
        variables: Box::new(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned())),
        attributes: Vec::new(),
        collector: None,
        exporter: None,
        sampler: None,
        propagator: None,
        error_text: None,
        queue: None,
        open_spans: OPEN_SPANS,
        overdue: OVERDUE,
        provider: Vec::new(),
    }
}

/// Where variables come from.
type Get = Box<dyn Fn(&str) -> Option<String>>;

type Make = Box<dyn FnOnce(Arc<Queue>, &Settings, Watch, &Resource) -> Result<Pipeline, InitError>>;

/// What [`builder`] gives.
#[must_use = "nothing is set up before `init`"]
pub struct Builder {
    variables: Get,
    attributes: Vec<KeyValue>,
    collector: Option<(String, Protocol)>,
    exporter: Option<Make>,
    sampler: Option<Box<dyn ShouldSample>>,
    propagator: Option<Propagator>,
    error_text: Option<ErrorText>,
    queue: Option<usize>,
    open_spans: usize,
    overdue: Duration,
    provider: Vec<Box<dyn FnOnce(TracerProviderBuilder) -> TracerProviderBuilder>>,
}

impl Builder {
    /// Reads variables from elsewhere than the environment. For tests, and for configuration from a
    /// file.
    pub fn variables(mut self, get: impl Fn(&str) -> Option<String> + 'static) -> Self {
        self.variables = Box::new(get);
        self
    }

    /// The resource attribute `service.name`.
    pub fn service_name(self, name: impl Into<String>) -> Self {
        self.attribute("service.name", name.into())
    }

    /// A resource attribute.
    pub fn attribute(mut self, key: impl Into<Key>, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(key, value));
        self
    }

    /// Sends spans to the collector at this address, such as `http://localhost:4317` for gRPC, or
    /// `http://localhost:4318/v1/traces` for HTTP. Headers, time limit and compression are still
    /// those of the variables.
    pub fn collector(mut self, address: impl Into<String>, protocol: Protocol) -> Self {
        self.collector = Some((address.into(), protocol));
        self
    }

    /// Sends spans through an exporter of your own. It runs on a thread with a Tokio runtime; a
    /// batch for which it returns an error is not tried again.
    pub fn exporter(mut self, exporter: impl SpanExporter + 'static) -> Self {
        self.exporter = Some(Box::new(move |queue, settings, watch, resource| {
            let resource = resource.clone();
            Pipeline::start(queue, settings.batching, watch, move || {
                let mut exporter = exporter;
                exporter.set_resource(&resource);
                Ok::<_, InitError>(Foreign(exporter))
            })
        }));
        self
    }

    /// Asks `sampler` for the first span of each trace; all other spans follow it.
    pub fn sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        self.sampler = Some(Box::new(sampler));
        self
    }

    /// What is written to and read from the wire.
    pub fn propagator(mut self, propagator: Propagator) -> Self {
        self.propagator = Some(propagator);
        self
    }

    /// What is recorded of the texts of errors; see [`ErrorText`]. Goes before the variable
    /// `THROUGHLINE_ERROR_TEXT`, and is for the whole process.
    pub fn error_text(mut self, choice: ErrorText) -> Self {
        self.error_text = Some(choice);
        self
    }

    /// How many finished spans may wait for the collector, those included that are being exported: the
    /// bound in memory. From three
    /// quarters of it on, new traces are not recorded. 131,072 if not set.
    pub fn queue(mut self, spans: usize) -> Self {
        self.queue = Some(spans.max(1));
        self
    }

    /// How many open spans are listed at most; 16,384 if not set, and never more than 262,144, for all of
    /// which there is a place from the start. Zero lists none, which makes
    /// a span some tens of nanoseconds cheaper. The first call in a process decides.
    pub fn open_spans(mut self, spans: usize) -> Self {
        self.open_spans = spans.min(MOST_OPEN_SPANS);
        self
    }

    /// A span that has been open for this long is told of in a warning, once; five minutes if not
    /// set. Spans that began at one place are told of together.
    pub fn overdue(mut self, limit: Duration) -> Self {
        self.overdue = limit;
        self
    }

    /// Adds a span processor of your own. A shutdown does not wait for it beyond its limit.
    pub fn processor(mut self, processor: impl SpanProcessor + 'static) -> Self {
        self.provider.push(Box::new(|provider| provider.with_span_processor(processor)));
        self
    }

    /// Sets everything up, or nothing.
    ///
    /// # Errors
    ///
    /// Those of [`init`].
    pub fn init(self) -> Result<Telemetry, InitError> {
        let get = |name: &str| (self.variables)(name);
        let mut settings = Variables(&get).read()?;
        settings.resource.extend(self.attributes);
        if let Some(queue) = self.queue {
            settings.batching.queue = queue;
            settings.batching.batch = settings.batching.batch.min(queue);
        }
        let propagator = match (self.propagator, settings.propagators.take()) {
            (Some(propagator), _) => propagator,
            (None, Some(formats)) => Propagator::new(formats),
            (None, None) => Propagator::default(),
        };
        let error_text = (self.error_text, settings.error_text.take());
        if settings.disabled {
            choose(error_text);
            return Ok(disabled(propagator));
        }

        let resource = resource::resource(&settings.resource);
        let queue = Arc::new(Queue::new(settings.batching.queue));
        let room = Arc::new(Room::new(Arc::clone(&queue)));
        let open = (self.open_spans > 0).then(|| registry::table(self.open_spans));
        let mut watch = Watch {
            room: Arc::clone(&room),
            open: open.clone(),
            overdue: self.overdue,
            value_limit: settings.value_limit,
            collector: "the application's exporter".to_owned(),
        };
        let destination = match self.collector {
            Some((endpoint, protocol)) => {
                Some(Destination::Otlp(Box::new(collector(&settings, endpoint, protocol, &get)?)))
            }
            None => settings.destination.take(),
        };
        if let (None, Some(Destination::Otlp(otlp))) = (&self.exporter, &destination) {
            watch.collector = format!("`{}` ({})", without_secrets(&otlp.endpoint), otlp.protocol);
        }
        let collector = watch.collector.clone();
        let pipeline = match (self.exporter, &destination) {
            (Some(make), _) => Some(make(queue, &settings, watch, &resource)?),
            (None, Some(Destination::Otlp(address))) => {
                let (address, resource) = (address.clone(), resource.clone());
                Some(Pipeline::start(queue, settings.batching, watch, move || otlp::exporter(&address, &resource))?)
            }
            _ => None,
        };
        let watching = match (&pipeline, &open) {
            (None, Some(open)) => Some(overdue::watch(Arc::clone(open), self.overdue)?),
            _ => None,
        };
        let wants_console = pipeline.is_none() && is_printed(destination.as_ref());
        let introduction = introduction(
            &resource,
            &way(pipeline.is_some().then_some(&collector), wants_console),
            &self.sampler.as_ref().map_or_else(|| settings.sampler_name(), |_| "of the application".to_owned()),
        );
        let max_tags = settings.limits.max_attributes_per_span as usize;
        let sampler = self.sampler.unwrap_or_else(|| first(&settings));
        // Also when nothing is kept here: a root that is not sampled would switch the services below off,
        // and processors of the application's own see what is sampled.
        let mut provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_limits(settings.limits)
            .with_id_generator(RequestIdGenerator::new())
            .with_sampler(
                Box::new(WholeTraces::new(sampler, pipeline.is_some().then_some(room))) as Box<dyn ShouldSample>
            )
            .with_span_processor(TagProcessor::new());
        let handle = pipeline.as_ref().map(Pipeline::handle);
        // Before the application's own, which may take all the time there is to shut down.
        if let Some(pipeline) = pipeline {
            provider = provider.with_span_processor(pipeline);
        }
        for more in self.provider {
            provider = more(provider);
        }
        if wants_console {
            provider = provider.with_span_processor(Console::stderr());
        }
        let provider = provider.build();
        choose(error_text);
        set::set_max_scoped(max_tags);
        propagate(propagator);
        global::set_tracer_provider(provider.clone());
        tracer::install(&provider);
        announce(introduction);
        Ok(Telemetry {
            provider: Some(provider),
            pipeline: handle,
            open,
            _watching: watching,
            ended: false,
            ending: None,
        })
    }
}

/// Whether traces are printed that no exporter takes.
fn is_printed(destination: Option<&Destination>) -> bool {
    match destination {
        Some(destination) => matches!(destination, Destination::Console),
        None => cfg!(debug_assertions) || std::io::stderr().is_terminal(),
    }
}

/// From now on there is one more that records.
fn announce(introduction: String) {
    if SET_UP.fetch_add(1, Ordering::Relaxed) > 0 {
        let text = "tracing was set up before and has not ended; spans go to the new set-up from now on";
        notice::early(Level::Warn, text.to_owned());
    }
    notice::early(Level::Info, introduction);
}

/// Nothing is recorded, and contexts are passed on.
fn disabled(propagator: Propagator) -> Telemetry {
    propagate(propagator);
    tracer::set_up_is(SetUp::Done);
    notice::early(Level::Info, format!("throughline {VERSION}: disabled by `OTEL_SDK_DISABLED`"));
    Telemetry { provider: None, pipeline: None, open: None, _watching: None, ended: false, ending: None }
}

/// Where spans go.
fn way(collector: Option<&impl std::fmt::Display>, console: bool) -> String {
    match collector {
        Some(collector) => format!("exporting to {collector}"),
        None if console => "printing traces to standard error".to_owned(),
        None => "exporting nothing".to_owned(),
    }
}

/// What there is now, in a line.
fn introduction(resource: &Resource, way: &str, sampler: &str) -> String {
    let service = resource.get(&Key::from_static_str("service.name")).map(|name| bounded(&name.to_string()));
    format!("throughline {VERSION}: service `{}`, {way}, sampler {sampler}", service.unwrap_or_default())
}

/// What was said to the builder counts, then what was set in code before, then the variable.
fn choose((said, variable): (Option<ErrorText>, Option<ErrorText>)) {
    match (said, variable) {
        (Some(said), _) => error_text::set_error_text(said),
        (None, Some(variable)) => error_text::set_default(variable),
        (None, None) => {}
    }
}

fn propagate(propagator: Propagator) {
    propagation::set(propagator.clone());
    global::set_text_map_propagator(propagator);
}

/// Who is asked for the first span of a trace, if it is not said in code.
fn first(settings: &Settings) -> Box<dyn ShouldSample> {
    if let Some(name) = &settings.wrapped {
        let text = format!("the sampler `{name}` would produce partial traces; using `parentbased_{name}`");
        notice::early(Level::Warn, text);
    }
    Box::new(match settings.sampler {
        RootSampler::AlwaysOn => Sampler::AlwaysOn,
        RootSampler::AlwaysOff => Sampler::AlwaysOff,
        RootSampler::Ratio(ratio) => Sampler::TraceIdRatioBased(ratio),
    })
}

/// The collector that was named in code, with the rest of the variables.
fn collector(
    settings: &Settings,
    endpoint: String,
    protocol: Protocol,
    get: &dyn Fn(&str) -> Option<String>,
) -> Result<Otlp, VariableError> {
    if let Some(Destination::Otlp(given)) = &settings.destination {
        return Ok(Otlp { endpoint, protocol, variable: None, ..Otlp::clone(given) });
    }
    let wanted = |name: &str| match name {
        "OTEL_TRACES_EXPORTER" => Some("otlp".to_owned()),
        _ => get(name),
    };
    match Variables(&wanted).read()?.destination {
        Some(Destination::Otlp(given)) => Ok(Otlp { endpoint, protocol, variable: None, ..*given }),
        _ => Ok(Otlp {
            endpoint,
            variable: None,
            protocol,
            headers: Vec::new(),
            timeout: Some(DEFAULT_TIMEOUT),
            gzip: false,
            #[cfg(feature = "otlp-tls")]
            files: TlsFiles::default(),
        }),
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("attributes", &self.attributes)
            .field("queue", &self.queue.unwrap_or(DEFAULT_QUEUE))
            .finish_non_exhaustive()
    }
}

/// How many there are that record.
pub(super) static SET_UP: AtomicUsize = AtomicUsize::new(0);

/// Tracing that is set up. Keep it until the end of `main`.
#[must_use = "dropping it ends tracing"]
pub struct Telemetry {
    pub(super) provider: Option<SdkTracerProvider>,
    pub(super) pipeline: Option<Handle>,
    pub(super) open: Option<Arc<Table>>,
    /// Who looks at the open spans, if it is not who sends.
    _watching: Option<mpsc::Sender<Infallible>>,
    pub(super) ended: bool,
    /// The thread that waits for what is sent at the end.
    pub(super) ending: Option<JoinHandle<()>>,
}

impl Telemetry {
    /// The provider, for libraries that want one. `None` if `OTEL_SDK_DISABLED` is set.
    pub fn provider(&self) -> Option<&SdkTracerProvider> {
        self.provider.as_ref()
    }

    /// What became of the spans since the start. Zeros if there is no collector.
    pub fn counts(&self) -> Counts {
        self.pipeline.as_ref().map(Handle::counts).unwrap_or_default()
    }

    /// How many finished spans wait for the collector: queued, or in flight, which is the batch that is
    /// being exported and perhaps tried again. Never more than [`Builder::queue`].
    pub fn waiting(&self) -> usize {
        self.pipeline.as_ref().map_or(0, Handle::waiting)
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("enabled", &self.provider.is_some())
            .field("counts", &self.counts())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
