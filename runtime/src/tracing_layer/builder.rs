//! The configuration of the layer.

use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{Filtered, Targets};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::LookupSpan;

use super::events::Events;
use super::filter::{SpanFilter, default_spans};
use super::layer::TracingLayer;

/// Configures the layer.
///
/// ```
/// use throughline::tracing_layer::{Builder, default_spans};
/// use tracing::Level;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let layer = Builder::new()
///     .spans(default_spans().with_target("tonic::", Level::INFO))
///     .events(Level::WARN)
///     .max_events(16)
///     .build();
/// let subscriber = tracing_subscriber::registry().with(layer);
/// # drop(subscriber);
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing unless the layer is built"]
pub struct Builder {
    spans: Targets,
    events: Option<Level>,
    max_events: u16,
    error_outcomes: bool,
    error_levels: bool,
    leaves_out_unsampled: bool,
}

impl Builder {
    /// The configuration of [`tracing_layer()`](crate::tracing_layer()).
    pub fn new() -> Self {
        Self {
            spans: default_spans(),
            events: Some(Level::INFO),
            max_events: 64,
            error_outcomes: true,
            error_levels: false,
            leaves_out_unsampled: false,
        }
    }

    /// Sets which spans are recorded, by target and level. Events of other targets are not added to spans either.
    pub fn spans(mut self, spans: Targets) -> Self {
        self.spans = spans;
        self
    }

    /// Adds events of this level and above to their spans. The default is INFO.
    pub fn events(mut self, min_level: Level) -> Self {
        self.events = Some(min_level);
        self
    }

    /// Adds no events to spans. An event then does not set the status of a span either.
    pub fn without_events(mut self) -> Self {
        self.events = None;
        self
    }

    /// Adds at most `max` events to a span, then one that reports the limit. The default is 64.
    pub fn max_events(mut self, max: u16) -> Self {
        self.max_events = max;
        self
    }

    /// Sets whether an event without a message and with a field `error`, as emitted by `#[instrument(err)]`, is the
    /// outcome of its span: an `exception` event, and the status Error. The default is `true`.
    pub fn error_outcomes(mut self, enabled: bool) -> Self {
        self.error_outcomes = enabled;
        self
    }

    /// Sets whether every event of level ERROR sets the status of its span to Error. The default is `false`: an error
    /// that is logged may well have been handled.
    pub fn error_levels(mut self, enabled: bool) -> Self {
        self.error_levels = enabled;
        self
    }

    /// Leaves out spans below a span that is not sampled. They cost next to nothing then, instead of what `tracing`'s
    /// registry needs for each.
    ///
    /// **They are left out for all layers**, because the filter of one layer cannot spare the registry's work. So log
    /// lines lack the fields of these spans; events are not left out, and the ids on a line do not change.
    ///
    /// The context of the span above stays current, so that whatever is called belongs to the same trace. But a span
    /// that is left out has no context to take to another task or thread: in
    /// `tokio::spawn(work().instrument(info_span!("work")))`, the work would begin a new trace. Nor can it be given
    /// another parent. So a callsite is left out only after its spans have been entered where their parent was current,
    /// and never again once one was entered elsewhere, or was given a parent. What is not noticed is a callsite whose
    /// spans are used in both ways, before one that exists has been used in the second way.
    pub fn without_unsampled(mut self) -> Self {
        self.leaves_out_unsampled = true;
        self
    }

    /// Builds the layer.
    #[must_use = "a layer does nothing unless it is added to a subscriber"]
    pub fn build<S>(self) -> Filtered<TracingLayer, SpanFilter, S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let wanted = Filter::<S>::max_level_hint(&self.spans).unwrap_or(LevelFilter::TRACE);
        let events = Events::new(self.max_events, self.error_outcomes, self.error_levels);
        let layer = TracingLayer::new(events, wanted, self.leaves_out_unsampled);
        layer.with_filter(SpanFilter::new(self.spans, self.events, self.leaves_out_unsampled))
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}
