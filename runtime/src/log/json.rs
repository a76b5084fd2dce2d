//! Log lines as JSON.

use json_subscriber::JsonLayer;
use json_subscriber::fmt::Layer;
use tracing::Subscriber;
use tracing_subscriber::registry::LookupSpan;

use super::current::of_event;
use crate::tags::set::read_by_logs;

/// A layer that writes each event as one line of JSON to standard output: that of
/// [`json_subscriber`], with the ids of the current OpenTelemetry span and the tags.
///
/// ```json
/// {"fields":{"message":"order placed","order_no":1001},"level":"INFO","target":"shop","timestamp":"2026-04-02T09:30:00.000000Z","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","trace_flags":"01","tags":{"tenant_id":"acme"}}
/// ```
///
/// `trace_id`, `span_id` and `trace_flags` are named and written as the OpenTelemetry specification
/// has it for [logs that are not OTLP]. Outside of a trace they are left out, and `tags` is where no
/// tag is set. All that the layer offers besides (writer, timer, target, thread, flattening) is set
/// on it; with flattening, see [`add_to_json`] for the names that fields must not have. Records of the
/// `log` crate that come through `tracing-log` have the target `log`, and their own target and place in
/// fields (`log.target`, `log.file`, …).
///
/// The ids and tags are written into the line buffer without an allocation.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let subscriber = tracing_subscriber::registry().with(throughline::log::json().with_current_span(false));
/// # drop(subscriber);
/// ```
///
/// [logs that are not OTLP]: https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/
pub fn json<S>() -> Layer<S>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    let mut layer = json_subscriber::fmt::layer();
    add_to_json(layer.inner_layer_mut());
    layer
}

/// Adds to a layer of your own what [`json`] adds to its layer.
///
/// The members are at the top of the object. If the fields of the events are flattened into it, an
/// event must not have a field `trace_id`, `span_id`, `trace_flags` or `tags`: the object would
/// have two.
///
/// ```
/// use json_subscriber::JsonLayer;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let mut layer = JsonLayer::stderr();
/// layer.with_event("event").with_level("severity");
/// throughline::log::add_to_json(&mut layer);
/// let subscriber = tracing_subscriber::registry().with(layer);
/// # drop(subscriber);
/// ```
pub fn add_to_json<S, W>(layer: &mut JsonLayer<S, W>)
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    read_by_logs();
    layer.add_multiple_dynamic_fields(|event, _context, writer| {
        // A member that cannot be written is left out, and the line stays whole.
        let _ = of_event(event.metadata()).members(|key, value| writer.write_field(key, value));
    });
}
