//! HTTP.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use throughline::{Snapshot, biz_tags, traced};
use throughline_http::{RequestTag, ServerLayer};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{Arguments, ready};

pub(super) async fn play(role: &str, _: Arguments, stop: watch::Receiver<bool>) {
    match role {
        "axum" => serve_axum(stop).await,
        "hyper" => serve_hyper(stop).await,
        _ => panic!("no role `http-{role}`"),
    }
}

async fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    ready(&listener.local_addr().expect("its address").to_string());
    listener
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn layer() -> ServerLayer {
    ServerLayer::new()
        .tag_header("tenant_id", "x-tenant-id")
        .tag(RequestTag::new("order_no").path("order_no").query("order_no"))
}

/// A router behind the layer. Requests run in the capture of the process, which axum's tasks do not have.
async fn serve_axum(stop: watch::Receiver<bool>) {
    let capture = Snapshot::capture();
    let (request_over, mut all_over) = mpsc::channel::<Infallible>(1);
    let router = Router::new()
        .route("/orders/{order_no}", get(load))
        .route("/stream", get(stream))
        .route("/fail", get(|| async { http::StatusCode::SERVICE_UNAVAILABLE }))
        .layer(layer())
        .layer(from_fn(move |request: Request, next: Next| {
            let (over, answer) = (request_over.clone(), capture.run_async(next.run(request)));
            // Dropped after the inner body.
            async move { answer.await.map(|body| Body::new(body.map_frame(move |frame| (&over, frame).1))) }
        }));
    let service = router.into_make_service_with_connect_info::<std::net::SocketAddr>();
    axum::serve(listen().await, service).with_graceful_shutdown(stopped(stop)).await.expect("it serves");
    // A closed connection is dropped a moment later.
    assert!(all_over.recv().await.is_none());
}

#[traced]
async fn load() -> String {
    store("order").await;
    throughline::Carrier::capture().baggage.unwrap_or_default()
}

#[traced]
#[biz_tags(biz_id)]
async fn store(biz_id: &str) {
    tokio::task::yield_now().await;
}

/// Sends one frame, and then nothing.
async fn stream() -> Response {
    let first = futures::stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"first")))]);
    Response::new(Body::new(StreamBody::new(first.chain(futures::stream::pending()))))
}

/// A service with only hyper, for both versions of HTTP.
async fn serve_hyper(stop: watch::Receiver<bool>) {
    let capture = Snapshot::capture();
    let listener = listen().await;
    let mut connections = JoinSet::new();
    let stop = stopped(stop);
    let mut stop = std::pin::pin!(stop);
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted.expect("a connection"),
            () = &mut stop => break,
        };
        let capture = capture.clone();
        let service = service_fn(move |request: http::Request<Incoming>| {
            let service = service_fn(|_: http::Request<Incoming>| async {
                let loaded = load().await;
                Ok::<_, Infallible>(http::Response::new(loaded))
            });
            capture.run_async(layer().layer(service).oneshot(request))
        });
        connections.spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            // It is not an error if the client disconnects.
            let _ = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await;
        });
    }
}
