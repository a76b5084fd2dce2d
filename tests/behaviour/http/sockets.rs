//! Over real connections: axum and hyper, HTTP/1.1 and HTTP/2.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures::StreamExt as _;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use throughline::testing::Capture;
use throughline::traced;
use throughline_http::{ClientLayer, RequestTag, ServerLayer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{assert_number, assert_text};

/// A server on its own port, which runs until dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
    ended: mpsc::UnboundedReceiver<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Waits until a request is complete, including its span.
    async fn ended(&mut self) {
        let ended = tokio::time::timeout(Duration::from_secs(20), self.ended.recv()).await;
        ended.expect("a request ends in time").expect("the server runs");
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Reports that a request is complete when dropped.
struct Over(mpsc::UnboundedSender<()>);

impl Drop for Over {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// A body that is dropped before the request is reported as complete.
struct Watched(Body, #[expect(dead_code, reason = "its drop matters")] Over);

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

pub(crate) async fn serve(router: Router) -> Server {
    start(router, None).await
}

/// A server whose requests are captured, although axum's tasks do not inherit our context.
async fn serve_in(capture: &Capture, router: Router) -> Server {
    start(router, Some(capture.clone())).await
}

async fn start(router: Router, capture: Option<Capture>) -> Server {
    let (send, ended) = mpsc::unbounded_channel();
    let router = router.layer(from_fn(move |request: Request, next: Next| {
        let over = Over(send.clone());
        let run = async move {
            // Declared first, so that it is dropped last.
            let over = over;
            let response: Response = next.run(request).await;
            response.map(|body| Body::new(Watched(body, over)))
        };
        let context = capture.as_ref().map(Capture::context).unwrap_or_default();
        throughline::Snapshot::from_context(&context).run_async(run)
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let task = tokio::spawn(async move { axum::serve(listener, service).await.expect("it serves") });
    Server { address, task, ended }
}

fn client(http2: bool) -> Client<HttpConnector, Empty<Bytes>> {
    Client::builder(TokioExecutor::new()).http2_only(http2).build_http()
}

fn request(url: &str) -> http::Request<Empty<Bytes>> {
    http::Request::get(url).body(Empty::new()).expect("a request")
}

#[tokio::test]
async fn from_service_to_service() {
    #[traced]
    async fn load() -> &'static str {
        "loaded"
    }
    for http2 in [false, true] {
        let capture = Capture::new();
        let layer =
            ServerLayer::new().tag_header("tenant_id", "x-tenant-id").tag(RequestTag::new("order_no").path("no"));
        let mut server = serve_in(&capture, Router::new().route("/orders/{no}", get(load)).layer(layer)).await;
        let client = ClientLayer::new().tag_header("tenant_id", "x-tenant-id").layer(client(http2));
        let url = server.url("/orders/7");
        let call = throughline::span("order").biz_tag("tenant_id", "acme").run_async(client.oneshot(request(&url)));
        let response = capture.run_async(call).await.expect("an answer");
        assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), "loaded");
        server.ended().await;
        capture.assert_tree_with(
            &["tenant_id", "order_no"],
            "
            order tenant_id=acme
            └── GET [client] tenant_id=acme
                └── GET /orders/{no} [server] tenant_id=acme order_no=7
                    └── load tenant_id=acme order_no=7
            ",
        );
        let span = capture.span("GET /orders/{no}");
        assert_text(&span, "network.protocol.version", Some(if http2 { "2" } else { "1.1" }));
        assert_text(&span, "network.peer.address", Some("127.0.0.1"));
        assert_text(&span, "server.address", Some("127.0.0.1"));
        assert_number(&span, "server.port", server.address.port().into());
        assert_text(&capture.span("GET"), "url.full", Some(&url));
    }
}

#[tokio::test]
async fn a_streamed_response_ends_with_its_stream() {
    for http2 in [false, true] {
        let capture = Capture::new();
        let stream = || async {
            let frames =
                futures::stream::iter(["a", "b", "c"]).map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from(part))));
            Response::new(Body::new(StreamBody::new(frames)))
        };
        let mut server = serve_in(&capture, Router::new().route("/", get(stream)).layer(ServerLayer::new())).await;
        let response = client(http2).request(request(&server.url("/"))).await.expect("an answer");
        assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), "abc");
        server.ended().await;
        let span = capture.span("GET /");
        assert!(!span.is_cancelled() && !span.is_error(), "{span:?}");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_the_request() {
    for http2 in [false, true] {
        let capture = Capture::new();
        let (send, began) = oneshot::channel();
        let send = std::sync::Arc::new(std::sync::Mutex::new(Some(send)));
        let never = move || {
            let send = send.lock().expect("no panic").take();
            async move {
                let _ = send.expect("one request").send(());
                std::future::pending::<&'static str>().await
            }
        };
        let mut server = serve_in(&capture, Router::new().route("/", get(never)).layer(ServerLayer::new())).await;
        let (url, client) = (server.url("/"), client(http2));
        let call = tokio::spawn(async move { client.request(request(&url)).await.is_ok() });
        began.await.expect("it has begun");
        call.abort();
        server.ended().await;
        assert!(capture.span("GET /").is_cancelled());
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_on_cancels_the_stream() {
    for http2 in [false, true] {
        let capture = Capture::new();
        let stream = || async {
            let first = futures::stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from("first")))]);
            Response::new(Body::new(StreamBody::new(first.chain(futures::stream::pending()))))
        };
        let mut server = serve_in(&capture, Router::new().route("/", get(stream)).layer(ServerLayer::new())).await;
        let client = client(http2);
        let response = client.request(request(&server.url("/"))).await.expect("an answer");
        let mut body: Incoming = response.into_body();
        body.frame().await.expect("a frame").expect("data");
        assert_eq!(capture.open(), 1, "the span lasts");
        drop((body, client));
        server.ended().await;
        let span = capture.span("GET /");
        assert!(span.is_cancelled());
        assert_number(&span, "http.response.status_code", 200);
    }
}

/// An upgrade, as for web sockets. Such a connection may last for days.
#[tokio::test]
async fn an_upgraded_connection_outlives_the_span() {
    #[traced]
    async fn session(mut connection: TokioIo<hyper::upgrade::Upgraded>) {
        let mut said = [0; 5];
        connection.read_exact(&mut said).await.expect("it is read");
        connection.write_all(&said).await.expect("it is written");
    }
    let capture = Capture::new();
    let (send, over) = oneshot::channel();
    let send = std::sync::Arc::new(std::sync::Mutex::new(Some(send)));
    let upgrade = move |mut request: Request| async move {
        let (snapshot, upgrade) = (throughline::Snapshot::capture(), hyper::upgrade::on(&mut request));
        let send = send.lock().expect("no panic").take().expect("one request");
        tokio::spawn(async move {
            snapshot.run_async(session(TokioIo::new(upgrade.await.expect("an upgrade")))).await;
            let _ = send.send(());
        });
        (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "echo")])
    };
    let mut server = serve_in(&capture, Router::new().route("/", get(upgrade)).layer(ServerLayer::new())).await;
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    let head = "GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    server.ended().await;
    let span = capture.span("GET /");
    assert_number(&span, "http.response.status_code", 101);
    assert!(!span.is_cancelled() && !span.is_error(), "{span:?}");

    stream.write_all(b"hello").await.expect("it is sent");
    stream.shutdown().await.expect("nothing more is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.ends_with(b"hello"));
    over.await.expect("the session is over");
    assert!(capture.span("session").is_child_of(&span));
}

#[tokio::test]
async fn requests_on_one_connection_have_their_own_traces() {
    let capture = Capture::new();
    let mut server =
        serve_in(&capture, Router::new().route("/", get(|| async { "ok" })).layer(ServerLayer::new())).await;
    let client = client(false);
    let mut ids = HashSet::new();
    for _ in 0..3 {
        let response = client.request(request(&server.url("/"))).await.expect("an answer");
        let id = response.headers()["x-request-id"].to_str().expect("text").to_owned();
        response.into_body().collect().await.expect("a body");
        server.ended().await;
        assert_eq!(capture.take().remove(0).trace_id().to_string(), id);
        ids.insert(id);
    }
    assert_eq!(ids.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_do_not_mix() {
    #[traced]
    async fn load() {
        tokio::task::yield_now().await;
        throughline::span("job").spawn(store()).await.expect("a job");
    }
    #[traced]
    async fn store() {
        tokio::task::yield_now().await;
    }
    const REQUESTS: usize = 100;
    for http2 in [false, true] {
        let capture = Capture::new();
        let layer = ServerLayer::new().tag(RequestTag::new("order_no").path("no"));
        let handler = || async {
            load().await;
            "ok"
        };
        let mut server = serve_in(&capture, Router::new().route("/orders/{no}", get(handler)).layer(layer)).await;
        let client = client(http2);
        let calls = (0..REQUESTS).map(|no| {
            let mut request = request(&server.url(&format!("/orders/{no}")));
            let identity = format!("00-{:032x}-{:016x}-01", no + 1, no + 1);
            request.headers_mut().insert("traceparent", identity.parse().expect("a value"));
            let call = client.request(request);
            async move {
                let response = call.await.expect("an answer");
                assert_eq!(response.headers()["x-request-id"], format!("{:032x}", no + 1).as_str());
                response.into_body().collect().await.expect("a body");
            }
        });
        futures::future::join_all(calls).await;
        for _ in 0..REQUESTS {
            server.ended().await;
        }
        let spans = capture.spans();
        assert_eq!(spans.len(), REQUESTS * 4);
        for span in spans {
            let no = u128::from_be_bytes(span.trace_id().to_bytes()) - 1;
            assert_text(&span, "order_no", Some(&no.to_string()));
        }
    }
}

/// Without axum: hyper's own server, and no router.
#[tokio::test]
async fn a_service_of_hyper_alone() {
    let capture = Capture::new();
    let (send, over) = oneshot::channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/orders/7", listener.local_addr().expect("its address"));
    let in_capture = capture.clone();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let service = service_fn(|request: http::Request<Incoming>| async move {
            let said = request.uri().path().to_owned();
            Ok::<_, Infallible>(http::Response::new(said))
        });
        let service = TowerToHyperService::new(ServerLayer::new().layer(service));
        let mut connection = hyper::server::conn::http1::Builder::new();
        connection.keep_alive(false);
        in_capture.run_async(connection.serve_connection(TokioIo::new(stream), service)).await.expect("it serves");
        let _ = send.send(());
    });
    let response = client(false).request(request(&url)).await.expect("an answer");
    assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), "/orders/7");
    over.await.expect("it is over");
    server.await.expect("it has served");
    let span = capture.span("GET");
    assert!(!span.is_cancelled());
    assert_text(&span, "http.route", None);
    assert_text(&span, "url.path", Some("/orders/7"));
}
