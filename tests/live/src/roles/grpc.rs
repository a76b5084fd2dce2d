//! gRPC: a `tonic` server whose methods do what the request asks for.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use futures::stream::{self, BoxStream, StreamExt as _};
use opentelemetry::trace::TraceContextExt as _;
use throughline::propagation::{self, Propagator};
use throughline::traced;
use throughline_grpc::ServerLayer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use crate::{Arguments, ready};

pub(super) async fn play(role: &str, _arguments: Arguments, stop: watch::Receiver<bool>) {
    propagation::set(Propagator::default().baggage_as_tags(["tenant_id"]));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    ready(&listener.local_addr().expect("a bound listener has an address").to_string());
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // Requested panics are not printed.
        if panic.payload().downcast_ref::<&str>().is_none_or(|message| !message.starts_with("boom")) {
            report(panic);
        }
    }));
    let orders = Orders { flaky_calls: Arc::default(), has_own_span: role == "plain" };
    match role {
        "internal" => serve(listener, stop, ServerLayer::new(), orders).await,
        "public" => serve(listener, stop, ServerLayer::new().public(), orders).await,
        "plain" => {
            let incoming = TcpListenerStream::new(listener);
            let router = Server::builder().add_service(orders);
            router.serve_with_incoming_shutdown(incoming, stopped(stop)).await.expect("the server ends well");
        }
        "axum" => {
            let grpc = Routes::new(orders).into_axum_router();
            let router = axum::Router::new()
                .route("/health", axum::routing::get(|| async { "fine" }))
                .merge(grpc)
                .layer(ServerLayer::new());
            let served = axum::serve(listener, router).with_graceful_shutdown(stopped(stop)).await;
            served.expect("the server ends well");
        }
        _ => panic!("no role `grpc-{role}`"),
    }
    // The connections are closed, but interrupted calls may not have been dropped yet.
    let tasks = tokio::runtime::Handle::current().metrics();
    while tasks.num_alive_tasks() > 0 {
        tokio::task::yield_now().await;
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn serve(listener: TcpListener, stop: watch::Receiver<bool>, layer: ServerLayer, orders: Orders) {
    let incoming = TcpListenerStream::new(listener);
    let router = Server::builder().layer(layer).add_service(orders);
    router.serve_with_incoming_shutdown(incoming, stopped(stop)).await.expect("the server ends well");
}

/// What `tonic-prost-build` would generate for
///
/// ```proto
/// package shop;
/// service Orders {
///   rpc Get(StringValue) returns (StringValue);
///   rpc Collect(stream StringValue) returns (StringValue);
///   rpc Watch(StringValue) returns (stream StringValue);
///   rpc Chat(stream StringValue) returns (stream StringValue);
/// }
/// ```
///
/// together with what a user writes.
#[derive(Clone)]
struct Orders {
    flaky_calls: Arc<AtomicU32>,
    /// There is no layer: the handler opens the span itself.
    has_own_span: bool,
}

impl NamedService for Orders {
    const NAME: &'static str = "shop.Orders";
}

type Codec = ProstCodec<String, String>;

impl Service<http::Request<Body>> for Orders {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(Codec::default());
            Ok(match request.uri().path() {
                "/shop.Orders/Get" if this.has_own_span => grpc.unary(service_fn(get_without_layer), request).await,
                "/shop.Orders/Get" => grpc.unary(service_fn(move |request| get(this.clone(), request)), request).await,
                "/shop.Orders/Collect" => grpc.client_streaming(service_fn(collect), request).await,
                "/shop.Orders/Watch" => grpc.server_streaming(service_fn(watch_order), request).await,
                "/shop.Orders/Chat" => grpc.streaming(service_fn(chat), request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

async fn get(orders: Orders, request: Request<String>) -> Result<Response<String>, Status> {
    let order = request.into_inner();
    match order.as_str() {
        "missing" => Err(Status::not_found("no such order: 7 %")),
        "broken" => Err(Status::internal("disk full")),
        "explosive" => panic!("boom"),
        "endless" => hang().await,
        "flaky" if orders.flaky_calls.fetch_add(1, Ordering::SeqCst) < 2 => Err(Status::unavailable("try again")),
        _ => Ok(Response::new(load(order).await)),
    }
}

/// Returns the order, and the ID of the current trace.
#[traced]
async fn load(order: String) -> String {
    tokio::task::yield_now().await;
    format!("{order} {}", opentelemetry::Context::current().span().span_context().trace_id())
}

#[traced("get", kind = server, parent = request)]
async fn get_without_layer(request: Request<String>) -> Result<Response<String>, Status> {
    Ok(Response::new(load(request.into_inner()).await))
}

/// Never completes. Tells the test that it has started.
async fn hang<T>() -> T {
    ready("hanging");
    std::future::pending().await
}

async fn collect(request: Request<Streaming<String>>) -> Result<Response<String>, Status> {
    let mut orders = request.into_inner();
    let mut all = Vec::new();
    while let Some(order) = orders.message().await? {
        all.push(load(order).await);
    }
    Ok(Response::new(all.len().to_string()))
}

type Orderly = BoxStream<'static, Result<String, Status>>;

async fn watch_order(request: Request<String>) -> Result<Response<Orderly>, Status> {
    let what = request.into_inner();
    if what == "forbidden" {
        return Err(Status::permission_denied("not yours"));
    }
    let states = stream::iter(["new", "paid"]).then(|state| async { Ok(load(state.into()).await) });
    Ok(Response::new(match what.as_str() {
        "endless" => states.chain(stream::once(hang())).boxed(),
        "corrupt" => states.chain(stream::once(async { Err(Status::data_loss("half a page")) })).boxed(),
        "explosive" => states.chain(stream::once(async { panic!("boom in the stream") })).boxed(),
        _ => states.boxed(),
    }))
}

async fn chat(request: Request<Streaming<String>>) -> Result<Response<Orderly>, Status> {
    let answers = request.into_inner().then(|order| async { Ok(load(order?).await) });
    Ok(Response::new(answers.boxed()))
}
