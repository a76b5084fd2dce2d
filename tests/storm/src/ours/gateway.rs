//! The gateway: accepts an order over HTTP, and fulfils it in a detached job, even if the caller hangs up.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::StatusCode;
use throughline::{traced, traced_spawn};
use throughline_grpc::ClientLayer;
use throughline_http::{RequestTag, ServerLayer};
use throughline_reqwest::RequestBuilderExt as _;
use tokio::time::timeout;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use tower::ServiceBuilder;

use crate::config::Config;
use crate::facts::{Order, Step, say};
use crate::grpc;
use crate::plan::fault;
use crate::service::Service;

/// The timeout of a call, and of one that is planned to time out.
const PATIENCE: Duration = Duration::from_secs(60);
const NO_PATIENCE: Duration = Duration::from_millis(30);

struct Gateway {
    config: Config,
    http: reqwest::Client,
    pricing: String,
    orders: Endpoint,
    channel: Channel,
}

pub(super) async fn play(service: Service) {
    let orders = Endpoint::from_shared(format!("http://{}", service.config.orders)).expect("an address");
    let channel = orders.connect().await.expect("the order service runs");
    let pricing = format!("http://{}/quote", service.config.pricing);
    let gateway =
        Arc::new(Gateway { config: service.config.clone(), http: reqwest::Client::new(), pricing, orders, channel });
    let layer = ServerLayer::new()
        .tag(RequestTag::new("tenant_id").path("tenant").propagate())
        .tag(RequestTag::new("order_no").path("order_no").propagate());
    let path = "/tenants/{tenant}/orders/{order_no}";
    let router = Router::new().route(path, post(handle)).layer(layer).with_state(gateway);
    let listener = service.listen().await;
    axum::serve(listener, router).with_graceful_shutdown(service.stopped()).await.expect("it serves");
}

async fn handle(State(gateway): State<Arc<Gateway>>, body: String) -> Result<String, StatusCode> {
    let order = Order::parse(&body).ok_or(StatusCode::BAD_REQUEST)?;
    accept(gateway, Step::begin("gateway.accept", order, "server"), order).await;
    Ok("accepted".to_owned())
}

#[traced("gateway.accept", tags("storm.step" = step.tag()))]
async fn accept(gateway: Arc<Gateway>, step: Step, order: Order) {
    verify(step.below("gateway.verify"), order.request).await.expect("no panic");
    let fulfilled = fulfil(gateway, step.below("gateway.fulfil"), order);
    if order.has(fault::HANG_UP) {
        say(&format!("hold {}", order.request));
        // The caller hangs up now, and this is dropped.
        let _ = timeout(PATIENCE, std::future::pending::<()>()).await;
    }
    fulfilled.await.expect("no panic");
    step.done();
}

/// Work that blocks its thread.
#[traced_spawn("gateway.verify", blocking, tags("storm.step" = step.tag()))]
fn verify(step: Step, request: u64) {
    let sum = (0..1000).fold(request, |sum, number| sum.rotate_left(5) ^ number);
    std::hint::black_box(sum);
    step.done();
}

#[traced_spawn("gateway.fulfil", tags("storm.step" = step.tag()))]
async fn fulfil(gateway: Arc<Gateway>, step: Step, order: Order) {
    for attempt in 1.. {
        let order = Order { attempt, ..order.from(&step) };
        let patience = if order.first_has(fault::TIMEOUT) { NO_PATIENCE } else { PATIENCE };
        let call = gateway.http.post(&gateway.pricing).body(order.to_text()).send_traced();
        step.calls();
        match timeout(patience, call).await {
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
    async fn place(&self, order: Order) -> Result<(), tonic::Status> {
        let layer = ClientLayer::new().server(self.orders.uri());
        let channel = ServiceBuilder::new().layer(layer).service(self.channel.clone());
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        client.unary(Request::new(order.to_text()), grpc::path(), grpc::codec()).await.map(drop)
    }
}
