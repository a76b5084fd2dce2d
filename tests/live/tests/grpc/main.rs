//! gRPC with `tonic`, over real sockets, with the server in another process.

mod calls;
mod deadlines;
mod failures;
mod layers;
mod propagation;
mod streams;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::Stream;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use throughline::testing::Capture;
use throughline::{biz_tags, traced};
use throughline_grpc::{ClientLayer, ClientService};
use throughline_live::{Peer, SpanLine};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::ServiceBuilder;

/// The server in its own process.
struct Shop {
    peer: Peer,
    address: String,
}

impl Shop {
    fn open(role: &str) -> Self {
        let peer = Peer::start(env!("CARGO_BIN_EXE_peer"), &format!("grpc-{role}"), &[]);
        let address = peer.ready();
        Self { peer, address }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }

    fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }

    fn client(&self) -> Orders<ClientService<Channel>> {
        client_of(&self.endpoint())
    }
}

fn client_of(endpoint: &Endpoint) -> Orders<ClientService<Channel>> {
    let layer = ClientLayer::new().server(endpoint.uri());
    Orders(ServiceBuilder::new().layer(layer).service(endpoint.connect_lazy()))
}

/// What `tonic-prost-build` would generate.
#[derive(Clone)]
struct Orders<S>(S);

impl<S, B> Orders<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone,
    S::Error: Into<tower::BoxError>,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tower::BoxError>,
{
    async fn ready(&self) -> Grpc<S> {
        let mut grpc = Grpc::new(self.0.clone());
        assert!(grpc.ready().await.is_ok(), "the channel is open");
        grpc
    }

    async fn unary(&self, path: &'static str, request: Request<String>) -> Result<Response<String>, Status> {
        let codec = ProstCodec::<String, String>::default();
        self.ready().await.unary(request, http::uri::PathAndQuery::from_static(path), codec).await
    }

    async fn get(&self, order: &str) -> Result<String, Status> {
        Ok(self.unary("/shop.Orders/Get", Request::new(order.into())).await?.into_inner())
    }

    async fn collect(&self, orders: impl Stream<Item = String> + Send + 'static) -> Result<String, Status> {
        let (path, codec) = (http::uri::PathAndQuery::from_static("/shop.Orders/Collect"), ProstCodec::default());
        Ok(self.ready().await.client_streaming(Request::new(orders), path, codec).await?.into_inner())
    }

    async fn watch(&self, order: &str) -> Result<Streaming<String>, Status> {
        let (path, codec) = (http::uri::PathAndQuery::from_static("/shop.Orders/Watch"), ProstCodec::default());
        Ok(self.ready().await.server_streaming(Request::new(order.to_owned()), path, codec).await?.into_inner())
    }

    async fn chat(&self, orders: impl Stream<Item = String> + Send + 'static) -> Result<Streaming<String>, Status> {
        let (path, codec) = (http::uri::PathAndQuery::from_static("/shop.Orders/Chat"), ProstCodec::default());
        Ok(self.ready().await.streaming(Request::new(orders), path, codec).await?.into_inner())
    }
}

fn lines(capture: &Capture) -> Vec<SpanLine> {
    assert_eq!(capture.open(), 0, "every span has ended");
    capture.spans().iter().map(SpanLine::from).collect()
}

fn all<'a>(spans: &'a [SpanLine], name: &str) -> Vec<&'a SpanLine> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[track_caller]
fn one<'a>(spans: &'a [SpanLine], name: &str) -> &'a SpanLine {
    let named = all(spans, name);
    assert_eq!(named.len(), 1, "spans named `{name}` of {spans:#?}");
    named[0]
}

/// The only client span and the only server span of a call, which must be parent and child.
#[track_caller]
fn pair<'a>(client: &'a [SpanLine], server: &'a [SpanLine], name: &str) -> (&'a SpanLine, &'a SpanLine) {
    let (client, server) = (one(client, name), one(server, name));
    assert_eq!((client.kind.as_str(), server.kind.as_str()), ("client", "server"));
    assert!(server.is_child_of(client), "{server:?} is a child of {client:?}");
    (client, server)
}

fn code(span: &SpanLine) -> &str {
    span.attribute("rpc.response.status_code").unwrap_or("none")
}

#[traced]
#[biz_tags(propagate(tenant_id), order_no)]
async fn checkout<F: Future>(tenant_id: &str, order_no: u64, call: F) -> F::Output {
    call.await
}

#[track_caller]
fn assert_cancelled(span: &SpanLine) {
    assert_eq!((code(span), span.status.as_str()), ("CANCELLED", "unset"), "{span:?}");
    assert_eq!((span.attribute("throughline.cancelled"), span.attribute("error.type")), (Some("true"), None));
}

/// Sends a call without a client that enforces the deadline, and waits for the response.
async fn send_raw(shop: &Shop, more: &[(&'static str, &str)]) -> http::Response<Bytes> {
    let connection = tokio::net::TcpStream::connect(&shop.address).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(connection));
    let (mut sender, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = http::Request::post(format!("http://{}/shop.Orders/Get", shop.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let order = more.iter().find(|(name, _)| *name == "x-order").map_or("order", |(_, order)| order);
    let response = sender.send_request(request.body(Full::new(frame(order))).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    drop(sender);
    connection.await.unwrap().unwrap();
    http::Response::from_parts(parts, body)
}

/// A message on the wire: not compressed, its length, the bytes.
fn frame(message: &str) -> Bytes {
    let message = message.to_owned().encode_to_vec();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.len().try_into().unwrap());
    frame.put_slice(&message);
    frame.freeze()
}
