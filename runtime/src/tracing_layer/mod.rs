//! The spans of `tracing` as spans of OpenTelemetry: a layer for code with `#[instrument]`, and for libraries.
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
//! Both kinds of spans nest in any order and share one context, OpenTelemetry's current `Context`. It is the parent of
//! a new `tracing` span, and entering that span makes its own context current. So a `#[traced]` function, an outgoing
//! request or a log line inside of it belongs to it.
//!
//! # What becomes of a span
//!
//! | `tracing` | OpenTelemetry |
//! |---|---|
//! | name, or the field `otel.name` | name |
//! | the field `otel.kind`: `server`, `client`, `producer`, `consumer`, `internal` | kind, if it is set before the span is entered |
//! | the fields `otel.status_code` (`ok` or `error`), and `otel.status_description` or `otel.status_message` | status |
//! | contextual parent | the current context |
//! | `parent: &span` | that span; the current context, if this layer's filter excludes it |
//! | `parent: None` | a new trace, with the tags and the baggage of the current context, and a link to its span |
//! | fields, and those recorded later | attributes: numbers and booleans with their type, everything else as text of at most [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES); integers outside of the range of `i64` as text |
//! | an error (`error = &error as &dyn Error`) | its description, and those of its sources as a list, `….chain`; both as far as [`ErrorText`](crate::ErrorText) allows |
//! | `follows_from` | a link |
//! | source location | `code.file.path`, `code.line.number` |
//! | the time at which the span was created | the start |
//! | the time at which it was last exited; if it was never entered, at which it was closed | the end |
//!
//! Tags of [`#[biz_tags]`](macro@crate::biz_tags) are on these spans too. Sampling, shedding, limits, request IDs and
//! unfinished spans are those of all spans of the provider.
//!
//! A span starts when it is first entered, or when its context is used. Until then, its parent can be replaced
//! ([`OpenTelemetrySpanExt::set_parent`]). A closed span has succeeded unless an event or a field said otherwise:
//! `tracing` does not tell a future that was dropped from one that has completed, nor a panic from a return. Where that
//! matters, use [`#[traced]`](macro@crate::traced).
//!
//! # Events
//!
//! Events of level INFO and above are added to the span they occur in, at most 64 per span, as by
//! [`SpanEvents`](crate::log::SpanEvents): do not add that layer as well. An event whose only message is the field
//! `error`, as `#[instrument(err)]` emits it, is the span's outcome: an `exception` event and the status Error. See
//! [`Builder`] to change this.
//!
//! # Filters
//!
//! Which spans are recorded is decided by this layer's own filter, [`Builder::spans`]. By default, it has all spans of
//! level DEBUG and above, except those of the HTTP and gRPC stack ([`default_spans`]).
//!
//! A filter that belongs to another layer, as in `fmt::layer().with_filter(…)`, does not affect this one. **A filter
//! for the whole subscriber does**: `registry().with(EnvFilter::…)` and `tracing_subscriber::fmt().with_env_filter(…)`
//! switch spans off for all layers, and with `RUST_LOG=warn` no span is left. `tracing` gives no layer a way around
//! that. Attach such a filter to the layer that writes the log, as above. With the feature `otlp`, a warning is logged,
//! once, if the whole subscriber's level is below that of the spans the layer is to have; if the filter hides the
//! warning too, it is written to standard error. A filter that selects by target only is not noticed.
//!
//! A layer with a filter of its own needs a `registry()` below it: on top of the subscriber that
//! `tracing_subscriber::fmt()` builds, `tracing_subscriber` panics. Use `registry().with(fmt::layer())`.
//!
//! To change this layer's filter while the process runs, add one that can be reloaded:
//! `tracing_layer().with_filter(filter)` with the filter of `reload::Layer::new(…)`.
//!
//! # Cost
//!
//! A span costs the two allocations of its context, and what the registry itself needs: together, the time of a span of
//! [`#[traced]`](macro@crate::traced) and half as much again. A layer takes 64 KiB, in which 512 spans have room that are open
//! at the same time, and more for those beyond that. Below a span that is not sampled, only the context is kept, and no field
//! is looked at; [`Builder::without_unsampled`] spares the registry's part, too.

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

/// A layer that makes the spans of `tracing` spans of OpenTelemetry. See [the module](mod@crate::tracing_layer).
///
/// Spans go to the provider that [`init`](https://docs.rs/throughline/latest/throughline/fn.init.html) or
/// [`install`](crate::install) has set, and otherwise to OpenTelemetry's global one. The order does not matter: the
/// provider is looked up when a span starts.
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
