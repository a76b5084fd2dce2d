//! OTLP/HTTP with binary protobuf payloads.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message as _;
use reqwest::ClientBuilder;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use tokio::time;
use tonic::codegen::Bytes;

use super::grpc::GRPC_STATUS;
use super::gzip;
use super::hints::{Doubt, doubt};
#[cfg(feature = "otlp-tls")]
use super::tls::{self, Tls};
use super::{Attempt, AttemptError, Failure, TOO_LARGE, USER_AGENT, chain, connect_timeout};
use crate::guard::panics::caught;
use crate::telemetry::config::{ConfigError, OtlpConfig};
use crate::telemetry::diagnostics::{self, Warning};

const PROTOBUF: &str = "application/x-protobuf";

/// The maximum size of a response ("OTLP/HTTP Response"), the same as tonic's for gRPC.
const MAX_RESPONSE_BYTES: usize = 4 << 20;

/// The timeout for the body of a response. The status, which is decisive, is already known.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// The maximum of `TCP_USER_TIMEOUT`: the system rejects much larger values, which would be logged for each connection.
#[cfg(any(target_os = "android", target_os = "linux"))]
const MAX_USER_TIMEOUT: Duration = Duration::from_secs(3600);

/// The expectation in the error if reqwest panics. Even for a URL without TLS, it does so if its feature
/// `rustls-no-provider` is enabled without a feature that adds a provider, and the process has installed none.
const NO_PROVIDER: &str = "an HTTP client that can be built, but reqwest panicked; if a dependency enables its feature \
     `rustls-no-provider`, enable the feature `otlp-tls`, install a `CryptoProvider` of rustls first, or export over gRPC";

pub(super) struct Http {
    client: reqwest::Client,
    endpoint: String,
    /// The name of the collector in messages.
    label: String,
    headers: HeaderMap,
    /// Whether the bodies are compressed.
    gzip: bool,
    timeout: Duration,
    /// Whether a warning was logged that the server does not appear to be a collector.
    has_warned: Cell<bool>,
}

impl Http {
    pub(super) fn new(
        config: &OtlpConfig,
        #[cfg(feature = "otlp-tls")] tls: Option<&Tls>,
    ) -> Result<Self, ConfigError> {
        let client = client(config);
        #[cfg(feature = "otlp-tls")]
        let client = match tls {
            Some(tls) => tls.http(client).map_err(|error| config.endpoint_error(&chain(&error)))?,
            None => tls::disabled(client),
        };
        Self::over(client, config)
    }

    fn over(client: ClientBuilder, config: &OtlpConfig) -> Result<Self, ConfigError> {
        let client = built(|| client.build()).map_err(|reason| config.endpoint_error(&reason))?;
        Ok(Self {
            client,
            endpoint: config.endpoint.value.clone(),
            label: config.label(),
            headers: config.headers.clone(),
            gzip: config.gzip,
            timeout: config.timeout.unwrap_or(Duration::MAX),
            has_warned: Cell::default(),
        })
    }

    /// Returns the `Authorization` header for the user and the password of the endpoint.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let mut request = self.client.post(&self.endpoint).build().ok()?;
        request.headers_mut().remove(AUTHORIZATION)
    }

    pub(super) async fn send(&self, body: Bytes) -> Attempt<AttemptError> {
        let mut post = self.client.post(&self.endpoint).headers(self.headers.clone());
        if self.gzip {
            post = post.header(CONTENT_ENCODING, "gzip");
        }
        let response = match post.header(CONTENT_TYPE, PROTOBUF).body(body).send().await {
            Ok(response) => response,
            Err(error) => {
                if error.is_timeout() && !error.is_connect() {
                    return Err(Failure::timed_out(self.timeout).into());
                }
                let doubt = if error.is_timeout() { None } else { doubt(&error, !error.is_connect()) };
                // Without the URL, which is already in the warning and may contain a password.
                return Err(AttemptError { doubt, ..Failure::retryable(chain(&error.without_url())).into() });
            }
        };
        let status = response.status();
        let reason = format!("status {status}");
        if let Some(grpc_status) = grpc_error(&response) {
            let failure = Failure::Permanent(format!("{reason}, but gRPC status {grpc_status}"));
            return Err(AttemptError { doubt: Some(Doubt::Path), ..failure.into() });
        }
        match status.as_u16() {
            200..=299 => {
                if content_type(&response).starts_with("text/html") && !self.has_warned.replace(true) {
                    let _ = caught(|| self.warn_of_html());
                }
                match bounded_body(response).await {
                    // By the status, the spans were accepted, even if the body is not a valid response.
                    Body::Some(body) => Ok(partial_success(&body)),
                    Body::CutOff => Ok(None),
                    // "The client MUST treat the response as a non-retryable error".
                    Body::TooLarge => Err(Failure::Permanent(format!("{reason}, but {TOO_LARGE}")).into()),
                }
            }
            429 | 502 | 503 | 504 => {
                let value = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                let retry_after = value.and_then(|value| retry_after(value.trim(), SystemTime::now()));
                Err(Failure::Retryable { reason, retry_after, suspicion: None }.into())
            }
            413 => Err(Failure::TooLarge(reason).into()),
            status => {
                let message = error_message(response).await;
                let reason = if message.is_empty() { reason } else { format!("{reason}: {message}") };
                let doubt = match status {
                    401 | 403 => Some(Doubt::Credentials),
                    404 | 405 => Some(Doubt::Path),
                    // The server expects another version of HTTP or another format.
                    415 | 426 | 505 => Some(Doubt::Protocol),
                    _ => None,
                };
                Err(AttemptError { doubt, ..Failure::Permanent(reason).into() })
            }
        }
    }
}

impl Http {
    /// Warns about a response that may come from a proxy or a login page, which return 200 but discard the spans.
    fn warn_of_html(&self) {
        let text = format!(
            "{} accepts spans but responds with an HTML page (`text/html`), which no collector does; check the endpoint",
            self.label,
        );
        diagnostics::warn(Warning::NotACollector, text);
    }
}

/// A client without TLS.
fn client(config: &OtlpConfig) -> ClientBuilder {
    // No redirects: most of them turn a POST into a GET, whose response is meaningless here, and headers with secrets
    // are meant only for the configured collector.
    let mut client = reqwest::Client::builder().user_agent(USER_AGENT).redirect(Policy::none());
    // Not HTTP/2, even if the application enables it in reqwest: after a request has timed out, retries would use the
    // same connection, which may be dead.
    client = client.http1_only();
    if let Some(timeout) = config.timeout {
        client = client.timeout(timeout).connect_timeout(connect_timeout(timeout));
        // Otherwise, an abandoned TLS connection would stay open for as long as the server does not read, because it
        // first flushes what it has buffered.
        #[cfg(any(target_os = "android", target_os = "linux"))]
        {
            client = client.tcp_user_timeout(timeout.min(MAX_USER_TIMEOUT));
        }
    }
    client
}

/// Returns the backoff requested by `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        // A number that overflows.
        Err(_) if !value.is_empty() && value.bytes().all(|digit| digit.is_ascii_digit()) => Some(Duration::MAX),
        // A date in the past requests no delay.
        Err(_) => Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// Builds the client. A panic of reqwest becomes an error.
pub(super) fn built(build: impl FnOnce() -> reqwest::Result<reqwest::Client>) -> Result<reqwest::Client, String> {
    match caught(build) {
        Some(result) => result.map_err(|error| chain(&error)),
        None => Err(NO_PROVIDER.to_owned()),
    }
}

/// The status of a gRPC server that does not know the path, whose HTTP status indicates success.
fn grpc_error(response: &reqwest::Response) -> Option<u32> {
    let status = response.headers().get(GRPC_STATUS).filter(|_| response.status().is_success())?;
    status.to_str().ok()?.parse().ok().filter(|status| *status != 0)
}

/// The body of a response.
enum Body {
    Some(Vec<u8>),
    /// The body has not ended in time, or the connection has failed.
    CutOff,
    TooLarge,
}

/// Reads the body of a response, within the limits of size and time.
async fn bounded_body(mut response: reqwest::Response) -> Body {
    if response.content_length().is_some_and(|length| length > MAX_RESPONSE_BYTES as u64) {
        return Body::TooLarge;
    }
    // The request accepts no encoding, but a proxy may compress the response nevertheless.
    let is_compressed = response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
    let body = async {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > MAX_RESPONSE_BYTES => return Body::TooLarge,
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) if is_compressed => return decompressed(&body),
                Ok(None) => return Body::Some(body),
                Err(_) => return Body::CutOff,
            }
        }
    };
    time::timeout(BODY_TIMEOUT, body).await.unwrap_or(Body::CutOff)
}

fn decompressed(body: &[u8]) -> Body {
    match gzip::decompressed(body, MAX_RESPONSE_BYTES + 1) {
        Ok(body) if body.len() > MAX_RESPONSE_BYTES => Body::TooLarge,
        Ok(body) => Body::Some(body),
        Err(_) => Body::CutOff,
    }
}

fn partial_success(body: &[u8]) -> Option<ExportTracePartialSuccess> {
    ExportTraceServiceResponse::decode(body).ok()?.partial_success
}

/// The media type of a response, in lowercase, with its parameters.
fn content_type(response: &reqwest::Response) -> String {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.map(str::to_ascii_lowercase).unwrap_or_default()
}

/// Returns why the collector refused the request, from a `Status` (OTLP/HTTP, section "Failures") or from text. HTTPS
/// servers in Go respond to HTTP with text without a content type.
async fn error_message(response: reqwest::Response) -> String {
    let kind = content_type(&response);
    let is_protobuf = kind.starts_with(PROTOBUF);
    let is_text = kind.is_empty() || kind.starts_with("text/plain") || kind.contains("json");
    if !is_protobuf && !is_text {
        return String::new();
    }
    let Body::Some(body) = bounded_body(response).await else { return String::new() };
    if is_protobuf {
        return tonic_types::pb::Status::decode(&*body).map(|status| status.message).unwrap_or_default();
    }
    String::from_utf8_lossy(&body).trim().to_owned()
}

// Elsewhere, the loopback interface has only one address, and a full backlog may reset connections.
#[cfg(all(test, target_os = "linux"))]
pub(super) mod tests {
    use std::future::pending;
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpSocket, TcpStream};

    use super::*;
    use crate::telemetry::config::{ExporterConfig, Protocol};

    /// The address of a host that is gone: a listener with a full backlog does not respond either.
    pub(in super::super) struct Gone {
        pub(in super::super) address: SocketAddr,
        _listener: TcpListener,
        _waiting: TcpStream,
    }

    impl Gone {
        pub(in super::super) async fn at(address: impl Into<SocketAddr>) -> Self {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.bind(address.into()).expect("the port is free");
            let listener = socket.listen(0).expect("a bound socket");
            let address = listener.local_addr().expect("a bound socket");
            let waiting = TcpStream::connect(address).await.expect("the backlog has room for one");
            Self { address, _listener: listener, _waiting: waiting }
        }
    }

    /// An exporter to a host name with these addresses, with a request timeout of six seconds.
    fn to(addresses: &[SocketAddr]) -> Http {
        let mut config = ExporterConfig::default();
        let endpoint = format!("http://collector.test:{}/v1/traces", addresses[0].port());
        config.set_collector(endpoint, Protocol::HttpProtobuf).expect("a URL");
        let mut config = config.otlp().expect("a valid configuration").clone();
        config.timeout = Some(Duration::from_secs(6));
        let client = client(&config).no_proxy().resolve_to_addrs("collector.test", addresses);
        Http::over(client, &config).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The paused clock only advances when there is nothing to do.
    #[tokio::test(start_paused = true)]
    async fn the_connect_timeout_is_half_of_the_timeout_for_all_addresses() {
        let first = Gone::at(([127, 0, 0, 1], 0)).await;
        let second = Gone::at(([127, 0, 0, 2], first.address.port())).await;
        for addresses in [&[first.address][..], &[first.address, second.address]] {
            let begun = time::Instant::now();
            assert!(to(addresses).send(Bytes::from_static(b"spans")).await.is_err());
            assert_eq!(begun.elapsed().as_secs(), 3, "{addresses:?}");
        }
    }

    #[tokio::test]
    async fn the_next_address_of_a_name_is_tried() {
        let gone = Gone::at(([127, 0, 0, 1], 0)).await;
        let port = gone.address.port();
        let listener = TcpListener::bind(("127.0.0.2", port)).await.expect("the port is also free there");
        let http = to(&[gone.address, listener.local_addr().expect("a bound socket")]);
        let serve = async {
            let (mut stream, _) = listener.accept().await.expect("an attempt");
            let _ = stream.read(&mut [0; 1 << 10]).await.expect("a request");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("the client reads");
            pending::<()>().await;
        };
        tokio::select! {
            result = http.send(Bytes::from_static(b"spans")) => {
                assert!(result.is_ok(), "{:?}", result.err().map(|error| error.failure));
            }
            () = serve => {}
        }
    }
}
