//! OTLP, with retries for as long as the process runs.
//!
//! The exporter of `opentelemetry-otlp` is not sufficient: it gives up on a batch when the connection breaks during a
//! request, resends one that is too large for the collector again and again, and does not report how much of a batch
//! was refused.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
use opentelemetry_sdk::Resource;
use tokio::sync::Notify;
use tokio::time;
use tonic::codegen::Bytes;

use self::grpc::Grpc;
use self::hedge::{Hedge, Hedged};
use self::hints::{Doubt, Hints};
use self::http::Http;
use self::request::{Envelope, Request, SizeLimit};
use self::secrets::Secrets;
#[cfg(feature = "otlp-tls")]
use self::tls::Tls;
use super::exporter::{Batch, BatchExporter, Outcome};
use crate::telemetry::config::{ConfigError, OtlpConfig, Protocol};
use crate::telemetry::text::{bounded, chain};

mod grpc;
mod gzip;
mod hedge;
mod hints;
mod http;
mod request;
mod secrets;
#[cfg(feature = "otlp-tls")]
mod tls;

const USER_AGENT: &str = concat!("throughline/", env!("CARGO_PKG_VERSION"), " (rust)");

/// The reason of a failure if a response exceeds the limit that the specification recommends.
const TOO_LARGE: &str = "the response is larger than 4 MiB";

/// The reason of a failure if a request has timed out.
fn no_response(timeout: Duration) -> String {
    format!("no response within {} ms (`OTEL_EXPORTER_OTLP_TIMEOUT`)", timeout.as_millis())
}

/// The connect timeout: half of the timeout of a request. It is divided among the addresses of the collector's name, so
/// that one that does not respond does not use up the timeout before the next one is tried.
fn connect_timeout(timeout: Duration) -> Duration {
    timeout / 2
}

/// The first backoff before a retry; each is twice as long as the one before.
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);

/// The maximum backoff. Short, so that export resumes soon after the collector is back.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// The maximum backoff between a request that was too large and a smaller one.
const MAX_SPLIT_BACKOFF: Duration = Duration::from_millis(500);

/// The maximum backoff that a collector may request.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// After this number of consecutive single spans that were too large, all spans of the batch that are not much smaller
/// are refused as well.
const MAX_SINGLE_SPANS: usize = 8;

/// After this number of consecutive attempts that suggest that a request is too large, it is split.
const MAX_SUSPICIONS: u32 = 3;

/// Exports to one collector.
pub(crate) struct OtlpExporter {
    transport: Transport,
    envelope: Envelope,
    gzip: bool,
    secrets: Secrets,
    hints: Hints,
    last_error: RefCell<Option<String>>,
    size_limit: Cell<SizeLimit>,
    /// Whether the server has accepted spans, which shows that it is a collector.
    is_collector: Cell<bool>,
    /// Cuts the backoff short.
    retry_now: Notify,
    hedge: Hedge,
}

enum Transport {
    Grpc(Box<Grpc>),
    Http(Http),
}

impl Transport {
    async fn send(&self, body: Bytes) -> Attempt<AttemptError> {
        match self {
            Self::Grpc(grpc) => grpc.send(body).await,
            Self::Http(http) => http.send(body).await,
        }
    }

    /// Makes the next request use a new connection, even if another request is in flight.
    fn reconnect(&self) {
        match self {
            Self::Grpc(grpc) => grpc.reconnect(),
            // A connection of HTTP/1.1 only has a single request in flight.
            Self::Http(_) => {}
        }
    }
}

/// Why an attempt has failed.
#[derive(Debug)]
enum Failure {
    /// A retry may succeed, possibly after a delay that the collector has requested.
    Retryable { reason: String, retry_after: Option<Duration>, suspicion: Option<Suspicion> },
    /// A request with fewer spans may succeed.
    TooLarge(String),
    /// A retry would fail again.
    Permanent(String),
}

/// Why a request with fewer spans may succeed.
#[derive(Debug, Clone, Copy)]
enum Suspicion {
    /// The request may exceed a limit of the server.
    Limit,
    /// Sending and storing it may take longer than the timeout.
    Time,
}

impl Failure {
    fn retryable(reason: String) -> Self {
        Self::Retryable { reason, retry_after: None, suspicion: None }
    }

    fn timed_out(timeout: Duration) -> Self {
        Self::Retryable { reason: no_response(timeout), retry_after: None, suspicion: Some(Suspicion::Time) }
    }

    fn reason_mut(&mut self) -> &mut String {
        match self {
            Self::Retryable { reason, .. } | Self::TooLarge(reason) | Self::Permanent(reason) => reason,
        }
    }

    fn into_reason(self) -> String {
        match self {
            Self::Retryable { reason, .. } | Self::TooLarge(reason) | Self::Permanent(reason) => reason,
        }
    }
}

/// A failed attempt, and what may be wrong with the configuration.
struct AttemptError {
    failure: Failure,
    doubt: Option<Doubt>,
    /// Whether the response has ended without a status.
    is_cut_off: bool,
}

impl From<Failure> for AttemptError {
    fn from(failure: Failure) -> Self {
        Self { failure, doubt: None, is_cut_off: false }
    }
}

type Attempt<E> = Result<Option<ExportTracePartialSuccess>, E>;

impl OtlpExporter {
    /// Creates an exporter. Must be called within the runtime on which it will run.
    pub(crate) fn new(config: &OtlpConfig, resource: &Resource) -> Result<Self, ConfigError> {
        // Otherwise, requests would be retried forever, or sent unencrypted.
        #[cfg(not(feature = "otlp-tls"))]
        if config.is_https() {
            let expected = "an `http://` URL; `https://` requires the feature `otlp-tls` of `throughline`";
            return Err(config.endpoint_error(expected));
        }
        #[cfg(feature = "otlp-tls")]
        let identity = config.tls.client_identity()?;
        #[cfg(feature = "otlp-tls")]
        let tls = config.is_https().then(|| Tls::read(&config.tls, identity)).transpose()?;
        let transport = match config.protocol.value {
            Protocol::Grpc => Transport::Grpc(Box::new(Grpc::new(
                config,
                #[cfg(feature = "otlp-tls")]
                tls.as_ref(),
            )?)),
            Protocol::HttpProtobuf => Transport::Http(Http::new(
                config,
                #[cfg(feature = "otlp-tls")]
                tls.as_ref(),
            )?),
        };
        let authorization = match &transport {
            Transport::Grpc(_) => None,
            Transport::Http(http) => http.authorization(),
        };
        Ok(Self {
            transport,
            envelope: Envelope::new(resource),
            gzip: config.gzip,
            secrets: Secrets::of(config, authorization.as_ref()),
            hints: Hints::new(config),
            last_error: RefCell::default(),
            size_limit: Cell::default(),
            is_collector: Cell::default(),
            retry_now: Notify::new(),
            hedge: Hedge::default(),
        })
    }
}

impl BatchExporter for OtlpExporter {
    async fn export(&self, batch: Batch<'_>, report: &dyn Fn(Outcome)) {
        self.last_error.take();
        let Batch { spans, scopes, max_spans } = batch;
        let mut requests = VecDeque::from([Request::new(&self.envelope, spans, scopes)]);
        let mut backoff = INITIAL_BACKOFF;
        // The sizes of consecutive single spans that were too large.
        let mut too_large = Vec::new();
        while let Some(request) = requests.pop_front() {
            let limit = self.size_limit.get().bytes;
            if request.spans > 1 && (request.bytes > limit || request.spans > max_spans) {
                for part in request.split(&self.envelope, limit, max_spans).into_iter().rev() {
                    requests.push_front(part);
                }
                continue;
            }
            if request.must_not_be_sent() {
                report(Outcome::refused(request.spans as u64, "the span is larger than 64 MiB".to_owned()));
                continue;
            }
            match self.send_with_retries(&request).await {
                Ok(partial) => {
                    self.is_collector.set(true);
                    self.last_error.take();
                    self.hedge.disarm();
                    self.size_limit.set(self.size_limit.get().after_success(request.bytes));
                    backoff = INITIAL_BACKOFF;
                    too_large.clear();
                    report(self.partial_success(request.spans as u64, &partial.unwrap_or_default()));
                }
                Err(Failure::TooLarge(reason)) if request.spans > 1 => {
                    self.size_limit.set(SizeLimit::below(request.bytes));
                    requests.push_front(request);
                    self.set_last_error(reason);
                    self.back_off(&mut backoff).await;
                }
                Err(Failure::TooLarge(reason)) => {
                    too_large.push(request.bytes);
                    let mut refused = 1;
                    if too_large.len() == MAX_SINGLE_SPANS {
                        refused += self.refuse_similar(&mut requests, too_large.drain(..).min().unwrap_or_default());
                    }
                    report(Outcome::refused(refused, reason));
                    if !requests.is_empty() {
                        self.back_off(&mut backoff).await;
                    }
                }
                Err(failure) => report(Outcome::refused(request.spans as u64, failure.into_reason())),
            }
        }
    }

    fn shutdown_begins(&self, left: Duration) {
        // If there is no backoff now, the notification is stored, and the next one is skipped.
        self.retry_now.notify_one();
        self.hedge.arm(left);
    }

    fn last_error(&self) -> Option<String> {
        self.last_error.borrow().clone()
    }
}

impl OtlpExporter {
    /// Sends a request until it succeeds or fails permanently.
    async fn send_with_retries(&self, request: &Request) -> Attempt<Failure> {
        let mut backoff = INITIAL_BACKOFF;
        let mut suspicions = 0;
        // Encoded and compressed once for all attempts.
        let mut body = request.body(&self.envelope);
        if self.gzip {
            body = gzip::compressed(&body)?;
        }
        let mut hedged = Hedged::none();
        loop {
            let Some(result) = hedged.attempt(self.transport.send(body.clone()), &self.hedge).await else {
                self.transport.reconnect();
                continue;
            };
            let AttemptError { mut failure, doubt, is_cut_off } = match result {
                Ok(partial) => return Ok(partial),
                Err(error) => error,
            };
            // The status is not from the collector, so a retry is safe, but only from a known collector: a server that
            // never sends a status might store the spans each time.
            if is_cut_off && self.is_collector.get() {
                failure = Failure::retryable(failure.into_reason());
            }
            let reason = failure.reason_mut();
            *reason = self.loggable(reason);
            if let Some(doubt) = doubt.filter(|doubt| doubt.is_of_a_collector() || !self.is_collector.get()) {
                reason.push_str(self.hints.of(doubt));
            }
            if !self.is_collector.get() {
                reason.push_str(self.hints.proxy());
            }
            let Failure::Retryable { reason, retry_after, suspicion } = failure else { return Err(failure) };
            suspicions = if suspicion.is_some() { suspicions + 1 } else { 0 };
            let may_be_too_large = match suspicion {
                Some(Suspicion::Limit) => request.can_be_too_large(),
                Some(Suspicion::Time) => request.can_take_too_long(),
                None => false,
            };
            if may_be_too_large && suspicions >= MAX_SUSPICIONS {
                return Err(Failure::TooLarge(reason));
            }
            self.set_last_error(reason);
            let is_interrupted = self.wait(backoff.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER))).await;
            backoff = if is_interrupted { INITIAL_BACKOFF } else { (backoff * 2).min(MAX_BACKOFF) };
        }
    }

    /// The outcome of a request that was accepted. Some collectors send a partial success even if no span was rejected.
    fn partial_success(&self, spans: u64, partial: &ExportTracePartialSuccess) -> Outcome {
        let refused = u64::try_from(partial.rejected_spans).unwrap_or_default().min(spans);
        let message = match &*partial.error_message {
            "" if refused > 0 => "partial success without a message",
            message => message,
        };
        Outcome { exported: spans - refused, refused, reason: self.loggable(message) }
    }

    /// Removes the spans that are not much smaller than a span of `bytes`, which was too large, and returns their
    /// number: trying each of them would take too long.
    fn refuse_similar(&self, requests: &mut VecDeque<Request>, bytes: usize) -> u64 {
        let limit = SizeLimit::below(bytes);
        let singles = requests.drain(..).flat_map(|request| request.split(&self.envelope, 1, 1));
        let (small, large): (Vec<_>, Vec<_>) = singles.partition(|single| single.bytes <= limit.bytes);
        self.size_limit.set(limit);
        requests.extend(Request::joined(&self.envelope, small));
        large.len() as u64
    }

    fn set_last_error(&self, reason: String) {
        *self.last_error.borrow_mut() = Some(reason);
    }

    /// Prepares untrusted text for logging.
    fn loggable(&self, text: &str) -> String {
        bounded(&self.secrets.redact(text))
    }

    /// Waits before a smaller request, and doubles the backoff.
    async fn back_off(&self, backoff: &mut Duration) {
        self.wait(*backoff).await;
        *backoff = (*backoff * 2).min(MAX_SPLIT_BACKOFF);
    }

    /// Waits for at most `time`. Returns whether the wait was cut short.
    async fn wait(&self, time: Duration) -> bool {
        time::timeout(time + jitter(), self.retry_now.notified()).await.is_ok()
    }
}

/// Adds jitter, so that many processes do not retry at the same time.
fn jitter() -> Duration {
    Duration::from_millis(RandomState::new().build_hasher().finish() % 100)
}

#[cfg(test)]
mod tests;
