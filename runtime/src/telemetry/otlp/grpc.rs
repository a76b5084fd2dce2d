//! OTLP over gRPC.

use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::task::{self, Poll, ready};
use std::time::Duration;

use std::cell::RefCell;

use http_body::{Frame, SizeHint};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use tokio::time;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{Bytes, Service};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, ConnectError, Status};
use tonic_types::StatusExt as _;

use super::super::env::Otlp;
use super::super::error::InitError;
#[cfg(feature = "otlp-tls")]
use super::super::tls::Tls;
use super::{Answer, Failure, Tried, USER_AGENT, chain};

const STATUS: &str = "grpc-status";

pub(super) struct Grpc {
    endpoint: Endpoint,
    channel: RefCell<Channel>,
    metadata: MetadataMap,
    gzip: bool,
    timeout: Duration,
}

impl Grpc {
    pub(super) fn new(otlp: &Otlp, #[cfg(feature = "otlp-tls")] tls: Option<&Tls>) -> Result<Self, InitError> {
        let mut endpoint = Endpoint::from_shared(otlp.endpoint.clone())
            .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
            .map_err(|error| otlp.wrong(&chain(&error)))?;
        if let Some(timeout) = otlp.timeout {
            endpoint = endpoint.connect_timeout(timeout);
        }
        #[cfg(feature = "otlp-tls")]
        if let Some(tls) = tls {
            endpoint = tls.grpc(endpoint).map_err(|error| otlp.wrong(&chain(&error)))?;
        }
        Ok(Self {
            channel: RefCell::new(endpoint.connect_lazy()),
            endpoint,
            metadata: MetadataMap::from_headers(otlp.header_map()),
            gzip: otlp.gzip,
            timeout: otlp.timeout.unwrap_or(Duration::MAX),
        })
    }

    pub(super) async fn send(&self, request: ExportTraceServiceRequest) -> Answer<Tried> {
        let heard = Arc::<Heard>::default();
        let channel = Listening { channel: self.channel.borrow().clone(), heard: Arc::clone(&heard) };
        let mut client = TraceServiceClient::new(channel);
        if self.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip);
        }
        let request = tonic::Request::from_parts(self.metadata.clone(), tonic::Extensions::new(), request);
        // tonic's own limit ends where an answer begins.
        let status = match time::timeout(self.timeout, client.export(request)).await {
            Ok(Ok(response)) => return Ok(response.into_inner().partial_success),
            Ok(Err(status)) => status,
            Err(_) => {
                self.renew();
                return Err(Failure::later(format!("no answer within {} ms", self.timeout.as_millis())).into());
            }
        };
        let Some(broken) = status.source() else { return Err(classified(&status, &heard)) };
        self.renew();
        let mut strange = true;
        let mut source = Some(broken);
        while let Some(error) = source {
            strange &= !error.is::<ConnectError>();
            source = error.source();
        }
        Err(Tried { failure: Failure::later(chain(broken)), strange })
    }

    /// A connection that gave no answer may be dead without knowing it.
    fn renew(&self) {
        *self.channel.borrow_mut() = self.endpoint.connect_lazy();
    }
}

/// What the answer means, as the OTLP specification has it (section "Failures" of OTLP/gRPC).
pub(super) fn classified(status: &Status, heard: &Heard) -> Tried {
    let strange = !heard.status.load(Ordering::Relaxed);
    let mut why = format!("{:?}", status.code());
    if !status.message().is_empty() {
        why = format!("{why}: {}", status.message());
    }
    let http = heard.http.load(Ordering::Relaxed);
    if strange && http != 0 && http != 200 {
        why = format!("{why} (HTTP status {http})");
    }
    let delay = || status.get_details_retry_info().map(|info| info.retry_delay);
    let failure = match status.code() {
        // Not a word of the collector's: tonic says so of an answer whose length cannot be right.
        Code::OutOfRange if strange => Failure::Never("the answer is no valid gRPC".to_owned()),
        // Without a delay there is nothing to wait for, says the specification. It is also what most servers say of
        // a message that is too long, and of other things.
        Code::ResourceExhausted => match delay() {
            Some(asked) => Failure::Later { why, asked, smaller: false },
            None => Failure::Never(why),
        },
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => {
            let smaller = status.code() == Code::OutOfRange;
            Failure::Later { why, asked: delay().flatten(), smaller }
        }
        _ => Failure::Never(why),
    };
    Tried { failure, strange }
}

/// What came from the other side, and not from tonic, which has statuses of its own for answers that
/// cannot be read.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) http: AtomicU16,
    pub(super) status: AtomicBool,
}

impl Heard {
    fn look_for_status(&self, headers: &HeaderMap) {
        if headers.contains_key(STATUS) {
            self.status.store(true, Ordering::Relaxed);
        }
    }
}

#[derive(Clone)]
struct Listening {
    channel: Channel,
    heard: Arc<Heard>,
}

impl Service<Request<Body>> for Listening {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (answer, heard) = (self.channel.call(request), Arc::clone(&self.heard));
        Box::pin(async move {
            let response = answer.await?;
            heard.http.store(response.status().as_u16(), Ordering::Relaxed);
            heard.look_for_status(response.headers());
            Ok(response.map(|body| Body::new(ListeningBody { body, heard })))
        })
    }
}

struct ListeningBody {
    body: Body,
    heard: Arc<Heard>,
}

impl http_body::Body for ListeningBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(Some(trailers))) = frame.as_ref().map(|frame| frame.as_ref().map(Frame::trailers_ref)) {
            self.heard.look_for_status(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
