//! Log correlation: trace IDs and tags on `tracing` events, as text, as JSON, as span events and on OpenTelemetry log
//! records.
//!
//! Throughline's spans are OpenTelemetry spans, not `tracing` spans, so the trace of a log line is read from the
//! current OpenTelemetry context. That is the right one in `#[traced]` functions, in detached jobs, on threads and
//! blocking workers, and in `tracing` spans with `tracing-opentelemetry`, whichever of the two is the inner span. No
//! `tracing` span has to be open, and log level filters do not affect what is traced or propagated.
//!
//! | you have | you add |
//! |---|---|
//! | `tracing_subscriber::fmt()` | `.event_format(throughline::log::Text::new())`: see [`Text`] |
//! | no subscriber, and want JSON | the crate `throughline-json-subscriber` |
//! | your own formatter | [`current`], which implements `Display` and `Serialize` |
//! | a trace viewer in which you want to read the logs | the layer [`SpanEvents`] |
//! | panics that are only on standard error | a call to [`panics`] |
#![cfg_attr(
    feature = "log-records",
    doc = "| `opentelemetry-appender-tracing` | the log processor [`TagLogProcessor`]; the ids are correct without it |"
)]
//!
//! ```
//! use throughline::{biz_tags, traced};
//! use tracing_subscriber::EnvFilter;
//!
//! #[traced]
//! #[biz_tags(tenant_id)]
//! fn place_order(tenant_id: &str) {
//!     // …  INFO trace_id=… span_id=… tenant_id=acme shop: order placed order_no=1001
//!     tracing::info!(order_no = 1001, "order placed");
//! }
//!
//! tracing_subscriber::fmt()
//!     .event_format(throughline::log::Text::new())
//!     .with_env_filter(EnvFilter::from_default_env())
//!     .init();
//! place_order("acme");
//! ```
//!
//! An event with an explicit parent (`info!(parent: &span, …)`) has the IDs of the current OpenTelemetry span too.
//! Events of the OpenTelemetry API itself (target `opentelemetry`) have none.
//!
//! # Unsampled traces
//!
//! Log lines in unsampled traces have IDs and tags as well, so that a search by tenant finds all requests. For this,
//! the tags of `#[biz_tags]` have to be evaluated in unsampled traces: creating one of the formatters above, or calling
//! [`current`], enables that for the rest of the process. An unsampled call of a function with `#[biz_tags]` then
//! evaluates each tag, and allocates a context if it adds tags. Functions without `#[biz_tags]` cost the same as
//! before. Tags of a single span are not evaluated. [`SpanEvents`] does not read tags and does not enable this.
//!
//! The tags shown are those that `#[biz_tags]` has put into the context, with `hash` and `mask` applied. Tags of a
//! single span (`#[traced(tags(…))]`) and baggage are not shown.

mod current;
mod panics;
#[cfg(feature = "log-records")]
mod records;
pub(crate) mod span_events;
mod styles;
mod text;

pub use current::{Current, Member, current, current_of};
pub use panics::panics;
#[cfg(feature = "log-records")]
pub use records::TagLogProcessor;
pub use span_events::SpanEvents;
pub use text::Text;

use std::error::Error;

/// Enables the evaluation of `#[biz_tags]` in unsampled traces, for the rest of the process.
///
/// The formatters of this module and [`current`] do this automatically. Call it when you create a formatter of your
/// own, so that the first line has tags, too. See [Unsampled traces](self#unsampled-traces).
pub fn evaluate_unsampled_tags() {
    crate::tags::set::read_by_logs();
}

/// The sources of `error`, nearest first. Limited, because a chain may be cyclic.
pub(crate) fn sources<'a>(error: &'a (dyn Error + 'a)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |&source| source.source()).take(16)
}
