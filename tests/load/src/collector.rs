//! A collector: OTLP/gRPC and OTLP/HTTP on one port of the loopback interface.

use std::convert::Infallible;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;

/// How the collector treats a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Accepts it.
    Accept,
    /// Fails with a retryable error: `UNAVAILABLE`, 503.
    Unavailable,
    /// Fails with an error that is not retryable: `INVALID_ARGUMENT`, 400.
    Reject,
    /// Accepts it, and responds after this time.
    Slow(Duration),
    /// Accepts it, and never responds. New connections are accepted, but not read from.
    HalfOpen,
    /// Fails if there are more spans than this, as a limit on the message size does: `OUT_OF_RANGE`, 413.
    MaxSpans(usize),
    /// Fails in the same way if there are more bytes than this.
    MaxBytes(usize),
    /// Closes the connection instead of responding.
    HangUp,
    /// Accepts all but this many spans: a partial success.
    PartialSuccess(i64),
    /// Responds with a gRPC message with an impossible length.
    Garbage,
    /// Responds with 404, like a server that is not a collector.
    NotFound,
}

/// A request that was accepted.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its headers or metadata.
    pub headers: HeaderMap,
    /// Whether it came over HTTP rather than gRPC.
    pub over_http: bool,
    /// Its content.
    pub spans: Vec<ResourceSpans>,
}

impl Request {
    /// The number of spans.
    pub fn len(&self) -> usize {
        self.spans.iter().flat_map(|resource| &resource.scope_spans).map(|scope| scope.spans.len()).sum()
    }

    /// Its size, uncompressed.
    pub fn bytes(&self) -> usize {
        ExportTraceServiceRequest { resource_spans: self.spans.clone() }.encoded_len()
    }

    /// Whether it has no spans.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

type OnAccept = Box<dyn Fn(Request) + Send + Sync>;

struct Shared {
    behaviour: Mutex<Behaviour>,
    /// The number of requests, accepted or not.
    requests: Mutex<u64>,
    connections: Mutex<u64>,
    on_accept: OnAccept,
    /// Closes every connection.
    hang_up: Notify,
}

/// A collector on its own thread. Stops when it is dropped.
pub struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Mutex<Option<JoinHandle<()>>>,
    /// Bound, but not listening, so that no other process gets the port while the collector is stopped.
    _reserved: TcpSocket,
    runtime: Option<Runtime>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reserved port: bound, but not listening.
pub(crate) struct Reserved {
    pub(crate) address: SocketAddr,
    _socket: TcpSocket,
    _runtime: Runtime,
}

impl Reserved {
    pub(crate) fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let guard = runtime.enter();
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        drop(guard);
        Ok(Self { address: socket.local_addr()?, _socket: socket, _runtime: runtime })
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

impl Collector {
    /// Starts a collector that passes accepted requests to `on_accept` before it responds.
    ///
    /// # Errors
    ///
    /// If there is no free port, or no thread can be spawned.
    pub fn start(on_accept: impl Fn(Request) + Send + Sync + 'static) -> io::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), on_accept)
    }

    /// Starts a collector at `address`.
    ///
    /// # Errors
    ///
    /// If the address is in use, or no thread can be spawned.
    pub fn start_at(address: SocketAddr, on_accept: impl Fn(Request) + Send + Sync + 'static) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("collector")
            .enable_all()
            .build()?;
        let guard = runtime.enter();
        let reserved = bound(address)?;
        let address = reserved.local_addr()?;
        drop(guard);
        let collector = Self {
            address,
            shared: Arc::new(Shared {
                behaviour: Mutex::new(Behaviour::Accept),
                requests: Mutex::new(0),
                connections: Mutex::new(0),
                on_accept: Box::new(on_accept),
                hang_up: Notify::new(),
            }),
            serving: Mutex::new(None),
            _reserved: reserved,
            runtime: Some(runtime),
        };
        collector.listen()?;
        Ok(collector)
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("only `drop` takes it")
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the behaviour from now on.
    pub fn set(&self, behaviour: Behaviour) {
        *locked(&self.shared.behaviour) = behaviour;
    }

    /// The number of requests so far, accepted or not.
    pub fn request_count(&self) -> u64 {
        *locked(&self.shared.requests)
    }

    /// The number of connections so far.
    pub fn connection_count(&self) -> u64 {
        *locked(&self.shared.connections)
    }

    /// Closes its port and all connections immediately.
    pub fn stop(&self) {
        let Some(serving) = locked(&self.serving).take() else { return };
        serving.abort();
        // Completes when all connections are dropped.
        let _ = self.runtime().block_on(serving);
    }

    /// Listens again, on the same address.
    ///
    /// # Errors
    ///
    /// If the port cannot be bound again.
    pub fn listen(&self) -> io::Result<()> {
        let guard = self.runtime().enter();
        let listener = bound(self.address)?.listen(1024)?;
        drop(guard);
        let serving = self.runtime().spawn(serve(listener, Arc::clone(&self.shared)));
        *locked(&self.serving) = Some(serving);
        Ok(())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let service = TraceServiceServer::new(Service(Arc::clone(&shared)))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(usize::MAX);
    let router = Routes::new(service)
        .into_axum_router()
        .merge(Router::new().route("/v1/traces", post(export)).with_state(Arc::clone(&shared)))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), unexpected));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                // Read before the connection is counted, because a test that waits for the count may set another
                // behaviour.
                let is_half_open = *locked(&shared.behaviour) == Behaviour::HalfOpen;
                *locked(&shared.connections) += 1;
                let _ = stream.set_nodelay(true);
                connections.spawn(connection(stream, is_half_open, router.clone(), Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, is_half_open: bool, router: Router, shared: Arc<Shared>) {
    if is_half_open {
        return std::future::pending().await;
    }
    let service = TowerToHyperService::new(router);
    let server = auto::Builder::new(TokioExecutor::new());
    tokio::select! {
        _ = server.serve_connection(TokioIo::new(stream), service) => {}
        () = shared.hang_up.notified() => {}
    }
}

/// Responds like servers that are not collectors.
async fn unexpected(State(shared): State<Arc<Shared>>, request: axum::extract::Request, next: Next) -> Response {
    let behaviour = *locked(&shared.behaviour);
    if !matches!(behaviour, Behaviour::Garbage | Behaviour::NotFound) {
        return next.run(request).await;
    }
    *locked(&shared.requests) += 1;
    if behaviour == Behaviour::NotFound {
        return (StatusCode::NOT_FOUND, "no such page").into_response();
    }
    ([(header::CONTENT_TYPE, "application/grpc")], "\0nothing that gRPC has a length for").into_response()
}

/// The response to a request.
enum Reply {
    Accepted { rejected: i64 },
    Unavailable,
    Rejected,
    TooLarge,
}

impl Shared {
    async fn reply(&self, request: Request) -> Reply {
        *locked(&self.requests) += 1;
        let behaviour = *locked(&self.behaviour);
        match behaviour {
            Behaviour::Unavailable => return Reply::Unavailable,
            Behaviour::Reject => return Reply::Rejected,
            Behaviour::MaxSpans(spans) if request.len() > spans => return Reply::TooLarge,
            Behaviour::MaxBytes(bytes) if request.bytes() > bytes => return Reply::TooLarge,
            Behaviour::HangUp => {
                self.hang_up.notify_waiters();
                std::future::pending::<()>().await;
            }
            _ => {}
        }
        (self.on_accept)(request);
        match behaviour {
            Behaviour::Slow(time) => tokio::time::sleep(time).await,
            Behaviour::HalfOpen => std::future::pending().await,
            Behaviour::PartialSuccess(rejected) => return Reply::Accepted { rejected },
            _ => {}
        }
        Reply::Accepted { rejected: 0 }
    }
}

fn accepted(rejected: i64) -> ExportTraceServiceResponse {
    let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: "not those".to_owned() };
    ExportTraceServiceResponse { partial_success: (rejected > 0).then_some(partial) }
}

/// The body of an OTLP/HTTP response with a partial success, even if no spans are rejected.
pub fn partial_success(rejected: i64, message: &str) -> Vec<u8> {
    let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: message.to_owned() };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
}

/// Compresses a message.
///
/// # Errors
///
/// None, because memory can be read.
pub fn gzipped(message: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressed = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(message, flate2::Compression::default());
    encoder.read_to_end(&mut compressed)?;
    Ok(compressed)
}

struct Service(Arc<Shared>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let (metadata, _, message) = request.into_parts();
        let request = Request { headers: metadata.into_headers(), over_http: false, spans: message.resource_spans };
        match self.0.reply(request).await {
            Reply::Accepted { rejected } => Ok(tonic::Response::new(accepted(rejected))),
            Reply::Unavailable => Err(tonic::Status::unavailable("not now")),
            Reply::Rejected => Err(tonic::Status::invalid_argument("never")),
            Reply::TooLarge => Err(tonic::Status::out_of_range("decoded message length too large")),
        }
    }
}

async fn export(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Result<Response, Infallible> {
    let mut plain = Vec::new();
    let gzip = headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
    let decoded = if gzip {
        flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).map(|_| Bytes::from(plain))
    } else {
        Ok(body)
    };
    let Some(message) = decoded.ok().and_then(|body| ExportTraceServiceRequest::decode(body).ok()) else {
        return Ok(StatusCode::BAD_REQUEST.into_response());
    };
    let request = Request { headers, over_http: true, spans: message.resource_spans };
    Ok(match shared.reply(request).await {
        Reply::Accepted { rejected } => {
            let body = Body::from(accepted(rejected).encode_to_vec());
            ([(header::CONTENT_TYPE, "application/x-protobuf")], body).into_response()
        }
        Reply::Unavailable => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Reply::Rejected => StatusCode::BAD_REQUEST.into_response(),
        Reply::TooLarge => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    })
}
