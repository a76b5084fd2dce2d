#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use json_subscriber::JsonLayer;
use json_subscriber::fmt::Layer;
use throughline::log;
use tracing::Subscriber;
use tracing_subscriber::registry::LookupSpan;

/// Creates a layer that writes each event as one line of JSON to standard output: the layer of [`json_subscriber`],
/// plus the IDs of the current OpenTelemetry span and the tags.
///
/// ```json
/// {"fields":{"message":"order placed","order_no":1001},"level":"INFO","target":"shop","timestamp":"2026-04-02T09:30:00.000000Z","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","trace_flags":"01","tags":{"tenant_id":"acme"}}
/// ```
///
/// `trace_id`, `span_id` and `trace_flags` follow the OpenTelemetry specification for [non-OTLP logs]. They are absent
/// outside of a trace, and `tags` is absent where no tag is set. The other options (writer, timer, target, thread,
/// flattening) are set on the returned layer; with flattening, see [`add_to`] for field names that must not be used.
/// Records of the `log` crate that arrive through `tracing-log` have the target `log`, and their own target and place
/// in fields (`log.target`, `log.file`, …).
///
/// Values are escaped as JSON requires and not otherwise, so that a reader gets them back unchanged. Of the characters
/// that [could disguise text](throughline::text::needs_escape), this covers the control characters below U+0020,
/// including line feeds. A program that displays values has to escape the others.
///
/// The IDs and tags are written to the line buffer without allocating.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let subscriber = tracing_subscriber::registry().with(throughline_json_subscriber::layer().with_current_span(false));
/// # drop(subscriber);
/// ```
///
/// [non-OTLP logs]: https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/
pub fn layer<S>() -> Layer<S>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    let mut layer = json_subscriber::fmt::layer();
    add_to(layer.inner_layer_mut());
    layer
}

/// Adds the IDs and tags to an existing layer, as [`layer`] does.
///
/// The members are added at the top level of the object. If event fields are flattened into it, an event must not have
/// a field named `trace_id`, `span_id`, `trace_flags` or `tags`: the object would have duplicate members.
///
/// ```
/// use json_subscriber::JsonLayer;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let mut layer = JsonLayer::stderr();
/// layer.with_event("event").with_level("severity");
/// throughline_json_subscriber::add_to(&mut layer);
/// let subscriber = tracing_subscriber::registry().with(layer);
/// # drop(subscriber);
/// ```
pub fn add_to<S, W>(layer: &mut JsonLayer<S, W>)
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    log::evaluate_unsampled_tags();
    layer.add_multiple_dynamic_fields(|event, _context, writer| {
        // A member that fails to serialize is omitted, and the line stays valid.
        let _ = log::current_of(event.metadata()).members(|key, value| writer.write_field(key, value));
    });
}
