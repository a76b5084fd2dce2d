//! The pipeline behind the spans, set up as documented, with export over gRPC.

use std::borrow::Cow;
use std::time::Duration;

use fastrace::collector::Config;
use fastrace_opentelemetry::OpenTelemetryReporter;
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use throughline::audit::Rules;
use throughline::telemetry::{Protocol, Telemetry};
use tokio::runtime::Runtime;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::calls::{self, Mode};

/// The time limit for shutdown.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What differs from the defaults.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The queue limit, if it is not the default. fastrace has no such setting.
    pub queue: Option<usize>,
    /// Nothing is sampled. fastrace has no such setting.
    pub unsampled: bool,
    /// Ours audits the exported spans.
    pub audited: bool,
}

/// Telemetry that is set up for one mode or several.
#[derive(Debug)]
pub struct Stack {
    runtime: Runtime,
    ours: Option<Telemetry>,
    sdk: Option<SdkTracerProvider>,
    fastrace: bool,
}

impl Stack {
    /// Sets up what these modes need, with export to `endpoint`. `#[instrument]` gets a global subscriber with no other
    /// layer than that of `tracing-opentelemetry` or ours.
    ///
    /// # Panics
    ///
    /// If that fails, or for the second time in a process.
    pub fn new(modes: &[Mode], endpoint: &str, setup: &Setup) -> Self {
        let stack = Self::without_subscriber(modes, endpoint, setup);
        if modes.contains(&Mode::Instrument) {
            tracing::subscriber::set_global_default(stack.subscriber()).expect("the first subscriber");
        }
        if modes.contains(&Mode::Layer) {
            let subscriber = tracing_subscriber::registry().with(throughline::tracing_layer());
            tracing::subscriber::set_global_default(subscriber).expect("the first subscriber");
        }
        stack
    }

    /// The same, for processes with several modes: a subscriber for all would slow down the others.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    pub fn without_subscriber(modes: &[Mode], endpoint: &str, setup: &Setup) -> Self {
        // For the connections of the SDK's exporters. Ours has its own thread.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let mut stack =
            Self { runtime: runtime.expect("a runtime can be built"), ours: None, sdk: None, fastrace: false };
        if modes.contains(&Mode::Ours) || modes.contains(&Mode::Layer) {
            let mut builder = throughline::telemetry::builder().collector(endpoint, Protocol::Grpc);
            if let Some(queue) = setup.queue {
                builder = builder.max_queue_size(queue);
            }
            if setup.unsampled {
                builder = builder.sampler(Sampler::AlwaysOff);
            }
            if setup.audited {
                builder = builder.audit(Rules::new().business_tag("tenant_id"));
            }
            stack.ours = Some(builder.service_name("performance").init().expect("telemetry is set up"));
        }
        if modes.contains(&Mode::ByHand) || modes.contains(&Mode::Instrument) {
            let provider = stack.sdk(endpoint, setup);
            calls::set_tracer(provider.tracer("by_hand"));
            stack.sdk = Some(provider);
        }
        if modes.contains(&Mode::Fastrace) {
            let reporter = OpenTelemetryReporter::new(
                stack.exporter(endpoint),
                Cow::Owned(resource()),
                InstrumentationScope::builder("fastrace").build(),
            );
            fastrace::set_reporter(reporter, Config::default());
            stack.fastrace = true;
        }
        stack
    }

    fn exporter(&self, endpoint: &str) -> SpanExporter {
        let _entered = self.runtime.enter();
        SpanExporter::builder().with_tonic().with_endpoint(endpoint).build().expect("the exporter is built")
    }

    fn sdk(&self, endpoint: &str, setup: &Setup) -> SdkTracerProvider {
        let mut batch = BatchConfigBuilder::default();
        if let Some(queue) = setup.queue {
            batch = batch.with_max_queue_size(queue);
        }
        let processor = BatchSpanProcessor::builder(self.exporter(endpoint)).with_batch_config(batch.build()).build();
        let sampler = if setup.unsampled { Sampler::AlwaysOff } else { Sampler::AlwaysOn };
        SdkTracerProvider::builder()
            .with_resource(resource())
            .with_sampler(Sampler::ParentBased(Box::new(sampler)))
            .with_span_processor(processor)
            .build()
    }

    /// The subscriber for `#[instrument]`, over the SDK's provider.
    fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        let tracer = self.sdk.as_ref().expect("set up for `#[instrument]`").tracer("instrument");
        tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer))
    }

    /// The same as a value, for [`tracing::dispatcher::with_default`].
    ///
    /// # Panics
    ///
    /// If this was not set up for `#[instrument]`.
    pub fn dispatch(&self) -> tracing::Dispatch {
        tracing::Dispatch::new(self.subscriber())
    }

    /// Exports the remaining spans.
    ///
    /// # Panics
    ///
    /// If they cannot be exported.
    pub fn finish(self) {
        if let Some(telemetry) = self.ours {
            let report = self.runtime.block_on(telemetry.shutdown(TIMEOUT));
            assert!(report.is_complete(), "{report}");
        }
        if let Some(provider) = self.sdk {
            provider.shutdown_with_timeout(TIMEOUT).expect("all is exported");
        }
        if self.fastrace {
            fastrace::flush();
        }
    }
}

fn resource() -> Resource {
    Resource::builder().with_service_name("performance").build()
}
