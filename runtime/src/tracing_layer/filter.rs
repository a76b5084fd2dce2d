//! Which spans and events the layer has, whatever the filters of other layers say.

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter};

/// The default of [`Builder::spans`](super::Builder::spans): everything of level DEBUG and above, except spans of `h2`,
/// `hyper`, `tonic`, `tower`, `reqwest`, `rustls`, `rdkafka` and of OpenTelemetry.
///
/// These have a span for each frame, buffer or connection, and would trace the export of spans as well. `tower-http` is
/// not excluded: its span is that of the request.
pub fn default_spans() -> Targets {
    let targets = Targets::new().with_default(LevelFilter::DEBUG);
    // Prefixes of module paths. The colons keep `tower` from excluding `tower_http`.
    let chatter = ["h2", "hyper", "tonic::", "tower::", "reqwest::", "rustls", "rdkafka::", "opentelemetry"];
    chatter.into_iter().fold(targets, |targets, target| targets.with_target(target, LevelFilter::OFF))
}

/// The filter of [`TracingLayer`](super::TracingLayer).
#[derive(Debug)]
pub struct SpanFilter {
    spans: Targets,
    events: Option<Level>,
}

impl SpanFilter {
    pub(super) fn new(spans: Targets, events: Option<Level>) -> Self {
        Self { spans, events }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        // OpenTelemetry logs about itself while its contexts and spans are locked.
        if metadata.target().starts_with("opentelemetry") {
            return false;
        }
        // A more verbose level is the greater one.
        if metadata.is_event() && self.events.is_none_or(|min_level| *metadata.level() > min_level) {
            return false;
        }
        self.spans.would_enable(metadata.target(), metadata.level())
    }
}

impl<S: Subscriber> Filter<S> for SpanFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.spans)
    }
}
