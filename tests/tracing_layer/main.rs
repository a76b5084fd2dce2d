//! The layer that records `tracing` spans as OpenTelemetry spans.
//!
//! `fields`, `parents`, `events`, `ext` and `threads` cover the cases of the tests of `tracing-opentelemetry`;
//! docs/tracing-layer.md compares the two, case by case.

mod events;
mod ext;
mod fields;
mod filters;
mod lifetime;
mod logs;
mod model;
mod nesting;
#[path = "../behaviour/output.rs"]
mod output;
mod parents;
#[path = "../behaviour/subscriber.rs"]
mod subscriber;
mod threads;
mod unsampled;

use throughline::testing::{Capture, FinishedSpan};
use throughline::tracing_layer::Builder;
use throughline::{Value, tracing_layer};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::layer::SubscriberExt as _;

/// Runs `f` with only the layer, and captures its spans.
fn with_layer<R>(capture: &Capture, f: impl FnOnce() -> R) -> R {
    subscriber::with_default(tracing_subscriber::registry().with(tracing_layer()), || capture.run(f))
}

/// Runs `f` with a configured layer, and captures its spans.
fn with_built<R>(capture: &Capture, builder: Builder, f: impl FnOnce() -> R) -> R {
    subscriber::with_default(tracing_subscriber::registry().with(builder.build()), || capture.run(f))
}

/// A subscriber for several threads.
fn dispatch(subscriber: impl Subscriber + Send + Sync + 'static) -> Dispatch {
    // Initializes scoped subscribers, which keep parallel tests apart.
    drop(subscriber::set_default(NoSubscriber::default()));
    Dispatch::new(subscriber)
}

fn text<'a>(span: &'a FinishedSpan, key: &str) -> Option<&'a str> {
    match span.attribute(key) {
        Some(Value::String(text)) => Some(text.as_str()),
        _ => None,
    }
}

fn event_names(span: &FinishedSpan) -> Vec<String> {
    span.events.iter().map(|event| event.name.to_string()).collect()
}
