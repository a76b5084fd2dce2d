//! The gRPC service, `rpc Place(StringValue) returns (StringValue)` of `shop.Orders`, without any tracing.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

type Codec = ProstCodec<String, String>;

/// The path of the method.
pub(crate) fn path() -> PathAndQuery {
    PathAndQuery::from_static("/shop.Orders/Place")
}

/// How messages are encoded.
pub(crate) fn codec() -> Codec {
    Codec::default()
}

/// A server that calls `H` with each request.
pub(crate) struct Orders<H>(Arc<H>);

impl<H> Orders<H> {
    pub(crate) fn new(handler: H) -> Self {
        Self(Arc::new(handler))
    }
}

impl<H> Clone for Orders<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H> NamedService for Orders<H> {
    const NAME: &'static str = "shop.Orders";
}

impl<H, F> Service<http::Request<Body>> for Orders<H>
where
    H: Fn(String) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Response<String>, Status>> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let handler = Arc::clone(&self.0);
        Box::pin(async move {
            let place = service_fn(move |request: Request<String>| handler(request.into_inner()));
            Ok(tonic::server::Grpc::new(codec()).unary(place, request).await)
        })
    }
}
