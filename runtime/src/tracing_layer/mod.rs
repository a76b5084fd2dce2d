//! A `tracing-subscriber` layer that records `tracing` spans as OpenTelemetry spans, for libraries and for code with
//! `#[instrument]`.
//!
//! [`tracing_layer()`](crate::tracing_layer()) is the whole setup:
//!
//! ```
//! use tracing_subscriber::layer::SubscriberExt as _;
//! use tracing_subscriber::{EnvFilter, Layer as _};
//!
//! let subscriber = tracing_subscriber::registry()
//!     .with(tracing_subscriber::fmt::layer().with_filter(EnvFilter::from_default_env()))
//!     .with(throughline::tracing_layer());
//! # drop(subscriber);
//! ```
//!
//! With the feature `otlp`, `throughline::init_with_subscriber` sets a global subscriber with such a log and this layer,
//! and initializes telemetry.
//!
//! Both kinds of spans nest in any order and share one context, OpenTelemetry's current `Context`. A new `tracing` span
//! is a child of the current context, and entering the span makes its own context current. So `#[traced]` functions,
//! outgoing requests and log lines inside the span belong to it.
//!
//! # How spans are mapped
//!
//! | `tracing` | OpenTelemetry |
//! |---|---|
//! | name, or the field `otel.name` | name |
//! | the field `otel.kind`: `server`, `client`, `producer`, `consumer`, `internal` | kind, if set before the span is first entered |
//! | the fields `otel.status_code` (`ok` or `error`), and `otel.status_description` or `otel.status_message` | status |
//! | contextual parent | the current context |
//! | `parent: &span` | that span; or the current context, if the filter of this layer excludes it |
//! | `parent: None` | a new trace, with the tags and the baggage of the current context, and a link to its span |
//! | fields, and those recorded later | attributes: numbers and booleans with their type, everything else as text of at most [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES); integers outside of the range of `i64` as text |
//! | an error (`error = &error as &dyn Error`) | its description, and those of its sources as a list, `….chain`; both as far as [`ErrorText`](crate::ErrorText) allows |
//! | `follows_from` | a link |
//! | source location | `code.file.path`, `code.line.number` |
//! | the time at which the span was created | the start |
//! | the time at which it was last exited; if it was never entered, at which it was closed | the end |
//!
//! These spans have the tags of [`#[biz_tags]`](macro@crate::biz_tags), too. Sampling, load shedding, limits, request
//! IDs and the handling of unfinished spans are the same as for all spans of the provider.
//!
//! A span starts when it is first entered, or when its context is used. Until then, its parent can be replaced
//! ([`OpenTelemetrySpanExt::set_parent`]). A span that closes counts as successful unless an event or a field has set
//! its status: `tracing` does not distinguish a dropped future from a completed one, or a panic from a return. Where
//! that matters, use [`#[traced]`](macro@crate::traced).
//!
//! # Events
//!
//! Events of level INFO and above are added to the span in which they occur, at most 64 per span. This includes what
//! [`SpanEvents`](crate::log::SpanEvents) does, so do not add that layer as well. An event that has a field `error` and
//! no message, as emitted by `#[instrument(err)]`, is the outcome of the span: it is recorded as an `exception` event
//! and sets the status to Error. [`Builder`] changes these defaults.
//!
//! # Filters
//!
//! The layer has its own filter, [`Builder::spans`], which determines the spans that are recorded. By default, these
//! are all spans of level DEBUG and above, except those of the HTTP and gRPC stack ([`default_spans`]).
//!
//! A filter that belongs to another layer, as in `fmt::layer().with_filter(…)`, does not affect this one. **A filter
//! for the whole subscriber does**: `registry().with(EnvFilter::…)` and `tracing_subscriber::fmt().with_env_filter(…)`
//! disable spans for all layers, and with `RUST_LOG=warn` no spans are recorded. No layer can prevent that. Attach such
//! a filter to the layer that writes the log, as above. With the feature `otlp`, a warning is logged, once, if the
//! level of the whole subscriber excludes spans that the layer would record; if the filter suppresses the warning as
//! well, it is written to standard error. A filter that selects by target only is not detected.
//!
//! A layer with its own filter has to be added to a `registry()`. On top of the subscriber built by
//! `tracing_subscriber::fmt()`, `tracing_subscriber` panics; use `registry().with(fmt::layer())`.
//!
//! To change the filter of this layer at run time, add a reloadable one: `tracing_layer().with_filter(filter)`, with
//! the filter returned by `reload::Layer::new(…)`.
//!
//! # Cost
//!
//! A span costs the two allocations of its context, and the work of the registry; in total, about one and a half times
//! the time of a [`#[traced]`](macro@crate::traced) span. A layer takes 64 KiB, which is enough for 512 spans that are
//! open at the same time, and allocates more for further ones. Below a span that is not sampled, only the context is
//! stored and fields are ignored; [`Builder::without_unsampled`] avoids the work of the registry, too.

mod builder;
mod entry;
mod events;
mod ext;
mod fields;
mod filter;
mod layer;
mod place;
mod spans;
mod stack;
pub(crate) mod switched_off;

pub use builder::Builder;
pub use ext::{OpenTelemetrySpanExt, SetParentError, get_otel_context};
pub use filter::{SpanFilter, default_spans};
pub use layer::TracingLayer;

use tracing::Subscriber;
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::registry::LookupSpan;

/// Creates a layer that records `tracing` spans as OpenTelemetry spans, with the default configuration. See [the
/// module](mod@crate::tracing_layer).
///
/// Spans go to the provider set by [`init`](https://docs.rs/throughline/latest/throughline/fn.init.html) or
/// [`install`](crate::install), or else to OpenTelemetry's global one. The provider is looked up when a span starts, so
/// it may be set before or after the subscriber.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let subscriber = tracing_subscriber::registry().with(throughline::tracing_layer());
/// # #[cfg(feature = "testing")] {
/// # let capture = throughline::testing::Capture::new();
/// tracing::subscriber::with_default(subscriber, || {
///     # capture.run(||
///     tracing::info_span!("checkout", items = 3).in_scope(|| throughline::in_span("price", || 1200))
///     # );
/// });
/// # assert_eq!(capture.tree(), "checkout\n└── price");
/// # }
/// ```
#[must_use = "a layer does nothing unless it is added to a subscriber"]
pub fn tracing_layer<S>() -> Filtered<TracingLayer, SpanFilter, S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    Builder::new().build()
}
