//! The gateway.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use axum_tracing_opentelemetry::middleware::{OtelAxumLayer, OtelInResponseLayer};
use http::{HeaderMap, StatusCode};
use tokio::time::timeout;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use tonic_tracing_opentelemetry::middleware::client::OtelGrpcLayer;
use tower::ServiceBuilder;
use tracing::{Instrument as _, Span, info_span, instrument};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_opentelemetry_instrumentation_sdk::http::inject_context;

use crate::config::Config;
use crate::facts::{Order, Step, say};
use crate::grpc;
use crate::plan::{Plan, fault};
use crate::service::Service;

/// The timeout of a call, and of one that is planned to time out.
const PATIENCE: Duration = Duration::from_secs(60);
const NO_PATIENCE: Duration = Duration::from_millis(30);

struct Gateway {
    config: Config,
    http: reqwest::Client,
    pricing: String,
    channel: Channel,
}

pub(super) async fn play(service: Service) {
    let orders = Endpoint::from_shared(format!("http://{}", service.config.orders)).expect("an address");
    let channel = orders.connect().await.expect("the order service runs");
    let pricing = format!("http://{}/quote", service.config.pricing);
    let gateway = Arc::new(Gateway { config: service.config.clone(), http: reqwest::Client::new(), pricing, channel });
    let router = Router::new()
        .route("/tenants/{tenant}/orders/{order_no}", post(handle))
        .layer(OtelInResponseLayer)
        .layer(OtelAxumLayer::default())
        .with_state(gateway);
    let listener = service.listen().await;
    axum::serve(listener, router).with_graceful_shutdown(service.stopped()).await.expect("it serves");
}

async fn handle(State(gateway): State<Arc<Gateway>>, body: String) -> Result<String, StatusCode> {
    let order = Order::parse(&body).ok_or(StatusCode::BAD_REQUEST)?;
    accept(gateway, Step::begin("gateway.accept", order, "server"), order).await;
    Ok("accepted".to_owned())
}

#[instrument(
    name = "gateway.accept",
    skip_all,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
async fn accept(gateway: Arc<Gateway>, step: Step, order: Order) {
    let (span, verified) = (Span::current(), step.below("gateway.verify"));
    tokio::task::spawn_blocking(move || span.in_scope(|| verify(verified, order))).await.expect("no panic");
    let work = fulfil(gateway, step.below("gateway.fulfil"), order);
    let fulfilled = tokio::spawn(work.instrument(Span::current()));
    if order.has(fault::HANG_UP) {
        say(&format!("hold {}", order.request));
        // The caller hangs up now, and this is dropped.
        let _ = timeout(PATIENCE, std::future::pending::<()>()).await;
    }
    fulfilled.await.expect("no panic");
    step.done();
}

/// Work that blocks its thread.
#[instrument(
    name = "gateway.verify",
    skip_all,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
fn verify(step: Step, order: Order) {
    let sum = (0..1000).fold(order.request, |sum, number| sum.rotate_left(5) ^ number);
    std::hint::black_box(sum);
    step.done();
}

#[instrument(
    name = "gateway.fulfil",
    skip_all,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
async fn fulfil(gateway: Arc<Gateway>, step: Step, order: Order) {
    for attempt in 1.. {
        let order = Order { attempt, ..order.from(&step) };
        let patience = if order.first_has(fault::TIMEOUT) { NO_PATIENCE } else { PATIENCE };
        step.calls();
        match timeout(patience, gateway.quote(order)).await {
            Ok(Ok(response)) => {
                assert!(response.status().is_success(), "{response:?}");
                break;
            }
            Ok(Err(error)) => Service::back_off(&gateway.config, attempt, &error).await,
            Err(elapsed) => Service::back_off(&gateway.config, attempt, &elapsed).await,
        }
    }
    for attempt in 1.. {
        step.calls();
        let Err(error) = gateway.place(Order { attempt, ..order.from(&step) }).await else { break };
        Service::back_off(&gateway.config, attempt, &error).await;
    }
    step.done();
}

impl Gateway {
    async fn quote(&self, order: Order) -> reqwest::Result<reqwest::Response> {
        let span = info_span!("POST", otel.kind = "client", http.request.method = "POST", url.full = %self.pricing);
        let mut headers = HeaderMap::new();
        inject_context(&span.context(), &mut headers);
        self.http.post(&self.pricing).headers(headers).body(order.to_text()).send().instrument(span).await
    }

    async fn place(&self, order: Order) -> Result<(), tonic::Status> {
        let channel = ServiceBuilder::new().layer(OtelGrpcLayer).service(self.channel.clone());
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        client.unary(Request::new(order.to_text()), grpc::path(), grpc::codec()).await.map(drop)
    }
}
