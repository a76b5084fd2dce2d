//! The `main` function of a production service: logs, telemetry, requests, and a graceful shutdown with a timeout.
//!
//! ```text
//! cargo run --example service --features otlp                      # prints its traces as trees
//! OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 cargo run --example service --features otlp
//! curl -X POST http://127.0.0.1:3000/tenants/acme/orders/1001
//! ```
//!
//! Read it from `main` down. Points of interest:
//!
//! * The subscriber is set first, so that the messages of `init` are logged.
//! * The first Ctrl-C or SIGTERM shuts down gracefully: no new connections, ten seconds for requests in flight, and ten
//!   more for their detached jobs and for exporting the remaining spans.
//! * The second one exits immediately.
//! * The exit code is that of the service. If the collector is unreachable, spans are lost, which `shutdown` logs; the
//!   service has not failed.

use std::error::Error;
use std::io::{self, IsTerminal as _};
use std::process::{self, ExitCode};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use throughline::telemetry::{self, Telemetry};
use throughline::{biz_tags, log, traced, traced_spawn};
use throughline_http::{RequestTag, ServerLayer};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tracing::{error, info, warn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// The time limit for requests that are in progress when shutdown begins.
const REQUESTS: Duration = Duration::from_secs(10);

/// The time limit for detached jobs and for flushing spans.
const JOBS_AND_SPANS: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    // 1. Logs, first of all.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let text = fmt::layer().event_format(log::Text::new()).with_ansi(io::stdout().is_terminal());
    tracing_subscriber::registry().with(filter).with(text).init();

    // 2. Telemetry, configured by OTEL_* variables. An invalid value is an error, rather than a service without traces.
    match throughline::init().map_err(Into::into).and_then(run) {
        Ok(code) => code,
        Err(error) => {
            error!(error = &*error, "the service has failed");
            ExitCode::FAILURE
        }
    }
}

fn run(telemetry: Telemetry) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = Runtime::new()?;

    // 3. The service, until it is asked to shut down.
    let served = runtime.block_on(serve());

    // 4. Wait for detached jobs, then flush all spans, even after an error.
    let report = runtime.block_on(telemetry.shutdown(JOBS_AND_SPANS));
    // Blocking work must not delay the exit.
    runtime.shutdown_background();

    served?;
    // An aborted job means unfinished work.
    Ok(if report.jobs_left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn serve() -> io::Result<()> {
    let address = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    info!("listening on http://{}", listener.local_addr()?);

    let (stop, stopped) = oneshot::channel::<()>();
    let in_time = ends(stop);
    let server = axum::serve(listener, router()).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    tokio::select! {
        result = server => result,
        () = in_time => {
            warn!("some requests were not answered in time");
            Ok(())
        }
    }
}

/// Waits for the shutdown signal, announces it by dropping `stop`, and completes when the time limit for requests has
/// passed.
async fn ends(stop: oneshot::Sender<()>) {
    telemetry::signal().await;
    info!("shutting down; a second signal exits immediately");
    // In a separate task, because `ends` is dropped when the last request completes, which is too early.
    tokio::spawn(async {
        telemetry::signal().await;
        warn!("exiting without a graceful shutdown");
        process::exit(130);
    });
    drop(stop);
    tokio::time::sleep(REQUESTS).await;
}

// ---------------------------------------------------------------------------------------------
// The service

fn router() -> Router {
    let layer = ServerLayer::new()
        .public()
        .tag(RequestTag::new("tenant_id").path("tenant_id").required())
        .untraced(["/healthz"]);
    Router::new()
        .route("/tenants/{tenant_id}/orders/{order_no}", post(create_order))
        .route("/healthz", get(|| async { "ok" }))
        .layer(layer)
}

#[biz_tags(order_no)]
async fn create_order(Path((_, order_no)): Path<(String, u64)>) -> (StatusCode, &'static str) {
    charge().await;
    send_receipt();
    info!("the order is taken");
    (StatusCode::CREATED, "created\n")
}

#[traced(kind = client)]
async fn charge() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Outlives the request, and continues during shutdown.
#[traced_spawn]
async fn send_receipt() {
    tokio::time::sleep(Duration::from_millis(500)).await;
    info!("the receipt is sent");
}
