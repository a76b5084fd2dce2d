//! Sending to a collector, for as long as it takes.
//!
//! The exporter of `opentelemetry-otlp` does not do here: it gives a batch up when a connection
//! breaks in the middle of a request, sends one that is too large for the collector again and
//! again, and does not tell how much of a batch was refused.

use std::error::Error;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use tokio::sync::Notify;
use tokio::time;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::env::{Otlp, Protocol, without_password};
use super::error::InitError;
use super::sender::{Sender, Sent};
#[cfg(feature = "otlp-tls")]
use super::tls::{self, Tls};

const USER_AGENT: &str = concat!("throughline/", env!("CARGO_PKG_VERSION"), " (rust)");

/// The first wait between two tries; each is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest, so that little time is lost when the collector is back.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The longest that a collector may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(30);

/// So much of an answer over HTTP is read; that of gRPC is bounded by tonic.
const LONGEST_ANSWER: usize = 1 << 16;

/// One collector.
pub(super) struct Exporter {
    endpoint: String,
    transport: Transport,
    resource: ResourceAttributesWithSchema,
    /// Why the last try has failed.
    trouble: Mutex<String>,
    /// Ends the wait between two tries.
    hurry: Notify,
}

enum Transport {
    Grpc { endpoint: Box<Endpoint>, channel: Mutex<Channel>, metadata: MetadataMap, gzip: bool },
    Http { client: reqwest::Client, headers: HeaderMap, gzip: bool },
}

/// What came of one try.
enum Failure {
    /// It may go better later; the collector may have said when.
    Later(String, Option<Duration>),
    /// Fewer spans may do.
    TooLarge(String),
    /// It would be the same again.
    Never(String),
}

/// Must be called in the runtime that the exporter is to live in.
pub(super) fn exporter(otlp: &Otlp, resource: &Resource) -> Result<Exporter, InitError> {
    let wrong = |why: String| InitError::exporter(&without_password(&otlp.endpoint), why);
    let is_secure = otlp.endpoint.starts_with("https://");
    // It would be tried in vain for ever, or be sent in clear text.
    #[cfg(not(feature = "otlp-tls"))]
    if is_secure {
        return Err(wrong("encrypted connections need the feature `otlp-tls` of `throughline`".to_owned()));
    }
    #[cfg(feature = "otlp-tls")]
    let tls = if is_secure { Some(Tls::read(&otlp.files)?) } else { None };
    if !is_secure && !otlp.endpoint.starts_with("http://") {
        return Err(wrong("expected an address such as `http://localhost:4317`".to_owned()));
    }
    let headers: HeaderMap = otlp
        .headers
        .iter()
        // Both were looked at when they were read.
        .filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?)))
        .collect();
    let transport = match otlp.protocol {
        Protocol::Grpc => {
            let mut endpoint = Endpoint::from_shared(otlp.endpoint.clone())
                .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
                .map_err(|error| wrong(chain(&error)))?;
            if let Some(timeout) = otlp.timeout {
                endpoint = endpoint.timeout(timeout).connect_timeout(timeout);
            }
            #[cfg(feature = "otlp-tls")]
            if let Some(tls) = &tls {
                endpoint = tls.grpc(endpoint).map_err(|error| wrong(chain(&error)))?;
            }
            let channel = Mutex::new(endpoint.connect_lazy());
            Transport::Grpc {
                endpoint: Box::new(endpoint),
                channel,
                metadata: MetadataMap::from_headers(headers),
                gzip: otlp.gzip,
            }
        }
        Protocol::HttpProtobuf => {
            otlp.endpoint.parse::<reqwest::Url>().map_err(|error| wrong(error.to_string()))?;
            // Most redirections turn a POST into a GET, whose answer would tell nothing of the spans; and
            // headers with secrets are for the collector that was named.
            let mut client = reqwest::Client::builder().user_agent(USER_AGENT).redirect(Policy::none());
            if let Some(timeout) = otlp.timeout {
                client = client.timeout(timeout);
            }
            #[cfg(feature = "otlp-tls")]
            {
                client = match &tls {
                    Some(tls) => tls.http(client).map_err(|error| wrong(chain(&error)))?,
                    None => tls::none(client),
                };
            }
            let client = client.build().map_err(|error| wrong(chain(&error)))?;
            Transport::Http { client, headers, gzip: otlp.gzip }
        }
    };
    Ok(Exporter {
        endpoint: otlp.endpoint.clone(),
        transport,
        resource: resource.into(),
        trouble: Mutex::default(),
        hurry: Notify::new(),
    })
}

impl Sender for Exporter {
    async fn send(&self, batch: Vec<SpanData>) -> Sent {
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let mut sent = Sent::default();
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clear();
        // The youngest last, so that they leave in their order.
        let mut parts = vec![ExportTraceServiceRequest { resource_spans }];
        while let Some(part) = parts.pop() {
            let count = count(&part);
            match self.insist(&part).await {
                Ok(None) => sent.taken += count,
                Ok(Some(partial)) => {
                    let refused = u64::try_from(partial.rejected_spans).unwrap_or_default().min(count);
                    sent.taken += count - refused;
                    // Some collectors say that they have refused none.
                    if refused > 0 {
                        sent.refused += refused;
                        sent.why = bounded(&partial.error_message);
                    }
                }
                Err(Failure::TooLarge(_)) if count > 1 => {
                    let half = usize::try_from(count / 2).unwrap_or(usize::MAX);
                    parts.push(some_of(&part, |at| at >= half));
                    parts.push(some_of(&part, |at| at < half));
                }
                Err(Failure::Later(why, _) | Failure::TooLarge(why) | Failure::Never(why)) => {
                    sent.refused += count;
                    sent.why = why;
                }
            }
        }
        sent
    }

    fn hurry(&self) {
        // Also if it is about to wait: what counts is that it does not.
        self.hurry.notify_one();
    }

    fn trouble(&self) -> String {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Exporter {
    /// Tries until there is an answer that would stay the same.
    async fn insist(&self, request: &ExportTraceServiceRequest) -> Result<Option<ExportTracePartialSuccess>, Failure> {
        let mut wait = FIRST_WAIT;
        loop {
            let result = match &self.transport {
                Transport::Grpc { endpoint, channel, metadata, gzip } => {
                    grpc(endpoint, channel, metadata, *gzip, request.clone()).await
                }
                Transport::Http { client, headers, gzip } => {
                    http(client.post(&self.endpoint).headers(headers.clone()), *gzip, request).await
                }
            };
            let Err(Failure::Later(why, asked)) = result else { return result };
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
            let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
            let called = time::timeout(wait.max(asked) + jitter(), self.hurry.notified()).await;
            wait = if called.is_ok() { FIRST_WAIT } else { (wait * 2).min(LONGEST_WAIT) };
        }
    }
}

async fn grpc(
    endpoint: &Endpoint,
    channel: &Mutex<Channel>,
    metadata: &MetadataMap,
    gzip: bool,
    request: ExportTraceServiceRequest,
) -> Result<Option<ExportTracePartialSuccess>, Failure> {
    let mut client = TraceServiceClient::new(channel.lock().unwrap_or_else(PoisonError::into_inner).clone());
    if gzip {
        client = client.send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip);
    }
    let request = tonic::Request::from_parts(metadata.clone(), tonic::Extensions::new(), request);
    match client.export(request).await {
        Ok(response) => Ok(response.into_inner().partial_success),
        Err(status) => {
            if let Some(broken) = status.source() {
                // A connection that gave no answer may be dead without knowing it.
                *channel.lock().unwrap_or_else(PoisonError::into_inner) = endpoint.connect_lazy();
                return Err(Failure::Later(chain(broken), None));
            }
            Err(classified(&status))
        }
    }
}

/// What the collector's answer means, as the OTLP specification has it.
fn classified(status: &Status) -> Failure {
    // Not its message, which may repeat what is secret in the request.
    let why = format!("{:?}", status.code());
    let delay = || status.get_details_retry_info().map(|info| info.retry_delay);
    match status.code() {
        Code::Cancelled | Code::DeadlineExceeded | Code::Aborted | Code::Unavailable | Code::DataLoss => {
            Failure::Later(why, delay().flatten())
        }
        // With these the servers of tonic, Go, Java and .NET say that a message is too long for them.
        Code::OutOfRange => Failure::TooLarge(why),
        Code::ResourceExhausted => match delay() {
            Some(delay) => Failure::Later(why, delay),
            None if ["larger than", "exceeds maximum", "exceeds the maximum", "too large"]
                .iter()
                .any(|is| status.message().contains(is)) =>
            {
                Failure::TooLarge(why)
            }
            None => Failure::Never(why),
        },
        _ => Failure::Never(why),
    }
}

async fn http(
    mut post: reqwest::RequestBuilder,
    gzip: bool,
    request: &ExportTraceServiceRequest,
) -> Result<Option<ExportTracePartialSuccess>, Failure> {
    let mut body = request.encode_to_vec();
    if gzip {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        let compressed = encoder.write_all(&body).and_then(|()| encoder.finish());
        body = compressed.map_err(|error| Failure::Never(error.to_string()))?;
        post = post.header(CONTENT_ENCODING, "gzip");
    }
    let response = post.header(CONTENT_TYPE, "application/x-protobuf").body(body).send().await;
    // The address is in the warning already, and may have a password in it.
    let response = response.map_err(|error| Failure::Later(chain(&error.without_url()), None))?;
    let status = response.status();
    let why = || format!("status {status}");
    match status.as_u16() {
        200..=299 => {
            // An answer that cannot be read is an answer.
            let body = bounded_body(response).await.unwrap_or_default();
            Ok(ExportTraceServiceResponse::decode(&*body).ok().and_then(|response| response.partial_success))
        }
        429 | 502 | 503 | 504 => {
            let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok());
            Err(Failure::Later(why(), after.and_then(|after| waited(after.trim(), SystemTime::now()))))
        }
        413 => Err(Failure::TooLarge(why())),
        _ => Err(Failure::Never(why())),
    }
}

/// How long to wait by `Retry-After`, which is seconds or a date (RFC 9110, section 10.2.3).
fn waited(after: &str, now: SystemTime) -> Option<Duration> {
    match after.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        // A date that has passed is no wait.
        Err(_) => Some(httpdate::parse_http_date(after).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// What an answer says, unless it is longer than any collector's.
async fn bounded_body(mut response: reqwest::Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

fn count(request: &ExportTraceServiceRequest) -> u64 {
    request.resource_spans.iter().flat_map(|spans| &spans.scope_spans).map(|scope| scope.spans.len() as u64).sum()
}

/// The spans at some places.
fn some_of(request: &ExportTraceServiceRequest, keep: impl Fn(usize) -> bool) -> ExportTraceServiceRequest {
    let mut request = request.clone();
    let mut at = 0;
    for scope in request.resource_spans.iter_mut().flat_map(|spans| &mut spans.scope_spans) {
        scope.spans.retain(|_| {
            at += 1;
            keep(at - 1)
        });
    }
    request
}

/// So that many processes do not come back at once.
fn jitter() -> Duration {
    Duration::from_millis(RandomState::new().build_hasher().finish() % 100)
}

/// An error and what it comes from.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    bounded(&text)
}

/// What comes from elsewhere must not fill the log.
fn bounded(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
