//! gRPC with `tonic`, over real sockets, with the server in another process.

use std::collections::HashSet;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream::{self, StreamExt as _};
use futures::{Stream, future};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::Sampler;
use prost::Message as _;
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Snapshot, biz_tags, in_span, in_span_async, traced};
use throughline_grpc::{ClientLayer, ClientService, ServerLayer, inject, intercept};
use throughline_live::{Peer, SpanLine};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::Service;
use tonic::metadata::{BinaryMetadataValue, MetadataMap};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::{Layer as _, ServiceBuilder, ServiceExt as _, service_fn};

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

/// The one client span and the one server span of a call, which belong together.
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

#[tokio::test(flavor = "multi_thread")]
async fn a_unary_call_is_one_trace_with_its_tags() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = shop.client();
    let answer = capture.run_async(async { checkout("acme", 1001, client.get("order")).await }).await.unwrap();
    drop(client);

    let (here, port) = (lines(&capture), shop.port().to_owned());
    let there = shop.peer.stop();
    let (client, server) = pair(&here, &there, "shop.Orders/Get");
    let checkout = one(&here, "checkout");
    assert!(client.is_child_of(checkout));
    assert_eq!(answer, format!("order {}", checkout.trace_id));
    assert!(one(&there, "load").is_child_of(server));
    assert_eq!((here.len(), there.len()), (2, 2));

    let of = |span: &SpanLine| span.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
    let mut expected = vec![
        "order_no=1001".to_owned(),
        "rpc.method=shop.Orders/Get".into(),
        "rpc.response.status_code=OK".into(),
        "rpc.system.name=grpc".into(),
        "server.address=127.0.0.1".into(),
        format!("server.port={port}"),
        "tenant_id=acme".into(),
    ];
    assert_eq!(of(client), expected);
    // The tag that propagates came as baggage; the other one has stayed at home.
    assert_eq!(expected.remove(0), "order_no=1001");
    let peer_port = server.attribute("network.peer.port").expect("the peer has a port").to_owned();
    expected.insert(0, "network.peer.address=127.0.0.1".into());
    expected.insert(1, format!("network.peer.port={peer_port}"));
    assert_eq!(of(server), expected);
    assert_eq!(one(&there, "load").attribute("tenant_id"), Some("acme"));
    for span in [client, server] {
        assert_eq!((span.status.as_str(), span.links.len(), span.events.len()), ("unset", 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_a_call_is_judged_by_each_side() {
    let shop = Shop::open("internal");
    let client = shop.client();
    let mut here = Vec::new();
    for (order, expected) in [("missing", Code::NotFound), ("broken", Code::Internal)] {
        let capture = Capture::new();
        let status = capture.run_async(client.get(order)).await.unwrap_err();
        assert_eq!(status.code(), expected);
        here.extend(lines(&capture));
    }
    let capture = Capture::new();
    for path in ["/shop.Orders/Missing", "/shop.Nothing/Get"] {
        let status = capture.run_async(client.unary(path, Request::new(String::new()))).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    }
    here.extend(lines(&capture));
    // The status of a streaming method before its first message is in the headers, too.
    let capture = Capture::new();
    assert!(capture.run_async(client.watch("forbidden")).await.is_err());
    here.extend(lines(&capture));
    drop(client);

    let there = shop.peer.stop();
    let told = |spans: &[SpanLine]| {
        let told = |span: &SpanLine| {
            format!("{} {} {} ({})", span.name, code(span), span.status, span.attribute("error.type").unwrap_or("-"))
        };
        spans.iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&here),
        [
            "shop.Orders/Get NOT_FOUND error: no such order: 7 % (NOT_FOUND)",
            "shop.Orders/Get INTERNAL error: disk full (INTERNAL)",
            "shop.Orders/Missing UNIMPLEMENTED error: no such method (UNIMPLEMENTED)",
            "shop.Nothing/Get UNIMPLEMENTED error:  (UNIMPLEMENTED)",
            "shop.Orders/Watch PERMISSION_DENIED error: not yours (PERMISSION_DENIED)",
        ]
    );
    assert_eq!(
        told(&there),
        [
            "shop.Orders/Get NOT_FOUND unset (-)",
            "shop.Orders/Get INTERNAL error: disk full (INTERNAL)",
            "shop.Orders/Missing UNIMPLEMENTED error: no such method (UNIMPLEMENTED)",
            "shop.Nothing/Get UNIMPLEMENTED error:  (UNIMPLEMENTED)",
            "shop.Orders/Watch PERMISSION_DENIED unset (-)",
        ]
    );
    for (client, server) in here.iter().zip(&there) {
        assert!(server.is_child_of(client));
        assert!(client.events.is_empty() && server.events.is_empty(), "an answer is no exception");
    }
}

/// Messages that are made in spans of their own.
fn made(count: usize) -> impl Stream<Item = String> + Send + 'static {
    stream::iter(0..count).map(|number| in_span("make", || number.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_all_kinds_have_one_span_on_each_side() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = shop.client();
    let calls = in_span_async("calls", async {
        assert_eq!(client.collect(made(3)).await.unwrap(), "3");

        let mut updates = client.watch("order").await.unwrap();
        assert!(capture.named("shop.Orders/Watch").is_empty(), "the headers are not the end of the call");
        let mut seen = 0;
        while updates.message().await.unwrap().is_some() {
            seen += 1;
        }
        assert_eq!((seen, capture.named("shop.Orders/Watch").len()), (2, 1));

        let answers: Vec<_> = client.chat(made(4)).await.unwrap().collect().await;
        assert!(answers.len() == 4 && answers.iter().all(Result::is_ok));
    });
    capture.run_async(calls).await;
    drop(client);

    let here = lines(&capture);
    let there = shop.peer.stop();
    for (method, made, loaded) in [("Collect", 3, 3), ("Watch", 0, 2), ("Chat", 4, 4)] {
        let (client, server) = pair(&here, &there, &format!("shop.Orders/{method}"));
        assert!(client.is_child_of(one(&here, "calls")));
        assert_eq!((code(client), code(server)), ("OK", "OK"));
        // The client's connection polls the stream of requests, the server's that of responses: both
        // with the context of the call.
        assert_eq!(all(&here, "make").iter().filter(|make| make.is_child_of(client)).count(), made);
        assert_eq!(all(&there, "load").iter().filter(|load| load.is_child_of(server)).count(), loaded);
    }
    assert_eq!((here.len(), there.len()), (4 + 7, 3 + 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_fails_half_way_has_the_status_of_its_trailers() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = shop.client();
    let failed = capture.run_async(async {
        let mut updates = client.watch("corrupt").await.unwrap();
        (updates.message().await.is_ok(), updates.message().await.is_ok(), updates.message().await.unwrap_err().code())
    });
    assert_eq!(failed.await, (true, true, Code::DataLoss));
    drop(client);

    let (here, there) = (lines(&capture), shop.peer.stop());
    let (client, server) = pair(&here, &there, "shop.Orders/Watch");
    for span in [client, server] {
        assert_eq!((code(span), span.status.as_str()), ("DATA_LOSS", "error: half a page"));
    }
}

/// Waits until a handler that does not end has begun, while the runtime goes on.
fn wait_until_it_hangs(shop: &Shop) {
    tokio::task::block_in_place(|| assert_eq!(shop.peer.ready(), "hanging"));
}

#[track_caller]
fn assert_cancelled(span: &SpanLine) {
    assert_eq!((code(span), span.status.as_str()), ("CANCELLED", "unset"), "{span:?}");
    assert_eq!((span.attribute("throughline.cancelled"), span.attribute("error.type")), (Some("true"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_gives_up_a_call_cancels_both_sides() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = shop.client();
    let call = tokio::spawn(capture.run_async(async move { client.get("endless").await }));
    wait_until_it_hangs(&shop);
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());

    let (here, there) = (lines(&capture), shop.peer.stop());
    let (client, server) = pair(&here, &there, "shop.Orders/Get");
    assert_cancelled(client);
    assert_cancelled(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_drops_a_stream_cancels_both_sides() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = shop.client();
    let mut updates = capture.run_async(client.watch("endless")).await.unwrap();
    assert!(updates.message().await.unwrap().is_some());
    wait_until_it_hangs(&shop);
    assert_eq!(capture.open(), 1);
    drop((updates, client));

    let (here, there) = (lines(&capture), shop.peer.stop());
    let (client, server) = pair(&here, &there, "shop.Orders/Watch");
    assert_cancelled(client);
    assert_cancelled(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_a_stream_fails_the_client() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = shop.client();
    let mut updates = capture.run_async(client.watch("endless")).await.unwrap();
    assert!(updates.message().await.unwrap().is_some());
    wait_until_it_hangs(&shop);
    drop(shop.peer);
    let status = loop {
        match updates.message().await {
            Ok(state) => assert!(state.is_some(), "the stream does not end well"),
            Err(status) => break status,
        }
    };
    let span = capture.span("shop.Orders/Watch");
    assert!(span.is_error() && !span.is_cancelled());
    assert_same_code(&span, &status);
}

#[track_caller]
fn assert_same_code(span: &FinishedSpan, status: &Status) {
    let seen = span.attribute("rpc.response.status_code").expect("a call has a status").to_string();
    assert_eq!(seen.replace('_', ""), format!("{:?}", status.code()).to_uppercase());
    assert_eq!(span.attribute("error.type").map(ToString::to_string), Some(seen));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_fails_the_client() {
    // A port that is taken, so that nobody else gets it, and that nobody listens on.
    let deaf = tokio::net::TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{}", deaf.local_addr().unwrap())).unwrap();
    let capture = Capture::new();
    let client = ServiceBuilder::new().layer(ClientLayer::new()).service(endpoint.connect_lazy());
    // A channel that connects late is ready; the call fails.
    let status = capture.run_async(Orders(client).get("order")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let span = capture.span("shop.Orders/Get");
    assert_same_code(&span, &status);
    assert_eq!(span.attribute("server.address"), None, "nobody has said where the channel leads");
}

/// Sends a call past any client that watches the time, and waits for the headers of the answer.
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

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_on_the_server_is_told_from_a_caller_who_goes_away() {
    let shop = Shop::open("internal");
    let answer = send_raw(&shop, &[("x-order", "endless"), ("grpc-timeout", "30m")]).await;
    // This is what `tonic` says of it.
    assert_eq!(answer.headers()["grpc-status"], "1");
    let there = shop.peer.stop();
    let server = one(&there, "shop.Orders/Get");
    assert_eq!((code(server), server.attribute("error.type")), ("DEADLINE_EXCEEDED", Some("DEADLINE_EXCEEDED")));
    assert_eq!(
        (server.status.as_str(), server.attribute("throughline.cancelled")),
        ("error: the deadline has passed", Some("true"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_on_the_client_is_its_own_error() {
    let shop = Shop::open("internal");
    // With one that the server knows of, and with one that it does not.
    let mut told = Request::new("endless".to_owned());
    told.set_timeout(Duration::from_millis(40));
    let untold = client_of(&shop.endpoint().timeout(Duration::from_millis(40)));
    let capture = Capture::new();
    capture
        .run_async(async {
            assert!(shop.client().unary("/shop.Orders/Get", told).await.is_err());
            assert!(untold.get("endless").await.is_err());
        })
        .await;
    drop(untold);

    let (here, there) = (lines(&capture), shop.peer.stop());
    for client in &here {
        assert_eq!((code(client), client.attribute("error.type")), ("DEADLINE_EXCEEDED", Some("DEADLINE_EXCEEDED")));
        assert!(client.status.starts_with("error: "));
    }
    // How far the calls have come by then is left to the machine.
    assert_eq!(here.len(), 2);
    for server in &there {
        assert!(here.iter().any(|client| server.is_child_of(client)), "{server:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_is_recorded_on_both_sides() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = shop.client();
    let (unary, streaming) = capture
        .run_async(async {
            let unary = client.get("explosive").await.unwrap_err();
            let mut updates = client.watch("explosive").await.unwrap();
            let streaming = loop {
                match updates.message().await {
                    Ok(state) => assert!(state.is_some(), "the stream does not end well"),
                    Err(status) => break status,
                }
            };
            (unary, streaming)
        })
        .await;
    drop(client);

    assert_same_code(&capture.span("shop.Orders/Get"), &unary);
    assert_same_code(&capture.span("shop.Orders/Watch"), &streaming);
    let (here, there) = (lines(&capture), shop.peer.stop());
    for (method, message) in [("Get", "error: boom"), ("Watch", "error: boom in the stream")] {
        let (client, server) = pair(&here, &there, &format!("shop.Orders/{method}"));
        assert!(client.status.starts_with("error: "));
        assert_eq!((server.status.as_str(), server.attribute("error.type")), (message, Some("panic")));
        assert_eq!(server.events, ["exception"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_calls_at_once_do_not_mix() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = shop.client();
    let calls = (0..100).map(|order| {
        let client = client.clone();
        tokio::spawn(capture.run_async(async move {
            let tenant = format!("tenant-{order}");
            checkout(&tenant, order, async { client.get(&tenant).await.unwrap() }).await
        }))
    });
    let answers = future::join_all(calls).await;
    drop(client);

    let (here, there) = (lines(&capture), shop.peer.stop());
    assert_eq!((here.len(), there.len()), (200, 200));
    let by_id = |spans: &'_ [SpanLine], name: &str| all(spans, name).into_iter().cloned().collect::<Vec<_>>();
    let (clients, servers) = (by_id(&here, "shop.Orders/Get"), by_id(&there, "shop.Orders/Get"));
    let mut traces = HashSet::new();
    for (order, answer) in answers.into_iter().enumerate() {
        let tenant = format!("tenant-{order}");
        let is_its = |span: &&SpanLine| span.attribute("tenant_id") == Some(&tenant);
        let checkout = all(&here, "checkout").into_iter().find(is_its).unwrap();
        let client = clients.iter().find(is_its).unwrap();
        let server = servers.iter().find(is_its).unwrap();
        let load = all(&there, "load").into_iter().find(is_its).unwrap();
        assert!(client.is_child_of(checkout) && server.is_child_of(client) && load.is_child_of(server));
        assert_eq!(answer.unwrap(), format!("{tenant} {}", checkout.trace_id));
        traces.insert(checkout.trace_id.clone());
    }
    assert_eq!(traces.len(), 100);
}

/// Tries again, if the server says that it may work.
#[derive(Clone)]
struct Again;

type Whole = http::Request<Full<Bytes>>;

impl<B> tower::retry::Policy<Whole, http::Response<B>, tonic::transport::Error> for Again {
    type Future = future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Whole,
        result: &mut Result<http::Response<B>, tonic::transport::Error>,
    ) -> Option<Self::Future> {
        let status = result.as_ref().ok()?.headers().get("grpc-status")?;
        (Code::from_bytes(status.as_bytes()) == Code::Unavailable).then(|| future::ready(()))
    }

    fn clone_request(&mut self, request: &Whole) -> Option<Whole> {
        Some(request.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_retry_is_a_span_of_its_own() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = ServiceBuilder::new()
        .retry(Again)
        .map_request(|request: Whole| request.map(Body::new))
        .layer(ClientLayer::new())
        .service(shop.endpoint().connect_lazy());
    let request = http::Request::post("/shop.Orders/Get")
        .header("content-type", "application/grpc")
        .body(Full::new(frame("flaky")))
        .unwrap();
    let call = async move { client.oneshot(request).await.unwrap().into_body().collect().await.unwrap() };
    let answer = capture.run_async(in_span_async("buy", call)).await;
    assert_eq!(answer.trailers().unwrap()["grpc-status"], "0");

    let (here, there) = (lines(&capture), shop.peer.stop());
    let (clients, servers) = (all(&here, "shop.Orders/Get"), all(&there, "shop.Orders/Get"));
    let codes = |spans: &[&SpanLine]| spans.iter().map(|span| code(span).to_owned()).collect::<Vec<_>>();
    assert_eq!(codes(&clients), ["UNAVAILABLE", "UNAVAILABLE", "OK"]);
    assert_eq!(codes(&servers), ["UNAVAILABLE", "UNAVAILABLE", "OK"]);
    for (client, server) in clients.iter().zip(servers) {
        assert!(client.is_child_of(one(&here, "buy")) && server.is_child_of(client));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_public_edge_the_caller_is_linked_and_not_believed() {
    let shop = Shop::open("public");
    let capture = Capture::new();
    let client = shop.client();
    capture.run_async(async { checkout("acme", 1001, client.get("order")).await }).await.unwrap();
    drop(client);
    // Nor can a caller keep us from recording.
    let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    send_raw(&shop, &[("traceparent", unsampled), ("baggage", "tenant_id=evil")]).await;

    let (here, there) = (lines(&capture), shop.peer.stop());
    let client = one(&here, "shop.Orders/Get");
    let servers = all(&there, "shop.Orders/Get");
    assert_eq!(servers.len(), 2);
    assert!(servers[0].is_linked_to(client));
    assert_eq!(servers[1].links[0].span_id, "b7ad6b7169203331");
    for server in servers {
        assert_eq!((server.parent_id.as_ref(), server.links.len()), (None, 1));
        assert_ne!(server.trace_id, server.links[0].trace_id);
        assert_eq!(server.attribute("tenant_id"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_is_not_sampled_goes_on_without_spans() {
    let shop = Shop::open("internal");
    let capture = Capture::with_sampler(Sampler::AlwaysOff);
    let client = shop.client();
    let (answer, trace) = capture
        .run_async(in_span_async("quiet", async {
            let trace = Context::current().span().span_context().trace_id();
            (client.get("order").await.unwrap(), trace)
        }))
        .await;
    assert_eq!(answer, format!("order {trace}"), "the handler has seen the trace");
    // Where there is no span yet, the client's would have been the first.
    let alone = capture.run_async(client.get("order")).await.unwrap();
    assert_ne!(alone, "order 00000000000000000000000000000000");
    drop(client);
    assert_eq!((lines(&capture), shop.peer.stop()), (Vec::new(), Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_an_sdk_passes_the_context_on() {
    let shop = Shop::open("internal");
    let client = shop.client();
    let caller = SpanContext::new(
        TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
        SpanId::from(0xb7ad_6b71_6920_3331),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    // No capture, and no provider in this process.
    let context = Context::new().with_remote_span_context(caller);
    let messages = stream::once(async {
        // The stream of requests is elsewhere, and in the same trace.
        Context::current().span().span_context().span_id().to_string()
    });
    let count = Snapshot::of(&context).run_async(client.collect(messages)).await;
    assert_eq!(count.unwrap(), "1");
    drop(client);
    let there = shop.peer.stop();
    let server = one(&there, "shop.Orders/Collect");
    assert_eq!(server.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(server.parent_id.as_deref(), Some("b7ad6b7169203331"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_axum_router_has_spans_for_its_grpc_services_alone() {
    let shop = Shop::open("axum");
    let capture = Capture::new();
    let client = shop.client();
    capture.run_async(client.get("order")).await.unwrap();
    let health = reqwest::Client::builder().no_proxy().build().unwrap();
    let health = health.get(format!("http://{}/health", shop.address)).send().await.unwrap();
    assert_eq!(health.text().await.unwrap(), "fine");
    drop(client);

    let (here, there) = (lines(&capture), shop.peer.stop());
    let (_, server) = pair(&here, &there, "shop.Orders/Get");
    assert_eq!(code(server), "OK");
    assert_eq!((here.len(), there.len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_layers_a_request_carries_the_context_and_is_a_parent() {
    let shop = Shop::open("plain");
    let capture = Capture::new();
    let client = Orders(InterceptedService::new(shop.endpoint().connect_lazy(), intercept));
    let answer = capture.run_async(in_span_async("ask", client.get("order"))).await;
    assert!(answer.is_ok());
    drop(client);

    let (here, there) = (lines(&capture), shop.peer.stop());
    let (ask, get) = (one(&here, "ask"), one(&there, "get"));
    assert!(get.is_child_of(ask) && get.kind == "server");
    assert_eq!(get.attribute("rpc.system.name"), Some("grpc"));
    assert_eq!(get.attribute("network.peer.address"), Some("127.0.0.1"));
    assert!(one(&there, "load").is_child_of(get));
    assert_eq!((here.len(), there.len()), (1, 2));
}

// ---------------------------------------------------------------------------------------------
// What needs no second process

#[traced(kind = server, parent = metadata)]
fn receive(metadata: &MetadataMap) {}

#[test]
fn metadata_is_a_carrier_that_leaves_binary_values_alone() {
    let capture = Capture::new();
    let mut metadata = MetadataMap::new();
    let binary = BinaryMetadataValue::from_bytes(b"\xff\x00");
    metadata.insert_bin("trace-bin", binary.clone());
    metadata.insert("traceparent", "old".parse().unwrap());
    capture.run(|| in_span("send", || inject(&mut metadata)));
    assert_eq!(metadata.get_all("traceparent").iter().count(), 1, "the old one is replaced");
    assert_eq!(metadata.get_bin("trace-bin"), Some(&binary));

    capture.run(|| receive(&metadata));
    assert!(capture.span("receive").is_child_of(&capture.span("send")));

    // Two of them are none: nobody knows which is right.
    capture.clear();
    let copy = metadata.get("traceparent").unwrap().clone();
    metadata.append("traceparent", copy);
    capture.run(|| receive(&metadata));
    assert_eq!(capture.span("receive").parent_id(), None);

    // And what is not text is not a context.
    capture.clear();
    let mut headers = http::HeaderMap::new();
    headers.insert("traceparent", http::HeaderValue::from_bytes(b"\xff\xfe").unwrap());
    capture.run(|| receive(&MetadataMap::from_headers(headers)));
    assert_eq!(capture.span("receive").parent_id(), None);
}

/// A call of `path` in this process, answered by `response`.
async fn call_here(capture: &Capture, layer: ServerLayer, path: &str, response: http::Response<Body>) {
    let response = std::sync::Mutex::new(Some(response));
    let service = layer.layer(service_fn(|_: http::Request<()>| {
        let response = response.lock().unwrap().take().unwrap();
        future::ready(Ok::<_, std::convert::Infallible>(response))
    }));
    let request = http::Request::post(path).header("content-type", "application/grpc").body(()).unwrap();
    let response = capture.run_async(service.oneshot(request)).await.unwrap();
    // As `hyper` does: a body that says it is over is not asked for its end.
    let mut body = response.into_body();
    while !body.is_end_stream() && body.frame().await.is_some() {}
}

/// A call with a caller's span, through `service`; gives the client's side, the server's side, and what ran in it.
async fn call_through<S, B>(service: S) -> Vec<FinishedSpan>
where
    S: Service<http::Request<Body>, Response = http::Response<B>>,
    S::Error: std::fmt::Debug,
    B: hyper::body::Body,
    B::Error: std::fmt::Debug,
{
    let capture = Capture::new();
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = http::Request::post("/shop.Orders/Get")
        .header("content-type", "application/grpc")
        .header("traceparent", caller)
        .body(Body::empty())
        .unwrap();
    let whole = async { service.oneshot(request).await.unwrap().into_body().collect().await.unwrap() };
    let answer = capture.run_async(whole).await;
    drop(answer);
    assert_eq!(capture.open(), 0);
    capture.spans()
}

fn handler()
-> impl Service<http::Request<Body>, Response = http::Response<Body>, Error = std::convert::Infallible, Future: Send>
+ Clone
+ Send {
    service_fn(|_: http::Request<Body>| async {
        in_span("load", || ());
        Ok(Status::not_found("order").into_http())
    })
}

#[tokio::test]
async fn below_an_http_layer_a_call_is_part_of_the_request() {
    use throughline_http::ServerLayer as HttpLayer;

    for (http, grpc, is_public) in [
        (HttpLayer::new(), ServerLayer::new(), false),
        // The outer layer has judged the caller.
        (HttpLayer::new().public(), ServerLayer::new(), true),
        (HttpLayer::new().public(), ServerLayer::new().public(), true),
    ] {
        let spans = call_through(ServiceBuilder::new().layer(http).layer(grpc).service(handler())).await;
        let names: Vec<_> = spans.iter().map(FinishedSpan::name).collect();
        assert_eq!(names, ["load", "shop.Orders/Get", "POST"]);
        let [load, call, request] = &spans[..] else { unreachable!() };
        assert!(load.is_child_of(call) && call.is_child_of(request));
        assert_eq!(request.parent_id().is_none(), is_public);
        assert!(call.links.is_empty(), "{call:?}");
    }
}

#[tokio::test]
async fn of_two_layers_the_outer_one_opens_the_span() {
    let service = ServiceBuilder::new().layer(ServerLayer::new().public()).layer(ServerLayer::new()).service(handler());
    let spans = call_through(service).await;
    let names: Vec<_> = spans.iter().map(FinishedSpan::name).collect();
    assert_eq!(names, ["load", "shop.Orders/Get"]);
    assert!(spans[0].is_child_of(&spans[1]) && spans[1].parent_id().is_none());
}

/// A server that watches the time may be faster than the client, and `tonic`'s says `CANCELLED` then.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cancelled_after_its_deadline_was_too_late() {
    for (timeout, expected) in [(Some("1n"), "DEADLINE_EXCEEDED"), (Some("1H"), "CANCELLED"), (None, "CANCELLED")] {
        let capture = Capture::new();
        let client = ClientLayer::new().layer(service_fn(|_: http::Request<Body>| {
            let cancelled = http::Response::builder().header("grpc-status", "1").body(Body::empty()).unwrap();
            future::ready(Ok::<_, std::convert::Infallible>(cancelled))
        }));
        let mut request = Request::new("order".to_owned());
        if let Some(timeout) = timeout {
            request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
        }
        let client = Orders(client);
        let call = client.unary("/shop.Orders/Get", request);
        assert_eq!(capture.run_async(call).await.unwrap_err().code(), Code::Cancelled);
        let span = SpanLine::from(&capture.span("shop.Orders/Get"));
        assert_eq!((code(&span), span.status.as_str()), (expected, "error: "), "{timeout:?}");
    }
}

/// A proxy in between, or a server that is none of gRPC: `tonic` reads no further than the first bytes.
#[tokio::test]
async fn an_answer_that_is_not_grpc_fails_the_client() {
    for (http, kind, expected) in [
        (502, "text/html", "UNAVAILABLE"),
        (404, "text/html", "UNIMPLEMENTED"),
        (503, "application/grpc", "UNAVAILABLE"),
        (200, "text/html", "UNKNOWN"),
    ] {
        let capture = Capture::new();
        let client = ClientLayer::new().layer(service_fn(move |_: http::Request<Body>| {
            let page = Full::new(Bytes::from_static(b"<html><body>Bad Gateway</body></html>"));
            let page = http::Response::builder().status(http).header("content-type", kind).body(page).unwrap();
            future::ready(Ok::<_, std::convert::Infallible>(page))
        }));
        capture.run_async(Orders(client).get("order")).await.unwrap_err();
        let span = SpanLine::from(&capture.span("shop.Orders/Get"));
        assert_eq!((code(&span), span.attribute("error.type")), (expected, Some(expected)), "{http} {kind}");
        assert_eq!(span.status, format!("error: no grpc-status in the response, HTTP status {http}"));
    }
}

/// The codec stands above the layer, which sees no more than an answer that nobody reads to its end.
#[tokio::test]
async fn an_answer_that_is_too_large_is_given_up() {
    let capture = Capture::new();
    let client = ClientLayer::new().layer(service_fn(|_: http::Request<Body>| {
        let trailers = http::HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let body = Full::new(frame("too large")).with_trailers(future::ready(Some(Ok(trailers))));
        let response = http::Response::builder().header("content-type", "application/grpc").body(body).unwrap();
        future::ready(Ok::<_, std::convert::Infallible>(response))
    }));
    let mut client = Grpc::new(client).max_decoding_message_size(4);
    let path = http::uri::PathAndQuery::from_static("/shop.Orders/Get");
    let call = client.unary(Request::new(String::new()), path, ProstCodec::<String, String>::default());
    assert_eq!(capture.run_async(call).await.unwrap_err().code(), Code::OutOfRange);
    assert_cancelled(&SpanLine::from(&capture.span("shop.Orders/Get")));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_known_methods_name_spans() {
    let capture = Capture::new();
    let layer = ServerLayer::new().methods(["shop.Orders/Get"]);
    let fine = || http::Response::builder().header("grpc-status", "0").body(Body::empty()).unwrap();
    for path in ["/shop.Orders/Get", "/shop.Orders/Hack", "/nonsense"] {
        call_here(&capture, layer.clone(), path, fine()).await;
    }
    let told: Vec<_> = capture.spans().iter().map(SpanLine::from).collect();
    let told = told
        .iter()
        .map(|span| (span.name.as_str(), span.attribute("rpc.method").unwrap(), span.attribute("rpc.method_original")));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("shop.Orders/Get", "shop.Orders/Get", None),
            ("grpc", "_OTHER", Some("shop.Orders/Hack")),
            ("grpc", "_OTHER", Some("nonsense")),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_without_a_status_has_the_one_its_caller_makes_up() {
    for (http, body, expected) in [
        (404, Body::empty(), "UNIMPLEMENTED"),
        (503, Body::empty(), "UNAVAILABLE"),
        (200, Body::new(Full::new(Bytes::from_static(b"x")).map_err(|never| match never {})), "UNKNOWN"),
    ] {
        let capture = Capture::new();
        let response = http::Response::builder().status(http).body(body).unwrap();
        call_here(&capture, ServerLayer::new(), "/shop.Orders/Get", response).await;
        let span = SpanLine::from(&capture.span("shop.Orders/Get"));
        assert_eq!(code(&span), expected);
        assert!(span.status.starts_with("error: no grpc-status"), "{span:?}");
    }
}
