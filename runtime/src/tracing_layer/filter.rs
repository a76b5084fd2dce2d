//! The filter of the layer, which is independent of the filters of other layers.

use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter};

/// Prefixes of the module paths of excluded crates. The colons prevent `tower` from excluding `tower_http`, and `hyper`
/// from excluding every crate whose name begins with it.
const EXCLUDED: [&str; 13] = [
    "h2::",
    "hyper::",
    "hyper_util::",
    "hyper_rustls::",
    "hyper_tls::",
    "hyper_timeout::",
    "tonic::",
    "tower::",
    "reqwest::",
    "rustls::",
    "rdkafka::",
    "opentelemetry",
    "tokio::",
];

/// Returns the default of [`Builder::spans`](super::Builder::spans): level DEBUG and above, except for the targets of
/// `h2`, `hyper` (and `hyper-util`, `hyper-rustls`, `hyper-tls`, `hyper-timeout`), `tonic`, `tower`, `reqwest`, `rustls`,
/// `rdkafka` and OpenTelemetry, and the spans of level TRACE that Tokio has for `console-subscriber`.
///
/// These crates have a span for each frame, buffer, connection or task, and their spans would include the export of
/// spans. `tower-http` is not excluded, because its span represents the request.
///
/// To include the spans of one of them, give its target another level, with the same colons: `h2::`, `hyper::`,
/// `hyper_util::`, `tonic::`, `tower::`, `reqwest::`, `rustls::`, `rdkafka::`.
pub fn default_spans() -> Targets {
    let targets = Targets::new().with_default(LevelFilter::DEBUG);
    EXCLUDED.into_iter().fold(targets, |targets, target| targets.with_target(target, LevelFilter::OFF))
}

/// The filter of a [`TracingLayer`](super::TracingLayer). Created by [`Builder::build`](super::Builder::build).
#[derive(Debug)]
pub struct SpanFilter {
    spans: Targets,
    events: Option<Level>,
    /// Whether the layer's `enabled` must be called for each span.
    asks_layer: bool,
    decisions: Decisions,
}

impl SpanFilter {
    pub(super) fn new(spans: Targets, events: Option<Level>, asks_layer: bool) -> Self {
        Self { spans, events, asks_layer, decisions: Decisions::new() }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        // OpenTelemetry logs about itself while its contexts and spans are locked.
        if metadata.target().starts_with("opentelemetry") {
            return false;
        }
        // A more verbose level compares as greater.
        if metadata.is_event() && self.events.is_none_or(|min_level| *metadata.level() > min_level) {
            return false;
        }
        self.spans.would_enable(metadata.target(), metadata.level())
    }
}

impl<S: Subscriber> Filter<S> for SpanFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        // Called for each span if the filter of another layer is dynamic, so the decisions are cached.
        if metadata.is_span() { self.decisions.get(metadata, || self.wants(metadata)) } else { self.wants(metadata) }
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.wants(metadata) {
            false => Interest::never(),
            true if self.asks_layer && metadata.is_span() => Interest::sometimes(),
            true => Interest::always(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.spans)
    }
}

/// A direct-mapped cache of decisions about callsites of spans. An entry is the address of the metadata, with the
/// decision in the lowest bit. Callsites that share a slot evict each other.
///
/// Not used for events: the metadata of a record of the `log` crate is created for that record, so its address
/// identifies nothing.
struct Decisions(Box<[AtomicUsize]>);

impl Decisions {
    const COUNT: usize = 1024;

    fn new() -> Self {
        Self((0..Self::COUNT).map(|_| AtomicUsize::new(0)).collect())
    }

    #[inline]
    fn get(&self, metadata: &Metadata<'_>, decide: impl FnOnce() -> bool) -> bool {
        const { assert!(align_of::<Metadata<'_>>() > 1) }
        let address = ptr::from_ref(metadata).addr();
        let slot = &self.0[(address >> 4) % Self::COUNT];
        let known = slot.load(Ordering::Relaxed);
        if known & !1 == address {
            return known & 1 == 1;
        }
        let wanted = decide();
        slot.store(address | usize::from(wanted), Ordering::Relaxed);
        wanted
    }
}

impl fmt::Debug for Decisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decisions").finish_non_exhaustive()
    }
}
