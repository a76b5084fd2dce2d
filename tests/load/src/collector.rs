//! A collector: OTLP over gRPC and over HTTP on one port of the loopback interface.

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

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes it.
    Take,
    /// Says that it cannot take it now: `UNAVAILABLE`, 503.
    Refuse,
    /// Says that it will never take it: `INVALID_ARGUMENT`, 400.
    RefuseForGood,
    /// Takes it, and says so after this time.
    Slow(Duration),
    /// Takes it, and never says so. New connections are accepted, and nothing is read from them.
    HalfOpen,
    /// Says that it is too large if there are more spans than this, as a limit on the size of
    /// messages does: `OUT_OF_RANGE`, 413.
    AtMost(usize),
    /// The same, if a request has more bytes than this.
    AtMostBytes(usize),
    /// Closes the connection instead of an answer.
    HangUp,
    /// Takes it but for this many spans: a partial success.
    TakeAllBut(i64),
    /// Answers with a message of gRPC whose length cannot be right.
    Garbage,
    /// Has no such page, as a server of something else.
    NoSuchPage,
}

/// One request that was taken.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its headers, or its metadata.
    pub headers: HeaderMap,
    /// Whether it came over HTTP, not over gRPC.
    pub over_http: bool,
    /// What was in it.
    pub spans: Vec<ResourceSpans>,
}

impl Request {
    /// How many spans are in it.
    pub fn len(&self) -> usize {
        self.spans.iter().flat_map(|resource| &resource.scope_spans).map(|scope| scope.spans.len()).sum()
    }

    /// How large it is, without compression.
    pub fn bytes(&self) -> usize {
        ExportTraceServiceRequest { resource_spans: self.spans.clone() }.encoded_len()
    }

    /// Whether there is no span in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

type Take = Box<dyn Fn(Request) + Send + Sync>;

struct Shared {
    behaviour: Mutex<Behaviour>,
    /// How many requests have come, taken or not.
    asked: Mutex<u64>,
    /// How many connections have come.
    connected: Mutex<u64>,
    take: Take,
    /// Every connection is to be closed.
    hang_up: Notify,
}

/// A collector on a thread of its own. Stops when it is dropped.
pub struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Mutex<Option<JoinHandle<()>>>,
    /// Bound, and not listening: nobody else gets the port while the collector is stopped.
    _reserved: TcpSocket,
    runtime: Option<Runtime>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A port that nobody else gets: it is bound, and nobody listens.
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
    /// Starts one, which hands `take` what it takes before it says so.
    ///
    /// # Errors
    ///
    /// If there is no free port, or no thread.
    pub fn start(take: impl Fn(Request) + Send + Sync + 'static) -> io::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), take)
    }

    /// Starts one at `address`.
    ///
    /// # Errors
    ///
    /// If the address is not free, or there is no thread.
    pub fn start_at(address: SocketAddr, take: impl Fn(Request) + Send + Sync + 'static) -> io::Result<Self> {
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
                behaviour: Mutex::new(Behaviour::Take),
                asked: Mutex::new(0),
                connected: Mutex::new(0),
                take: Box::new(take),
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
        self.runtime.as_ref().expect("only the destructor takes it")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as `OTEL_EXPORTER_OTLP_ENDPOINT` has it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it does with requests from now on.
    pub fn set(&self, behaviour: Behaviour) {
        *locked(&self.shared.behaviour) = behaviour;
    }

    /// How many requests have come, whether it took them or not.
    pub fn asked(&self) -> u64 {
        *locked(&self.shared.asked)
    }

    /// How many connections have come.
    pub fn connected(&self) -> u64 {
        *locked(&self.shared.connected)
    }

    /// Closes its port and every connection, in the middle of whatever it does.
    pub fn stop(&self) {
        let Some(serving) = locked(&self.serving).take() else { return };
        serving.abort();
        // Over when everything of it is dropped.
        let _ = self.runtime().block_on(serving);
    }

    /// Listens again, at the same address.
    ///
    /// # Errors
    ///
    /// If the port cannot be opened again.
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
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), strange));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                *locked(&shared.connected) += 1;
                let _ = stream.set_nodelay(true);
                connections.spawn(connection(stream, router.clone(), Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, router: Router, shared: Arc<Shared>) {
    let half_open = || *locked(&shared.behaviour) == Behaviour::HalfOpen;
    if half_open() {
        return std::future::pending().await;
    }
    let service = TowerToHyperService::new(router);
    let server = auto::Builder::new(TokioExecutor::new());
    tokio::select! {
        _ = server.serve_connection(TokioIo::new(stream), service) => {}
        () = shared.hang_up.notified() => {}
    }
}

/// Answers that are no collector's.
async fn strange(State(shared): State<Arc<Shared>>, request: axum::extract::Request, next: Next) -> Response {
    let behaviour = *locked(&shared.behaviour);
    if !matches!(behaviour, Behaviour::Garbage | Behaviour::NoSuchPage) {
        return next.run(request).await;
    }
    *locked(&shared.asked) += 1;
    if behaviour == Behaviour::NoSuchPage {
        return (StatusCode::NOT_FOUND, "no such page").into_response();
    }
    ([(header::CONTENT_TYPE, "application/grpc")], "\0nothing that gRPC has a length for").into_response()
}

/// What comes of a request.
enum Answer {
    Taken { rejected: i64 },
    Later,
    Never,
    TooLarge,
}

impl Shared {
    async fn answer(&self, request: Request) -> Answer {
        *locked(&self.asked) += 1;
        let behaviour = *locked(&self.behaviour);
        match behaviour {
            Behaviour::Refuse => return Answer::Later,
            Behaviour::RefuseForGood => return Answer::Never,
            Behaviour::AtMost(spans) if request.len() > spans => return Answer::TooLarge,
            Behaviour::AtMostBytes(bytes) if request.bytes() > bytes => return Answer::TooLarge,
            Behaviour::HangUp => {
                self.hang_up.notify_waiters();
                std::future::pending::<()>().await;
            }
            _ => {}
        }
        (self.take)(request);
        match behaviour {
            Behaviour::Slow(time) => tokio::time::sleep(time).await,
            Behaviour::HalfOpen => std::future::pending().await,
            Behaviour::TakeAllBut(rejected) => return Answer::Taken { rejected },
            _ => {}
        }
        Answer::Taken { rejected: 0 }
    }
}

fn taken(rejected: i64) -> ExportTraceServiceResponse {
    let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: "not those".to_owned() };
    ExportTraceServiceResponse { partial_success: (rejected > 0).then_some(partial) }
}

/// The body of an answer over HTTP that has a partial success in it, even of none.
pub fn partial_success(rejected: i64, message: &str) -> Vec<u8> {
    let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: message.to_owned() };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
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
        match self.0.answer(request).await {
            Answer::Taken { rejected } => Ok(tonic::Response::new(taken(rejected))),
            Answer::Later => Err(tonic::Status::unavailable("not now")),
            Answer::Never => Err(tonic::Status::invalid_argument("never")),
            Answer::TooLarge => Err(tonic::Status::out_of_range("decoded message length too large")),
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
    Ok(match shared.answer(request).await {
        Answer::Taken { rejected } => {
            let body = Body::from(taken(rejected).encode_to_vec());
            ([(header::CONTENT_TYPE, "application/x-protobuf")], body).into_response()
        }
        Answer::Later => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Answer::Never => StatusCode::BAD_REQUEST.into_response(),
        Answer::TooLarge => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    })
}
