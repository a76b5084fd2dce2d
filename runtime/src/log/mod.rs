//! Log lines that tell their trace: ids and tags on the events of `tracing`, in text, in JSON, as
//! events of spans and on OpenTelemetry's log records.
//!
//! Throughline's spans are OpenTelemetry spans, not `tracing` spans, so what a log line belongs to
//! is read from the current OpenTelemetry context. It is right wherever that is: in `#[traced]`
//! functions, in detached jobs, on threads and blocking workers, and in `tracing` spans with
//! `tracing-opentelemetry` above or below. No `tracing` span has to be open, and no filter of log
//! levels has a say in what is traced or sent on.
//!
//! | you have | you add |
//! |---|---|
//! | `tracing_subscriber::fmt()` | `.event_format(throughline::log::Text::new())`: see [`Text`] |
//! | nothing yet, and want JSON | the layer [`json`] |
//! | a `json_subscriber` layer | [`add_to_json`] |
//! | a formatter of your own | [`current`], which implements `Display` and `Serialize` |
//! | a look at the logs in the trace | the layer [`SpanEvents`] |
//! | panics that only standard error tells of | a call of [`panics`] |
#![cfg_attr(
    feature = "log-records",
    doc = "| `opentelemetry-appender-tracing` | the log processor [`TagLogProcessor`]; the ids are right by themselves |"
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
//! An event with an explicit parent (`info!(parent: &span, …)`) bears the ids of what is current
//! where it happens, like any other. Events of the OpenTelemetry API itself (target
//! `opentelemetry`) bear none.
//!
//! # Traces that are not sampled
//!
//! Lines in them bear ids and tags as well, so that a search by tenant finds all requests and not one
//! in a hundred. For that, the tags of `#[biz_tags]` have to be evaluated there: making one of the
//! formatters above, or a call of [`current`], turns that on for the process, and for good. A call of
//! an unsampled function with tags then costs an evaluation of each tag, and an allocation for the
//! context if the tags are new in it; functions without `#[biz_tags]` cost what they did. Tags of one
//! span alone are not evaluated. [`SpanEvents`] does not read tags, and turns nothing on.
//!
//! What is shown is what `#[biz_tags]` has put into the context, `hash` and `mask` applied. Tags of
//! one span alone (`#[traced(tags(…))]`) and baggage are not shown.

mod current;
mod json;
mod panics;
#[cfg(feature = "log-records")]
mod records;
mod span_events;
mod styles;
mod text;

pub use current::{Current, current};
pub use json::{add_to_json, json};
pub use panics::panics;
#[cfg(feature = "log-records")]
pub use records::TagLogProcessor;
pub use span_events::SpanEvents;
pub use text::Text;

use crate::span::failure::sources;
