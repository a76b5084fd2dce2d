//! OTLP/gRPC.

mod connection;
mod observed;

use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error;
use std::iter::successors;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{self, Poll};
use std::time::Duration;

use http_body::Frame;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use tokio::time;
use tonic::body::Body;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::header::CONTENT_TYPE;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::http::{HeaderValue, Request, Response, StatusCode};
use tonic::codegen::{Bytes, Service};
use tonic::metadata::MetadataMap;
use tonic::transport::Endpoint;
use tonic::{Code, ConnectError, Status};
use tonic_types::{RetryInfo, pb};

use self::connection::Connection;
use self::observed::ObservedBody;
pub(super) use self::observed::{GRPC_STATUS, Observed};
use super::hints::{Doubt, doubt};
#[cfg(feature = "otlp-tls")]
use super::tls::Tls;
use super::{Attempt, AttemptError, Failure, Suspicion, TOO_LARGE, USER_AGENT, chain, connect_timeout};
use crate::telemetry::config::{ConfigError, OtlpConfig};

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// The maximum size of the headers and of the trailers of a response. With the default of 16 KiB, a longer status
/// message would be a stream error, after which the request would be sent again and again.
const MAX_HEADER_BYTES: u32 = 1 << 20;

/// The maximum keep-alive timeout, because an `Instant` cannot be arbitrarily late.
const MAX_KEEP_ALIVE: Duration = Duration::from_secs(3600);

const GRPC_ENCODING: &str = "grpc-encoding";

/// A codec that only decodes the response. The request is already encoded: [`ObservedChannel`] sends it instead of
/// tonic's body.
#[derive(Debug, Clone, Copy)]
struct Encoded;

impl Codec for Encoded {
    type Encode = ();
    type Decode = ExportTraceServiceResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Encoded {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        // The same status as from tonic's own codec.
        Self::Item::decode(message).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

pub(super) struct Grpc {
    endpoint: Endpoint,
    connection: RefCell<Connection>,
    metadata: MetadataMap,
    /// Whether the messages are compressed.
    gzip: bool,
    timeout: Duration,
}

impl Grpc {
    pub(super) fn new(
        config: &OtlpConfig,
        #[cfg(feature = "otlp-tls")] tls: Option<&Tls>,
    ) -> Result<Self, ConfigError> {
        let wrong = |error| config.endpoint_error(&chain(&error));
        let mut endpoint = Endpoint::from_shared(config.endpoint_without_user())
            .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
            .map_err(wrong)?;
        endpoint = endpoint.http2_max_header_list_size(MAX_HEADER_BYTES);
        if let Some(timeout) = config.timeout {
            // Otherwise, an abandoned connection would stay open for as long as the server does not read, because it
            // first flushes what it has buffered. A ping is sent after half of the timeout.
            let limit = timeout.min(MAX_KEEP_ALIVE);
            endpoint = endpoint
                .connect_timeout(connect_timeout(timeout))
                .http2_keep_alive_interval(limit / 2)
                .keep_alive_timeout(limit);
        }
        #[cfg(feature = "otlp-tls")]
        if let Some(tls) = tls {
            endpoint = tls.grpc(endpoint).map_err(wrong)?;
        }
        Ok(Self {
            connection: RefCell::new(Connection::lazy(&endpoint)),
            endpoint,
            metadata: MetadataMap::from_headers(config.headers.clone()),
            gzip: config.gzip,
            timeout: config.timeout.unwrap_or(Duration::MAX),
        })
    }

    pub(super) async fn send(&self, body: Bytes) -> Attempt<AttemptError> {
        let observed = Arc::<Observed>::default();
        let channel = ObservedChannel {
            connection: self.connection.borrow().clone(),
            observed: Arc::clone(&observed),
            message: body,
            gzip: self.gzip,
        };
        // Some servers compress without being asked.
        let mut client = tonic::client::Grpc::new(channel).accept_compressed(CompressionEncoding::Gzip);
        let request = tonic::Request::from_parts(self.metadata.clone(), tonic::Extensions::new(), ());
        let export = async {
            client.ready().await.map_err(|error| Status::unknown(format!("Service was not ready: {error}")))?;
            client.unary(request, PathAndQuery::from_static(EXPORT), Encoded).await
        };
        // tonic's own timeout does not cover the body of the response.
        let status = match time::timeout(self.timeout, export).await {
            Ok(Ok(response)) => return Ok(response.into_inner().partial_success),
            Ok(Err(status)) => status,
            Err(_) => {
                self.reconnect();
                return Err(Failure::timed_out(self.timeout).into());
            }
        };
        let Some(transport_error) = status.source() else { return Err(classify(&status, &observed)) };
        self.reconnect();
        let mut errors = successors(Some(transport_error), |&error| error.source());
        let is_connected = !errors.any(<dyn Error>::is::<ConnectError>);
        let doubt = doubt(transport_error, is_connected);
        Err(AttemptError { doubt, ..Failure::retryable(chain(transport_error)).into() })
    }

    /// Replaces the connection, because one that does not respond may be dead without having been closed.
    pub(super) fn reconnect(&self) {
        *self.connection.borrow_mut() = Connection::lazy(&self.endpoint);
    }
}

/// Interprets a status (OTLP/gRPC, section "Failures").
pub(super) fn classify(status: &Status, observed: &Observed) -> AttemptError {
    let is_unexpected = !observed.grpc_status.load(Ordering::Relaxed);
    let mut reason = format!("{:?}", status.code());
    if !status.message().is_empty() {
        reason = format!("{reason}: {}", status.message());
    }
    let http = observed.http_status.load(Ordering::Relaxed);
    if is_unexpected && http != 0 && http != 200 {
        reason = format!("{reason} (HTTP status {http})");
    }
    let failure = match status.code() {
        // The limit of a proxy in front of the collector.
        Code::Unknown if is_unexpected && http == 413 => Failure::TooLarge(reason),
        // tonic's own status, for a response with a length that is too large or invalid.
        Code::OutOfRange if is_unexpected => Failure::Permanent(format!("{TOO_LARGE}, or not valid gRPC")),
        // Not retryable without `RetryInfo`, according to the specification. Not a sign of a message that is too large
        // either: servers also return it for other reasons.
        Code::ResourceExhausted => match retry_info(status) {
            Some(info) => Failure::Retryable { reason, retry_after: info.retry_delay, suspicion: None },
            None => Failure::Permanent(reason),
        },
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => {
            let suspicion = (status.code() == Code::OutOfRange).then_some(Suspicion::Limit);
            let retry_after = retry_info(status).and_then(|info| info.retry_delay);
            Failure::Retryable { reason, retry_after, suspicion }
        }
        _ => Failure::Permanent(reason),
    };
    let is_cut_off = is_unexpected && http == 200 && observed.is_cut_off.load(Ordering::Relaxed);
    let doubt = match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => Some(Doubt::Credentials),
        _ => is_unexpected.then_some(Doubt::Protocol),
    };
    AttemptError { failure, doubt, is_cut_off }
}

/// The `RetryInfo` of a status. Not decoded by tonic-types, which overflows if the delay is the smallest possible one.
fn retry_info(status: &Status) -> Option<RetryInfo> {
    let details = pb::Status::decode(status.details()).ok()?.details;
    let mut infos = details.iter().filter(|detail| detail.type_url == RetryInfo::TYPE_URL);
    let info = infos.find_map(|info| pb::RetryInfo::decode(&*info.value).ok())?;
    // A negative delay counts as zero.
    let delay = |seconds, nanos| Some(Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?));
    Some(RetryInfo { retry_delay: info.retry_delay.map(|time| delay(time.seconds, time.nanos).unwrap_or_default()) })
}

#[derive(Clone)]
struct ObservedChannel {
    connection: Connection,
    observed: Arc<Observed>,
    /// The message, sent as it is. tonic's encoder would copy it, and compress it again for each attempt.
    message: Bytes,
    /// Whether the message is compressed.
    gzip: bool,
}

impl Service<Request<Body>> for ObservedChannel {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connection.channel.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut request = request.map(|_| Body::new(Framed::new(self.message.clone(), self.gzip)));
        if self.gzip {
            request.headers_mut().insert(GRPC_ENCODING, HeaderValue::from_static("gzip"));
        }
        let (response, observed) = (self.connection.channel.call(request), Arc::clone(&self.observed));
        Box::pin(async move {
            let mut response = response.await?;
            observed.http_status.store(response.status().as_u16(), Ordering::Relaxed);
            observed.look_for_status(response.headers_mut());
            let kind = response.headers().get(CONTENT_TYPE);
            let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
            // An error page of a proxy. tonic would report an invalid message instead of the HTTP status.
            if response.status() != StatusCode::OK && !is_grpc {
                return Ok(response.map(|_| Body::empty()));
            }
            Ok(response.map(|body| Body::new(ObservedBody { body, is_grpc, observed })))
        })
    }
}

/// One message (gRPC over HTTP/2, "Length-Prefixed-Message").
struct Framed {
    chunks: [Bytes; 2],
    sent: usize,
}

impl Framed {
    fn new(message: Bytes, is_compressed: bool) -> Self {
        let mut prefix = vec![u8::from(is_compressed); 5];
        prefix[1..].copy_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
        Self { chunks: [prefix.into(), message], sent: 0 }
    }
}

impl http_body::Body for Framed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let chunk = self.chunks.get(self.sent).cloned();
        self.sent += 1;
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent >= self.chunks.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// To a host that does not respond. The paused clock only advances when there is nothing to do.
    #[cfg(target_os = "linux")]
    #[tokio::test(start_paused = true)]
    async fn the_connect_timeout_is_half_of_the_timeout() {
        use super::super::http::tests::Gone;
        use crate::telemetry::config::{ExporterConfig, Protocol};

        let gone = Gone::at(([127, 0, 0, 1], 0)).await;
        let mut config = ExporterConfig::default();
        config.set_collector(format!("http://{}", gone.address), Protocol::Grpc).expect("a URL");
        let mut config = config.otlp().expect("a valid configuration").clone();
        config.timeout = Some(Duration::from_secs(6));
        let grpc = Grpc::new(
            &config,
            #[cfg(feature = "otlp-tls")]
            None,
        )
        .unwrap_or_else(|error| panic!("{error}"));
        let begun = time::Instant::now();
        assert!(grpc.send(Bytes::from_static(b"spans")).await.is_err());
        assert_eq!(begun.elapsed().as_secs(), 3);
    }
}
