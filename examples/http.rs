//! A public gateway and the service behind it, in one process, handling three requests.
//!
//! ```text
//! cargo run --example http
//! ```
//!
//! Points of interest:
//!
//! * The gateway does not trust its callers. It starts a new trace for each request, and links the caller's, if there
//!   is one.
//! * The tenant is a parameter of the gateway's route, and the region a header. No code passes them on: `x-tenant-id`
//!   is sent to the service behind the gateway, and every span of both has it.
//! * `X-Request-ID` is the trace ID. The response has it, and the service behind the gateway receives the same one.
//! * The second order fails once and is retried: two client spans, two server spans.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use throughline::RequestId;
use throughline::console::Console;
use throughline::telemetry::{RequestIdGenerator, TracerProvider};
use throughline::traced;
use throughline_http::{Attempts, ClientLayer, RequestTag, ServerLayer};
use throughline_reqwest::RequestBuilderExt as _;
use tokio::net::TcpListener;
use tokio::time::sleep;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let provider = TracerProvider::builder()
        .with_id_generator(RequestIdGenerator::new())
        .with_span_processor(Console::stdout().hold())
        .build();
    throughline::install(&provider);

    let stock = serve(stock_service()).await?;
    let gateway = serve(gateway(stock)).await?;
    send_orders(gateway).await?;

    provider.shutdown()?;
    Ok(())
}

async fn serve(service: Router) -> Result<SocketAddr, Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, service).await });
    Ok(address)
}

// ---------------------------------------------------------------------------------------------
// The gateway

struct Gateway {
    client: reqwest::Client,
    /// Sends the tenant in a header of its own, for services that do not support tracing.
    layer: ClientLayer,
    stock: SocketAddr,
}

fn gateway(stock: SocketAddr) -> Router {
    let layer = ServerLayer::new()
        .public()
        .tag(RequestTag::new("tenant_id").path("tenant_id").required())
        .tag(RequestTag::new("region").header("x-region").default("eu"));
    // No proxy: the service is on this machine.
    let client = reqwest::Client::builder().no_proxy().build().unwrap_or_default();
    let state = Gateway { client, layer: ClientLayer::new().tag_header("tenant_id", "x-tenant-id"), stock };
    Router::new().route("/tenants/{tenant_id}/orders/{sku}", post(order)).layer(layer).with_state(Arc::new(state))
}

#[traced]
async fn order(State(gateway): State<Arc<Gateway>>, Path((_, sku)): Path<(String, String)>) -> (StatusCode, String) {
    // Counts the attempts, so that the second call has `http.request.resend_count`.
    let layer = gateway.layer.clone().url_template("/stock/{sku}").attempts(Attempts::new());
    for _ in 0..2 {
        match reserve(&gateway, &layer, &sku).await {
            Ok(response) if response.status().is_success() => return (StatusCode::CREATED, "ordered\n".to_owned()),
            Ok(_) | Err(_) => {}
        }
    }
    (StatusCode::BAD_GATEWAY, "no answer from the stock\n".to_owned())
}

/// A client span with context propagation, in one line.
async fn reserve(gateway: &Gateway, layer: &ClientLayer, sku: &str) -> reqwest::Result<reqwest::Response> {
    gateway.client.get(format!("http://{}/stock/{sku}", gateway.stock)).send_with_traced(layer).await
}

// ---------------------------------------------------------------------------------------------
// The service behind

fn stock_service() -> Router {
    let layer = ServerLayer::new().tag_header("tenant_id", "x-tenant-id");
    Router::new().route("/stock/{sku}", get(check)).layer(layer)
}

static CALLS: AtomicU32 = AtomicU32::new(0);

async fn check(Path(sku): Path<String>) -> (StatusCode, String) {
    let left = look_up(&sku).await;
    // The second call always fails.
    let status =
        if CALLS.fetch_add(1, Ordering::Relaxed) == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let id = RequestId::current().map(|id| id.to_string()).unwrap_or_default();
    println!("stock: {left} left of {sku} (request {id})");
    (status, left.to_string())
}

#[traced(tags(sku))]
async fn look_up(sku: &str) -> usize {
    sleep(Duration::from_millis(5)).await;
    sku.len()
}

// ---------------------------------------------------------------------------------------------
// The customers

async fn send_orders(gateway: SocketAddr) -> Result<(), Box<dyn Error>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let send = async |tenant: &str, headers: &[(&str, &str)]| -> reqwest::Result<()> {
        let mut request = client.post(format!("http://{gateway}/tenants/{tenant}/orders/keyboard"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or("none").to_owned();
        println!("{tenant}: {} {}(request {id})\n", response.status(), response.text().await?.replace('\n', " "));
        Ok(())
    };
    send("acme", &[]).await?;
    send("globex", &[("x-region", "us")]).await?;
    // The caller is not trusted: its trace is linked, not continued.
    send("initech", &[("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]).await?;
    Ok(())
}
