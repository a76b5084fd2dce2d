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

/// Configures a [`TracingLayer`](super::TracingLayer).
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
    skips_unsampled: bool,
}

impl Builder {
    /// Creates the default configuration, which is that of [`tracing_layer()`](crate::tracing_layer()).
    pub fn new() -> Self {
        Self {
            spans: default_spans(),
            events: Some(Level::INFO),
            max_events: 64,
            error_outcomes: true,
            error_levels: false,
            skips_unsampled: false,
        }
    }

    /// Sets which spans are recorded, by target and level. Events with other targets are not added to spans. The
    /// default is [`default_spans`](super::default_spans).
    pub fn spans(mut self, spans: Targets) -> Self {
        self.spans = spans;
        self
    }

    /// Adds events of this level and above to their spans; INFO by default.
    pub fn events(mut self, min_level: Level) -> Self {
        self.events = Some(min_level);
        self
    }

    /// Disables events: none are added to spans, and none set the status of a span.
    pub fn without_events(mut self) -> Self {
        self.events = None;
        self
    }

    /// Sets the maximum number of events per span; 64 by default. One further event reports that the limit was reached.
    pub fn max_events(mut self, max: u16) -> Self {
        self.max_events = max;
        self
    }

    /// Sets whether an event that has a field `error` and no message, as emitted by `#[instrument(err)]`, is the
    /// outcome of its span: an `exception` event and the status Error. The default is `true`.
    pub fn error_outcomes(mut self, enabled: bool) -> Self {
        self.error_outcomes = enabled;
        self
    }

    /// Sets whether every event of level ERROR sets the status of its span to Error. The default is `false`, because a
    /// logged error may have been handled.
    pub fn error_levels(mut self, enabled: bool) -> Self {
        self.error_levels = enabled;
        self
    }

    /// Disables spans below a span that is not sampled, which avoids the cost of `tracing`'s registry for each of them.
    ///
    /// **They are disabled for all layers**, because a filter of a single layer does not avoid the work of the
    /// registry. So log lines lack the fields of these spans. Events are not affected, and the IDs on a line do not
    /// change.
    ///
    /// The context of the parent stays current, so everything that is called belongs to the same trace. But a disabled
    /// span has no context that could be moved to another task or thread: in
    /// `tokio::spawn(work().instrument(info_span!("work")))`, the work would start a new trace. Nor can its parent be
    /// replaced. Therefore a callsite is disabled only after its spans have been entered where their parent was
    /// current, and never again once one of them was entered elsewhere or given a parent. The exception is a callsite
    /// that is used in both ways: until one of its enabled spans has been used in the second way, such a use goes
    /// undetected.
    pub fn without_unsampled(mut self) -> Self {
        self.skips_unsampled = true;
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
        let layer = TracingLayer::new(events, wanted, self.skips_unsampled);
        layer.with_filter(SpanFilter::new(self.spans, self.events, self.skips_unsampled))
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}
