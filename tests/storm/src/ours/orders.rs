//! The order service: over gRPC, with the database, a thread, a detached job, and two queues.

use std::sync::Arc;

use throughline::{traced, traced_spawn};
use throughline_grpc::ServerLayer;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Response, Status};

use super::insert;
use super::messages::send;
use crate::brokers::Producer;
use crate::facts::{Order, Step};
use crate::grpc::Orders;
use crate::plan::fault;
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
    let server = Server::builder().layer(ServerLayer::new()).add_service(orders);
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

#[traced("orders.place", tags("storm.step" = step.tag()))]
async fn place(shop: &Shop, step: Step, order: Order, end: oneshot::Receiver<()>) -> Result<(), Status> {
    if order.first_has(fault::RETRY) {
        step.failed();
        return Err(Status::unavailable("not at the first attempt"));
    }
    sign(step.below("orders.sign"));
    insert(&shop.store, &step, order.request).await;
    audit(step.below("orders.audit"), order, end);
    send(&shop.orders, &step, order).await;
    send(&shop.events, &step, order).await;
    step.done();
    Ok(())
}

#[traced_spawn("orders.sign", thread, tags("storm.step" = step.tag()))]
fn sign(step: Step) {
    step.done();
}

/// Outlives the call on purpose.
#[traced_spawn("orders.audit", tags("storm.step" = step.tag()))]
async fn audit(step: Step, order: Order, end: oneshot::Receiver<()>) -> Result<(), &'static str> {
    let _ = end.await;
    if order.has(fault::JOB_FAILS) {
        step.failed();
        return Err("a planned failure");
    }
    step.done();
    Ok(())
}
