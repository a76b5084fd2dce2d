//! Sending to a collector, for as long as it takes.
//!
//! The exporter of `opentelemetry-otlp` does not do here: it gives a batch up when a connection
//! breaks in the middle of a request, sends one that is too large for the collector again and
//! again, and does not tell how much of a batch was refused.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::Notify;
use tokio::time;

use self::grpc::Grpc;
use self::http::Http;
use self::request::{Request, Size};
use super::env::{Otlp, Protocol};
use super::error::InitError;
use super::sender::{Sender, Sent};
use super::text::{Secrets, bounded, chain};
#[cfg(feature = "otlp-tls")]
use super::tls::Tls;

mod grpc;
mod http;
mod request;

const USER_AGENT: &str = concat!("throughline/", env!("CARGO_PKG_VERSION"), " (rust)");

/// The first wait between two tries; each is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest, so that little time is lost when the collector is back.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The longest between a request that was too large and a smaller one.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The longest that a collector may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(30);

/// So many spans in a row are sent alone and are too large before those of the batch that are not much smaller are
/// given up too.
const ALONE_IN_A_ROW: usize = 8;

/// So often `OUT_OF_RANGE` is the answer to one request before the next tries are smaller.
const OUT_OF_RANGE: u32 = 3;

/// What to look at when something answers that is no such collector.
const HINT: &str = "; check `OTEL_EXPORTER_OTLP_PROTOCOL` and the port, which commonly is 4317 for `grpc` and 4318 for \
                    `http/protobuf`";

/// One collector.
pub(super) struct Exporter {
    transport: Transport,
    resource: ResourceAttributesWithSchema,
    secrets: Secrets,
    /// Why the last try has failed.
    trouble: RefCell<String>,
    /// How large requests may be.
    size: Cell<Size>,
    /// It has taken spans, so it is one.
    known: Cell<bool>,
    /// Ends the wait between two tries.
    hurry: Notify,
}

enum Transport {
    Grpc(Box<Grpc>),
    Http(Http),
}

/// What came of one try.
#[derive(Debug)]
enum Failure {
    /// It may go better later; the collector may have said when.
    Later {
        why: String,
        asked: Option<Duration>,
        /// And perhaps with fewer spans.
        smaller: bool,
    },
    /// Fewer spans may do.
    TooLarge(String),
    /// It would be the same again.
    Never(String),
}

impl Failure {
    fn later(why: String) -> Self {
        Self::Later { why, asked: None, smaller: false }
    }

    fn why(&mut self) -> &mut String {
        match self {
            Self::Later { why, .. } | Self::TooLarge(why) | Self::Never(why) => why,
        }
    }
}

/// A failure, and whether what answers may be something else than a collector with this protocol.
struct Tried {
    failure: Failure,
    strange: bool,
}

impl From<Failure> for Tried {
    fn from(failure: Failure) -> Self {
        Self { failure, strange: false }
    }
}

type Answer<E> = Result<Option<ExportTracePartialSuccess>, E>;

/// Must be called in the runtime that the exporter is to live in.
pub(super) fn exporter(otlp: &Otlp, resource: &Resource) -> Result<Exporter, InitError> {
    otlp.look_at_endpoint()?;
    // It would be tried in vain for ever, or be sent in clear text.
    #[cfg(not(feature = "otlp-tls"))]
    if otlp.is_secure() {
        return Err(otlp
            .wrong("an address with `http://`, or the feature `otlp-tls` of `throughline` for encrypted connections"));
    }
    #[cfg(feature = "otlp-tls")]
    let tls = if otlp.is_secure() { Some(Tls::read(&otlp.files)?) } else { None };
    let transport = match otlp.protocol {
        Protocol::Grpc => Transport::Grpc(Box::new(Grpc::new(
            otlp,
            #[cfg(feature = "otlp-tls")]
            tls.as_ref(),
        )?)),
        Protocol::HttpProtobuf => Transport::Http(Http::new(
            otlp,
            #[cfg(feature = "otlp-tls")]
            tls.as_ref(),
        )?),
    };
    Ok(Exporter {
        transport,
        resource: resource.into(),
        secrets: Secrets::of(otlp),
        trouble: RefCell::default(),
        size: Cell::default(),
        known: Cell::default(),
        hurry: Notify::new(),
    })
}

impl Sender for Exporter {
    async fn send(&self, batch: Vec<SpanData>, settle: &dyn Fn(Sent)) {
        self.trouble.borrow_mut().clear();
        let mut parts = VecDeque::from([Request::new(group_spans_by_resource_and_scope(batch, &self.resource))]);
        let mut pause = FIRST_WAIT;
        // The sizes of single spans in a row that were too large.
        let mut alone = Vec::new();
        while let Some(part) = parts.pop_front() {
            let limit = self.size.get().limit;
            if part.spans > 1 && part.bytes > limit {
                for piece in part.split(limit).into_iter().rev() {
                    parts.push_front(piece);
                }
                continue;
            }
            let spans = part.spans as u64;
            match self.insist(&part).await {
                Ok(partial) => {
                    self.known.set(true);
                    self.size.set(self.size.get().taken(part.bytes));
                    pause = FIRST_WAIT;
                    alone.clear();
                    let partial = partial.unwrap_or_default();
                    // Some collectors say that they have refused none.
                    let refused = u64::try_from(partial.rejected_spans).unwrap_or_default().min(spans);
                    settle(Sent { taken: spans - refused, refused, why: self.shown(&partial.error_message) });
                }
                Err(Failure::TooLarge(why)) if part.spans > 1 => {
                    self.size.set(Size::below(part.bytes));
                    parts.push_front(part);
                    self.note(why);
                    self.wait(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(failure @ Failure::TooLarge(_)) => {
                    alone.push(part.bytes);
                    let mut refused = spans;
                    if alone.len() == ALONE_IN_A_ROW {
                        let size = Size::below(alone.drain(..).min().unwrap_or_default());
                        let singles = parts.drain(..).flat_map(|part| part.split(1));
                        let (small, large): (Vec<_>, Vec<_>) = singles.partition(|single| single.bytes <= size.limit);
                        self.size.set(size);
                        refused += large.len() as u64;
                        parts.extend(Request::joined(small));
                    }
                    settle(Sent { taken: 0, refused, why: said(failure) });
                    if !parts.is_empty() {
                        self.wait(pause).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
                Err(failure) => settle(Sent { taken: 0, refused: spans, why: said(failure) }),
            }
        }
    }

    fn hurry(&self) {
        // Also if it is about to wait: what counts is that it does not.
        self.hurry.notify_one();
    }

    fn trouble(&self) -> String {
        self.trouble.borrow().clone()
    }
}

fn said(mut failure: Failure) -> String {
    std::mem::take(failure.why())
}

impl Exporter {
    /// Tries until there is an answer that would stay the same.
    async fn insist(&self, request: &Request) -> Answer<Failure> {
        let mut wait = FIRST_WAIT;
        let mut out_of_range = 0;
        loop {
            let result = match &self.transport {
                Transport::Grpc(grpc) => grpc.send(request.message.clone()).await,
                Transport::Http(http) => http.send(&request.message).await,
            };
            let Err(Tried { mut failure, strange }) = result else { return result.map_err(|tried| tried.failure) };
            let why = failure.why();
            *why = self.shown(why);
            if strange && !self.known.get() {
                why.push_str(HINT);
            }
            let Failure::Later { why, asked, smaller } = failure else { return Err(failure) };
            out_of_range = if smaller { out_of_range + 1 } else { 0 };
            if out_of_range == OUT_OF_RANGE && request.may_be_too_large() {
                return Err(Failure::TooLarge(why));
            }
            self.note(why);
            let called = self.wait(wait.max(asked.unwrap_or_default().min(LONGEST_ASKED))).await;
            wait = if called { FIRST_WAIT } else { (wait * 2).min(LONGEST_WAIT) };
        }
    }

    fn note(&self, why: String) {
        *self.trouble.borrow_mut() = why;
    }

    /// What comes from elsewhere, as it may be logged.
    fn shown(&self, text: &str) -> String {
        bounded(&self.secrets.hidden(text))
    }

    /// Gives whether it was called before its time was over.
    async fn wait(&self, time: Duration) -> bool {
        time::timeout(time + jitter(), self.hurry.notified()).await.is_ok()
    }
}

/// So that many processes do not come back at once.
fn jitter() -> Duration {
    Duration::from_millis(RandomState::new().build_hasher().finish() % 100)
}

#[cfg(test)]
mod tests;
