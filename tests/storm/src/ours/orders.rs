//! The order service: over gRPC, with the database, a thread, a detached job, and two queues.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use throughline::{traced, traced_spawn};
use throughline_grpc::ServerLayer;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::insert;
use super::messages::send;
use crate::brokers::Producer;
use crate::facts::{Order, Step};
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
    let orders = Orders(Arc::new(Shop { store, orders, events }));
    let incoming = TcpListenerStream::new(service.listen().await);
    let server = Server::builder().layer(ServerLayer::new()).add_service(orders);
    server.serve_with_incoming_shutdown(incoming, service.stopped()).await.expect("the server ends well");
}

/// `rpc Place(StringValue) returns (StringValue)` of `shop.Orders`.
#[derive(Clone)]
struct Orders(Arc<Shop>);

impl NamedService for Orders {
    const NAME: &'static str = "shop.Orders";
}

impl tower::Service<http::Request<Body>> for Orders {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let shop = Arc::clone(&self.0);
        Box::pin(async move {
            let place = service_fn(move |request: Request<String>| handle(Arc::clone(&shop), request.into_inner()));
            Ok(tonic::server::Grpc::new(ProstCodec::<String, String>::default()).unary(place, request).await)
        })
    }
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
