//! OTLP over HTTP, as protobuf.

use std::cell::Cell;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message as _;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use tokio::time;

use super::super::env::{Otlp, without_secrets};
use super::super::error::InitError;
use super::super::notice::{self, Kind};
#[cfg(feature = "otlp-tls")]
use super::super::tls::{self, Tls};
use super::super::work::unharmed;
use super::{Answer, Failure, Tried, USER_AGENT, chain};

const PROTOBUF: &str = "application/x-protobuf";

/// So much of an answer is read; that of gRPC is bounded by tonic.
const LONGEST_ANSWER: usize = 1 << 16;

/// So long it is read once its status is known, which decides.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

pub(super) struct Http {
    client: reqwest::Client,
    endpoint: String,
    headers: HeaderMap,
    gzip: bool,
    /// It was told that what answers looks like no collector.
    doubted: Cell<bool>,
}

impl Http {
    pub(super) fn new(otlp: &Otlp, #[cfg(feature = "otlp-tls")] tls: Option<&Tls>) -> Result<Self, InitError> {
        // Most redirections turn a POST into a GET, whose answer would tell nothing of the spans; and
        // headers with secrets are for the collector that was named.
        let mut client = reqwest::Client::builder().user_agent(USER_AGENT).redirect(Policy::none());
        if let Some(timeout) = otlp.timeout {
            client = client.timeout(timeout);
        }
        #[cfg(feature = "otlp-tls")]
        {
            client = match tls {
                Some(tls) => tls.http(client).map_err(|error| otlp.wrong(&chain(&error)))?,
                None => tls::none(client),
            };
        }
        let client = client.build().map_err(|error| otlp.wrong(&chain(&error)))?;
        Ok(Self {
            client,
            endpoint: otlp.endpoint.clone(),
            headers: otlp.header_map(),
            gzip: otlp.gzip,
            doubted: Cell::default(),
        })
    }

    pub(super) async fn send(&self, request: &ExportTraceServiceRequest) -> Answer<Tried> {
        let mut post = self.client.post(&self.endpoint).headers(self.headers.clone());
        let mut body = request.encode_to_vec();
        if self.gzip {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            let compressed = encoder.write_all(&body).and_then(|()| encoder.finish());
            body = compressed.map_err(|error| Failure::Never(error.to_string()))?;
            post = post.header(CONTENT_ENCODING, "gzip");
        }
        let response = match post.header(CONTENT_TYPE, PROTOBUF).body(body).send().await {
            Ok(response) => response,
            Err(error) => {
                let strange = !error.is_connect() && !error.is_timeout();
                // The address is in the warning already, and may have a password in it.
                return Err(Tried { failure: Failure::later(chain(&error.without_url())), strange });
            }
        };
        let status = response.status();
        let why = format!("status {status}");
        match status.as_u16() {
            200..=299 => {
                if content_type(&response).starts_with("text/html") && !self.doubted.replace(true) {
                    unharmed(|| self.doubt());
                }
                // An answer that cannot be read is an answer.
                let body = bounded_body(response).await.unwrap_or_default();
                Ok(ExportTraceServiceResponse::decode(&*body).ok().and_then(|response| response.partial_success))
            }
            429 | 502 | 503 | 504 => {
                let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok());
                let asked = after.and_then(|after| waited(after.trim(), SystemTime::now()));
                Err(Failure::Later { why, asked, smaller: false }.into())
            }
            413 => Err(Failure::TooLarge(why).into()),
            status => {
                let said = message(response).await;
                let why = if said.is_empty() { why } else { format!("{why}: {said}") };
                // Something that has no such page, or speaks another version of HTTP.
                let strange = matches!(status, 404 | 405 | 415 | 426 | 505);
                Err(Tried { failure: Failure::Never(why), strange })
            }
        }
    }
}

impl Http {
    /// A proxy or a page for those who have not logged in says 200 too, and keeps nothing.
    fn doubt(&self) {
        let text = format!(
            "`{}` (http/protobuf) takes spans, but answers with a page (`text/html`), as no collector does; check the \
             address",
            without_secrets(&self.endpoint),
        );
        notice::warn(Kind::Page, text);
    }
}

/// How long to wait by `Retry-After`, which is seconds or a date (RFC 9110, section 10.2.3).
pub(super) fn waited(after: &str, now: SystemTime) -> Option<Duration> {
    match after.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        // A date that has passed is no wait.
        Err(_) => Some(httpdate::parse_http_date(after).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// What an answer says, unless it is longer than any collector's, or takes longer.
async fn bounded_body(mut response: reqwest::Response) -> Option<Vec<u8>> {
    let body = async {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return None;
            }
            body.extend_from_slice(&chunk);
        }
        Some(body)
    };
    time::timeout(ANSWER_LIMIT, body).await.ok().flatten()
}

fn content_type(response: &reqwest::Response) -> &str {
    response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default()
}

/// Why a collector has refused, which it says in a `Status` (section "Failures" of OTLP/HTTP), if not in text.
async fn message(response: reqwest::Response) -> String {
    let kind = content_type(&response);
    let (is_protobuf, is_text) = (kind.starts_with(PROTOBUF), kind.starts_with("text/plain") || kind.contains("json"));
    if !is_protobuf && !is_text {
        return String::new();
    }
    let body = bounded_body(response).await.unwrap_or_default();
    if is_protobuf {
        return tonic_types::pb::Status::decode(&*body).map(|status| status.message).unwrap_or_default();
    }
    String::from_utf8_lossy(&body).trim().to_owned()
}
