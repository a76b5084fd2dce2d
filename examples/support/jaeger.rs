//! An in-memory collector and Jaeger's own page, in this process.

use std::error::Error;
use std::net::SocketAddr;

use opentelemetry_sdk::trace::SpanProcessor;
use otlp_embedded::{Config, State, TraceServiceImpl, TraceServiceServer, ui_app};
use throughline::telemetry::{Protocol, Telemetry};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;

/// The port on which Jaeger serves its page by default.
const DEFAULT_PORT: u16 = 16686;

pub(crate) struct Jaeger {
    page: SocketAddr,
    telemetry: Telemetry,
}

impl Jaeger {
    /// Starts both, and exports the spans of this process to the collector and to `console`.
    pub(crate) async fn start(console: impl SpanProcessor + 'static) -> Result<Self, Box<dyn Error>> {
        let traces = State::new(Config { max_length: 1_000, max_memory_usage: 64 << 20 });
        let collector = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", collector.local_addr()?);
        let service = TraceServiceServer::new(TraceServiceImpl::new(traces.clone()));
        tokio::spawn(
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(collector)),
        );
        let listener = match TcpListener::bind(("127.0.0.1", DEFAULT_PORT)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind("127.0.0.1:0").await?,
        };
        let page = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, ui_app(traces, "/")).await });

        let telemetry = throughline::telemetry::builder()
            .service_name("order-flow")
            .collector(address, Protocol::Grpc)
            .processor(console)
            .init()?;
        Ok(Self { page, telemetry })
    }

    /// Prints the address of the page, and serves it until Ctrl-C.
    pub(crate) async fn show(self) -> Result<(), Box<dyn Error>> {
        if let Some(provider) = self.telemetry.provider().cloned() {
            tokio::task::spawn_blocking(move || provider.force_flush()).await??;
        }
        println!("Jaeger: http://{}/search?service=order-flow&limit=20&lookback=1h (Ctrl-C ends)", self.page);
        throughline::telemetry::signal().await;
        Ok(())
    }
}
