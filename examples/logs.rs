//! Log lines with trace IDs: a request and a job that outlives it, first as text, then as JSON.
//!
//! ```text
//! cargo run --example logs --features log
//! ```
//!
//! No function here opens a `tracing` span. The IDs are those of the spans that `#[traced]` and `#[traced_spawn]`
//! start, and the tags those of `#[biz_tags]`.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};

use throughline::log::Text;
use throughline::telemetry::TracerProvider;
use throughline::{biz_tags, traced, traced_spawn};
use tokio::task::JoinError;
use tracing::{Subscriber, error, info, warn};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // A provider without an exporter, which is sufficient for span IDs.
    throughline::install(&TracerProvider::builder().build());

    let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let text = fmt::layer().event_format(Text::new()).with_ansi(colours);
    serve(tracing_subscriber::registry().with(text)).await?;

    // Ignore a closed pipe (`| head`).
    let _ = writeln!(io::stdout());
    serve(
        tracing_subscriber::registry()
            .with(throughline_json_subscriber::layer().with_span_list(false).with_current_span(false)),
    )
    .await?;
    Ok(())
}

/// The work of the service. A real service sets one global subscriber with `init()`; this example uses two, one after
/// the other.
async fn serve(subscriber: impl Subscriber + Send + Sync) -> Result<(), JoinError> {
    let _logging = tracing::subscriber::set_default(subscriber);
    info!("the service is up");
    let job = place_order("acme", 1001, "keyboard\n2026-01-01T00:00:00Z ERROR not a line of its own").await;
    job.await?;
    info!("the service goes down");
    Ok(())
}

#[traced(kind = server)]
#[biz_tags(tenant_id, order_no)]
async fn place_order(tenant_id: &str, order_no: u64, note: &str) -> tokio::task::JoinHandle<()> {
    // Line breaks in external input are escaped.
    info!(note = %note, "order accepted");
    if let Err(error) = charge(order_no).await {
        warn!(%error, "charging again later");
    }
    // The job outlives the request, with the same trace and tags and its own span.
    send_receipt()
}

#[traced(kind = client)]
#[biz_tags(attempt = 1)]
async fn charge(order_no: u64) -> Result<(), io::Error> {
    tokio::task::yield_now().await;
    error!("the gateway does not answer for order {order_no}");
    Err(io::ErrorKind::TimedOut.into())
}

#[traced_spawn]
async fn send_receipt() {
    info!("sending the receipt");
    tokio::task::yield_now().await;
    info!(bytes = 512, "receipt sent");
}
