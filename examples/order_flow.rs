//! An order service, from the HTTP request to the detached jobs, with one trace per request.
//!
//! ```text
//! cargo run --example order_flow                          # sends three orders to itself and exits
//! cargo run --example order_flow -- --serve [--port N]    # accepts requests until Ctrl-C
//! cargo run --example order_flow --features jaeger        # and shows the traces in Jaeger's UI
//! ```
//!
//! Read it from `main` down. Points of interest:
//!
//! * `create_order` names the tenant and the order once. Every span below has both, including those of jobs, without
//!   any function passing them on.
//! * `send_receipt` and `render_invoice` are called like functions, and continue after the response. Their spans are in
//!   the trace of the request, with their own start and end.
//! * An error, a retry, and a client that disconnects are all recorded, without any code for it here.

use std::error::Error;
use std::fmt;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use throughline::console::Console;
#[cfg(not(feature = "jaeger"))]
use throughline::telemetry::TracerProvider;
use throughline::{biz_tags, jobs, traced, traced_spawn};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::time::sleep;

#[cfg(feature = "jaeger")]
#[path = "support/jaeger.rs"]
mod jaeger;

fn main() -> Result<(), Box<dyn Error>> {
    let (serve, port) = arguments()?;

    // 1. The span destination. A real service configures an exporter instead of the console, or in addition.
    let console = if serve { Console::stdout() } else { Console::stdout().hold() };
    let runtime = Runtime::new()?;
    #[cfg(feature = "jaeger")]
    let jaeger = runtime.block_on(jaeger::Jaeger::start(console))?;
    #[cfg(not(feature = "jaeger"))]
    let provider = print_traces(console);

    // 2. The service.
    runtime.block_on(run(serve, port))?;
    #[cfg(feature = "jaeger")]
    runtime.block_on(jaeger.show())?;

    // 3. Shutdown. The order matters: cancel what is still running, then flush.
    drop(runtime);
    #[cfg(not(feature = "jaeger"))]
    provider.shutdown()?;
    Ok(())
}

#[cfg(not(feature = "jaeger"))]
fn print_traces(console: Console) -> TracerProvider {
    let provider = TracerProvider::builder().with_span_processor(console).build();
    throughline::install(&provider);
    provider
}

async fn run(serve: bool, port: u16) -> Result<(), Box<dyn Error>> {
    let service = Router::new().route("/tenants/{tenant_id}/orders", post(create_order));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    let stop = async move {
        if serve {
            wait_for_ctrl_c(address).await;
        } else {
            send_orders(address).await;
        }
    };
    axum::serve(listener, service).with_graceful_shutdown(stop).await?;

    // All requests have completed; give their detached jobs time to finish, too.
    if let Err(left) = jobs::wait(Duration::from_secs(10)).await {
        eprintln!("{left}");
    }
    Ok(())
}

// ---------------------------------------------------------------------------------------------
// The service

#[derive(Debug, Deserialize, Serialize)]
struct NewOrder {
    order_no: u64,
    sku: String,
    quantity: u32,
    payment: Payment,
    email: String,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Payment {
    Card,
    /// A slow bank.
    Transfer,
}

#[derive(Debug, Serialize)]
struct Confirmation {
    order_no: u64,
    total_cents: u64,
}

/// The server span. Extractors need no special handling: tags can refer to the names bound by a pattern, or to fields.
#[traced(kind = server)]
#[biz_tags(tenant_id, order_no = req.order_no)]
async fn create_order(
    Path(tenant_id): Path<String>,
    Json(req): Json<NewOrder>,
) -> Result<(StatusCode, Json<Confirmation>), OrderError> {
    let total_cents = load_price(&req.sku)? * u64::from(req.quantity);
    reserve_stock(&req.sku, req.quantity).await?;
    charge(total_cents, req.payment).await?;

    // Both start immediately and return a `JoinHandle`. Dropping it does not stop them.
    render_invoice(tenant_id, total_cents);
    send_receipt(req.email);

    Ok((StatusCode::CREATED, Json(Confirmation { order_no: req.order_no, total_cents })))
}

/// `sku` is set on this span only.
#[traced(tags(sku))]
fn load_price(sku: &str) -> Result<u64, OrderError> {
    match sku {
        "keyboard" => Ok(8_990),
        "monitor" => Ok(24_900),
        _ => Err(OrderError::Unknown(sku.into())),
    }
}

#[traced(tags(sku, quantity))]
async fn reserve_stock(sku: &str, quantity: u32) -> Result<(), OrderError> {
    sleep(Duration::from_millis(4)).await;
    let left = if sku == "monitor" { 0 } else { 20 };
    if quantity > left { Err(OrderError::OutOfStock(sku.into())) } else { Ok(()) }
}

/// Tries twice. Each attempt is a span, so the trace shows the cost of the retry. The tag uses `Debug`, because
/// `Payment` does not implement `Display`.
#[traced(tags(payment = ?payment))]
async fn charge(total_cents: u64, payment: Payment) -> Result<(), OrderError> {
    match call_gateway(1, total_cents, payment).await {
        Err(OrderError::Gateway) => call_gateway(2, total_cents, payment).await,
        done => done,
    }
}

/// Simulates a stale connection: the first call fails.
static STALE: AtomicBool = AtomicBool::new(true);

#[traced("POST /charges", kind = client, tags(attempt))]
async fn call_gateway(attempt: u32, total_cents: u64, payment: Payment) -> Result<(), OrderError> {
    if total_cents == 0 {
        return Ok(());
    }
    sleep(Duration::from_millis(15)).await;
    if attempt == 1 && STALE.swap(false, Ordering::Relaxed) {
        return Err(OrderError::Gateway);
    }
    if let Payment::Transfer = payment {
        sleep(Duration::from_secs(3)).await;
    }
    Ok(())
}

/// A detached job. Its arguments are owned, as for any task.
#[traced_spawn]
async fn send_receipt(email: String) {
    send_mail(&format!("To: {email}\r\n\r\nThank you for your order.\r\n")).await;
}

#[traced("SMTP send", kind = client, tags(bytes = mail.len()))]
async fn send_mail(mail: &str) {
    sleep(Duration::from_millis(60)).await;
}

/// A blocking detached job, on Tokio's blocking thread pool.
#[traced_spawn(blocking)]
fn render_invoice(tenant: String, total_cents: u64) -> String {
    std::thread::sleep(Duration::from_millis(25));
    format!("{tenant}: {total_cents} cents")
}

#[derive(Debug)]
enum OrderError {
    Unknown(String),
    OutOfStock(String),
    Gateway,
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(sku) => write!(f, "there is no {sku}"),
            Self::OutOfStock(sku) => write!(f, "{sku} is out of stock"),
            Self::Gateway => f.write_str("the gateway closed the connection"),
        }
    }
}

impl IntoResponse for OrderError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::OutOfStock(_) => StatusCode::CONFLICT,
            Self::Gateway => StatusCode::BAD_GATEWAY,
        };
        (status, Json(serde_json::json!({ "error": self.to_string() }))).into_response()
    }
}

// ---------------------------------------------------------------------------------------------
// The customers

/// Three orders over HTTP: one succeeds, one fails, and one is cancelled because the client disconnects.
async fn send_orders(address: SocketAddr) {
    let order = |order_no, sku: &str, quantity, payment| NewOrder {
        order_no,
        sku: sku.into(),
        quantity,
        payment,
        email: "ada@example.com".into(),
    };
    let orders = [
        ("acme", order(1001, "keyboard", 2, Payment::Card)),
        ("acme", order(1002, "monitor", 1, Payment::Card)),
        ("globex", order(1003, "keyboard", 1, Payment::Transfer)),
    ];
    for (tenant, order) in orders {
        let path = format!("/tenants/{tenant}/orders");
        say(format_args!("POST {path} {}", serde_json::to_string(&order).unwrap_or_default()));
        match send(&format!("http://{address}{path}"), &order).await {
            Ok((status, answer)) => say(format_args!("  {status} {answer}")),
            Err(error) if error.is_timeout() => say("  the customer has hung up"),
            Err(error) => say(format_args!("  {error}")),
        }
    }
    say("");
}

async fn send(url: &str, order: &NewOrder) -> reqwest::Result<(StatusCode, String)> {
    // No proxy: the service is on this machine.
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(400)).build()?;
    let response = client.post(url).json(order).send().await?;
    Ok((response.status(), response.text().await?))
}

async fn wait_for_ctrl_c(address: SocketAddr) {
    let order = r#"{"order_no":2001,"sku":"keyboard","quantity":1,"payment":"card","email":"ada@example.com"}"#;
    say(format_args!("listening on http://{address} until Ctrl-C. An order:\n"));
    say(format_args!("curl http://{address}/tenants/acme/orders -H 'content-type: application/json' -d '{order}'\n"));
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("cannot listen for Ctrl-C: {error}");
    }
}

fn say(line: impl fmt::Display) {
    // Ignore a closed pipe (`| head`); `println!` would panic.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Whether to serve until Ctrl-C, and on which port.
fn arguments() -> Result<(bool, u16), Box<dyn Error>> {
    let (mut serve, mut port) = (false, 0);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--serve" => serve = true,
            "--port" => port = arguments.next().ok_or("`--port` needs a number")?.parse()?,
            other => return Err(format!("unknown argument `{other}`; there are `--serve` and `--port N`").into()),
        }
    }
    Ok((serve, port))
}
