//! gRPC from both ends: a price service of `tonic` and its client, over a loopback socket.
//!
//! ```text
//! cargo run -p throughline-examples --features grpc --example grpc
//! ```
//!
//! Points of interest:
//!
//! * One layer on each side. `quote` and `follow` have one client span each, with the server's span as a child and the
//!   status of the call; the span of `follow` ends with its stream.
//! * `tenant_id` is set once, in `shop`, and is on the server's spans as well: it is propagated as baggage, and the
//!   server turns it into a tag.
//! * An unknown symbol is an error for the client, but not for the server.

use std::error::Error;

use throughline::console::Console;
use throughline::propagation::{self, Propagator};
use throughline::telemetry::TracerProvider;
use throughline::{biz_tags, traced};
use throughline_grpc::{ClientLayer, ServerLayer};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};
use tower::ServiceBuilder;

use crate::generated::{Price, PricesClient, PricesServer, Symbol};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // 1. The export destination, and the baggage members that become tags.
    let provider = TracerProvider::builder().with_span_processor(Console::stdout().hold()).build();
    throughline::install(&provider);
    propagation::set(Propagator::default().baggage_as_tags(["tenant_id"]));

    // 2. The server: a single layer.
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = Endpoint::from_shared(format!("http://{}", listener.local_addr()?))?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::builder().layer(ServerLayer::new()).add_service(PricesServer).serve_with_incoming_shutdown(
        incoming,
        async {
            let _ = stopped.await;
        },
    );
    let server = tokio::spawn(server);

    // 3. The client: a layer around the channel.
    let layer = ClientLayer::new().server(endpoint.uri());
    let channel = ServiceBuilder::new().layer(layer).service(endpoint.connect().await?);
    shop(PricesClient::new(channel), "acme").await?;

    // 4. Shutdown.
    let _ = stop.send(());
    server.await??;
    provider.shutdown()?;
    Ok(())
}

type Client = PricesClient<throughline_grpc::ClientService<tonic::transport::Channel>>;

/// The client: a call that succeeds, one that fails, and a stream.
#[traced]
#[biz_tags(propagate(tenant_id))]
async fn shop(mut prices: Client, tenant_id: &str) -> Result<(), Status> {
    let price = prices.quote(Symbol { name: "ACME".into() }).await?.into_inner();
    println!("ACME costs {} cents", price.cents);

    if let Err(status) = prices.quote(Symbol { name: "NOPE".into() }).await {
        println!("NOPE: {}", status.message());
    }

    let mut all = prices.follow(Symbol { name: "ACME".into() }).await?.into_inner();
    while let Some(price) = all.message().await? {
        println!("ACME costs {} cents now", price.cents);
    }
    println!();
    Ok(())
}

// ---------------------------------------------------------------------------------------------
// The server: what you would write

/// The layer's span is current during the call …
async fn quote(request: Request<Symbol>) -> Result<Response<Price>, Status> {
    let price = look_up(&request.get_ref().name, 0).await;
    price.map(Response::new).ok_or_else(|| Status::not_found("there is no such symbol"))
}

/// … and while the stream is polled.
async fn follow(request: Request<Symbol>) -> Result<Response<impl Stream<Item = Result<Price, Status>>>, Status> {
    let symbol = request.into_inner().name;
    let days = tokio_stream::iter(1..=3).then(move |day| {
        let symbol = symbol.clone();
        async move { look_up(&symbol, day).await.ok_or_else(|| Status::not_found("there is no such symbol")) }
    });
    Ok(Response::new(days))
}

#[traced(tags(symbol, day))]
async fn look_up(symbol: &str, day: u64) -> Option<Price> {
    tokio::task::yield_now().await;
    (symbol == "ACME").then_some(Price { cents: 1_000 + 25 * day })
}

/// A shortened form of what `tonic-prost-build` generates from
///
/// ```proto
/// package market;
/// message Symbol { string name = 1; }
/// message Price { uint64 cents = 1; }
/// service Prices {
///   rpc Quote(Symbol) returns (Price);
///   rpc Follow(Symbol) returns (stream Price);
/// }
/// ```
///
/// included here so that the example does not require `protoc`.
mod generated {
    use std::convert::Infallible;
    use std::future;
    use std::task::{Context, Poll};

    use tonic::body::Body;
    use tonic::client::{Grpc, GrpcService};
    use tonic::codegen::http::{self, uri::PathAndQuery};
    use tonic::codegen::{Body as HttpBody, BoxFuture, Bytes, Service, StdError};
    use tonic::server::{self, NamedService};
    use tonic::{Request, Response, Status, Streaming};
    use tonic_prost::ProstCodec;
    use tower::service_fn;

    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(crate) struct Symbol {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
    }

    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(crate) struct Price {
        #[prost(uint64, tag = "1")]
        pub(crate) cents: u64,
    }

    pub(crate) struct PricesClient<T>(Grpc<T>);

    impl<T> PricesClient<T>
    where
        T: GrpcService<Body>,
        T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
        <T::ResponseBody as HttpBody>::Error: Into<StdError>,
    {
        pub(crate) fn new(channel: T) -> Self {
            Self(Grpc::new(channel))
        }

        async fn ready(&mut self) -> Result<(), Status> {
            self.0.ready().await.map_err(|error| Status::unknown(error.into().to_string()))
        }

        pub(crate) async fn quote(&mut self, symbol: Symbol) -> Result<Response<Price>, Status> {
            self.ready().await?;
            let path = PathAndQuery::from_static("/market.Prices/Quote");
            self.0.unary(Request::new(symbol), path, ProstCodec::default()).await
        }

        pub(crate) async fn follow(&mut self, symbol: Symbol) -> Result<Response<Streaming<Price>>, Status> {
            self.ready().await?;
            let path = PathAndQuery::from_static("/market.Prices/Follow");
            self.0.server_streaming(Request::new(symbol), path, ProstCodec::default()).await
        }
    }

    #[derive(Clone)]
    pub(crate) struct PricesServer;

    impl NamedService for PricesServer {
        const NAME: &'static str = "market.Prices";
    }

    impl Service<http::Request<Body>> for PricesServer {
        type Response = http::Response<Body>;
        type Error = Infallible;
        type Future = BoxFuture<http::Response<Body>, Infallible>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: http::Request<Body>) -> Self::Future {
            let mut grpc = server::Grpc::new(ProstCodec::<Price, Symbol>::default());
            match request.uri().path() {
                "/market.Prices/Quote" => {
                    Box::pin(async move { Ok(grpc.unary(service_fn(super::quote), request).await) })
                }
                "/market.Prices/Follow" => {
                    Box::pin(async move { Ok(grpc.server_streaming(service_fn(super::follow), request).await) })
                }
                _ => Box::pin(future::ready(Ok(Status::unimplemented("no such method").into_http()))),
            }
        }
    }
}
