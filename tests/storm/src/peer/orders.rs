//! The order service.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Response, Status};
use tonic_tracing_opentelemetry::middleware::server::OtelGrpcLayer;
use tracing::{Instrument as _, Span, instrument};

use super::insert;
use super::messages::send;
use crate::brokers::Producer;
use crate::facts::{Order, Step};
use crate::grpc::Orders;
use crate::plan::{Plan, fault};
use crate::service::Service;
use crate::store::Store;

struct Shop {
    store: Store,
    orders: Producer,
    events: Producer,
}

pub(super) async fn play(service: Service) {
    let config = &service.config;
    let store = Store::connect(config).await;
    let (orders, events) = (Producer::connect(config, "orders").await, Producer::connect(config, "events").await);
    let shop = Arc::new(Shop { store, orders, events });
    let orders = Orders::new(move |text| handle(Arc::clone(&shop), text));
    let incoming = TcpListenerStream::new(service.listen().await);
    let server = Server::builder().layer(OtelGrpcLayer::default()).add_service(orders);
    server.serve_with_incoming_shutdown(incoming, service.stopped()).await.expect("the server ends well");
}

async fn handle(shop: Arc<Shop>, text: String) -> Result<Response<String>, Status> {
    let order = Order::parse(&text).ok_or_else(|| Status::invalid_argument("no order"))?;
    let step = Step::begin("orders.place", order, "server,client");
    let (ended, end) = oneshot::channel();
    let placed = place(&shop, step, order, end).await;
    // The span of `place` has ended. The job below it has waited for that.
    drop(ended);
    placed.map(|()| Response::new("placed".to_owned()))
}

#[instrument(
    name = "orders.place",
    skip_all,
    err,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
async fn place(shop: &Shop, step: Step, order: Order, end: oneshot::Receiver<()>) -> Result<(), Status> {
    if order.first_has(fault::RETRY) {
        step.failed();
        return Err(Status::unavailable("not at the first attempt"));
    }
    let (span, signed) = (Span::current(), step.below("orders.sign"));
    std::thread::spawn(move || span.in_scope(|| sign(signed, order)));
    insert(&shop.store, &step, order.request).await;
    tokio::spawn(audit(step.below("orders.audit"), order, end).instrument(Span::current()));
    send(&shop.orders, &step, order).await;
    send(&shop.events, &step, order).await;
    step.done();
    Ok(())
}

#[instrument(
    name = "orders.sign",
    skip_all,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
fn sign(step: Step, order: Order) {
    step.done();
}

/// Outlives the call on purpose.
#[instrument(
    name = "orders.audit",
    skip_all,
    err,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
async fn audit(step: Step, order: Order, end: oneshot::Receiver<()>) -> Result<(), &'static str> {
    let _ = end.await;
    if order.has(fault::JOB_FAILS) {
        step.failed();
        return Err("a planned failure");
    }
    step.done();
    Ok(())
}
