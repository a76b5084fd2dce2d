//! A service for the W3C Trace Context conformance suite.
//!
//! ```text
//! PORT=5000 cargo run --example w3c_server
//! # in the folder `test` of github.com/w3c/trace-context, with aiohttp installed:
//! STRICT_LEVEL=2 SPEC_LEVEL=2 python test.py http://127.0.0.1:5000/test
//! ```
//!
//! It receives a list of calls by POST to `/test`, `[{"url": "http://…", "arguments": […]}]`, and makes them in the
//! trace of the request: the server layer extracts the context, and `send_traced` injects it.

use std::error::Error;
use std::io::{self, Write as _};

use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;
use throughline::telemetry::{RequestIdGenerator, TracerProvider};
use throughline_http::ServerLayer;
use throughline_reqwest::RequestBuilderExt as _;
use tokio::net::TcpListener;

#[derive(Debug, Deserialize)]
struct Call {
    url: String,
    #[serde(default)]
    arguments: Value,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let provider = TracerProvider::builder().with_id_generator(RequestIdGenerator::new()).build();
    throughline::install(&provider);

    let port = std::env::var("PORT").map_or(Ok(5000), |port| port.parse::<u16>())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let service = Router::new().route("/test", post(call_back)).layer(ServerLayer::new());
    writeln!(io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    axum::serve(listener, service).with_graceful_shutdown(stopped()).await?;
    provider.shutdown()?;
    Ok(())
}

async fn call_back(Json(calls): Json<Vec<Call>>) -> Result<Json<Value>, (StatusCode, String)> {
    // No proxy: the suite is on this machine.
    let client = reqwest::Client::builder().no_proxy().build().map_err(|error| failed(&error))?;
    for call in calls {
        client.post(call.url).json(&call.arguments).send_traced().await.map_err(|error| failed(&error))?;
    }
    Ok(Json(Value::Null))
}

fn failed(error: &reqwest::Error) -> (StatusCode, String) {
    (StatusCode::BAD_GATEWAY, error.to_string())
}

async fn stopped() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("cannot listen for Ctrl-C: {error}");
    }
}
