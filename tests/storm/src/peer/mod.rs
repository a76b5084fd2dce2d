//! The same services, traced the way a careful team does it today: `tracing`, `tracing-opentelemetry`, middleware for
//! HTTP and gRPC, and everything else by hand, as the documentation of these crates shows.
//!
//! * HTTP servers have `axum-tracing-opentelemetry`, gRPC servers and clients `tonic-tracing-opentelemetry`. No release
//!   of `reqwest-tracing` supports this version of OpenTelemetry, so the headers are injected by hand.
//! * No client library of a broker or a database has middleware: spans are created by hand, contexts are injected into
//!   headers, and extracted before the consumer's span is entered.
//! * Tasks have `.instrument(Span::current())`, closures on other threads `span.in_scope`, messages to an actor the
//!   span, and a timer a carrier.
//! * Every step has the number of its order and its tenant as fields.
//! * One filter is for all layers, as in `init-tracing-opentelemetry`, or belongs to the layer of OpenTelemetry, as in the
//!   documentation of `tracing-subscriber`, so that logs can have another one ([`Side::PeerFiltered`]).

mod archive;
mod gateway;
mod messages;
mod orders;
mod pricing;
mod queues;

use opentelemetry::global;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Instrument as _, info_span, level_filters::LevelFilter};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Config, Side};
use crate::facts::Step;
use crate::service::Service;
use crate::store::{Cache, Store};

/// How spans are recorded and exported.
#[derive(Clone)]
pub(crate) struct Tracing(SdkTracerProvider);

impl Tracing {
    /// The address of the collector is in the environment, as with Throughline.
    pub(crate) fn start(config: &Config, role: &str) -> Self {
        global::set_text_map_propagator(TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(BaggagePropagator::new()),
        ]));
        let exporter = SpanExporter::builder().with_tonic().build().expect("the settings are valid");
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(Resource::builder().with_service_name(role.to_owned()).build())
            .build();
        global::set_tracer_provider(provider.clone());
        // The middleware's spans have this target, and the level `TRACE`.
        let filter = Targets::new().with_default(LevelFilter::INFO).with_target("otel::tracing", LevelFilter::TRACE);
        let tracer = provider.tracer("storm");
        if config.side == Side::PeerFiltered {
            let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter);
            tracing_subscriber::registry().with(layer).init();
        } else {
            tracing_subscriber::registry().with(filter).with(tracing_opentelemetry::layer().with_tracer(tracer)).init();
        }
        Self(provider)
    }

    pub(crate) fn flush(&self) -> bool {
        self.0.force_flush().is_ok()
    }

    /// The SDK does not report how many spans it has exported or dropped.
    pub(crate) async fn shutdown(self) -> String {
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown()).await.expect("no panic");
        if let Err(error) = ended {
            eprintln!("the provider's shutdown: {error}");
        }
        "0 0".to_owned()
    }
}

pub(crate) async fn play(role: &str, service: Service) {
    match role {
        "gateway" => gateway::play(service).await,
        "pricing" => pricing::play(service).await,
        "orders" => orders::play(service).await,
        "stock" => queues::stock(service).await,
        "billing" => queues::billing(service).await,
        "shipping" => queues::shipping(service).await,
        "archive" => archive::play(service).await,
        "analytics" => queues::analytics(service).await,
        _ => panic!("no role `{role}`"),
    }
}

/// Stores the order in the database.
async fn insert(store: &Store, step: &Step, request: u64) {
    step.calls();
    let statement = async {
        match store {
            Store::MySql { pool, insert } => {
                let statement = sqlx::query(sqlx::AssertSqlSafe(insert.clone())).bind(request).bind(step.id);
                assert_eq!(statement.execute(pool).await.expect("stored").rows_affected(), 1);
            }
            Store::Double(store) => store.call().await,
        }
    };
    statement.instrument(info_span!("INSERT", otel.kind = "client", db.system.name = "mariadb")).await;
}

/// Asks the cache.
async fn cached(cache: &Cache, step: &Step, key: &str) {
    step.calls();
    let command = async {
        match cache {
            Cache::Redis(connection) => {
                let mut connection = connection.clone();
                let _: Option<String> = redis::AsyncCommands::get(&mut connection, key).await.expect("an answer");
            }
            Cache::Double(store) => store.call().await,
        }
    };
    command.instrument(info_span!("GET", otel.kind = "client", db.system.name = "redis")).await;
}
