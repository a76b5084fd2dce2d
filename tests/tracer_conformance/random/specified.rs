//! Corrects the spans of the SDK where they deviate from the specification.

use opentelemetry::Array;

use super::*;

/// Calls a sampler as the specification requires: without a parent if the parent is invalid. The SDK passes it on.
#[derive(Debug, Clone)]
pub(super) struct Specified<S> {
    pub(super) sampler: S,
    pub(super) is_sdk: bool,
}

impl<S: ShouldSample + Clone + 'static> ShouldSample for Specified<S> {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let none = Context::new();
        let parent = parent.map(|parent| {
            let is_valid = parent.span().span_context().is_valid();
            assert!(is_valid || self.is_sdk || !parent.has_active_span());
            if is_valid { parent } else { &none }
        });
        self.sampler.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

/// Applies the limits to a span of the SDK, which was recorded without limits, and removes what the SDK should not
/// keep.
pub(super) fn apply(span: &mut SpanData, limits: &SpanLimits) {
    span.dropped_attributes_count = set_all(&mut span.attributes, limits.max_attributes_per_span);
    span.start_time = encodable(span.start_time);
    span.end_time = encodable(span.end_time);

    let events = &mut span.events.events;
    span.events.dropped_count = keep(events, limits.max_events_per_span);
    for event in events {
        event.timestamp = encodable(event.timestamp);
        event.dropped_attributes_count = unique(&mut event.attributes, limits.max_attributes_per_event);
    }

    let links = &mut span.links.links;
    // "Link": an invalid one is recorded if it has attributes or a trace state.
    links.retain(|link| {
        let context = &link.span_context;
        context.is_valid() || !link.attributes.is_empty() || !context.trace_state().header().is_empty()
    });
    span.links.dropped_count = keep(links, limits.max_links_per_span);
    for link in links {
        link.dropped_attributes_count = unique(&mut link.attributes, limits.max_attributes_per_link);
    }
}

fn keep<T>(all: &mut Vec<T>, max: u32) -> u32 {
    let dropped = all.len().saturating_sub(max as usize);
    all.truncate(max as usize);
    u32::try_from(dropped).expect("few")
}

/// Removes the dropped counts, which the copy of our span that a processor sees in `on_start` does not have.
pub(super) fn forget_counts(span: &mut SpanData) {
    (span.dropped_attributes_count, span.events.dropped_count, span.links.dropped_count) = (0, 0, 0);
    span.events.events.iter_mut().for_each(|event| event.dropped_attributes_count = 0);
    span.links.links.iter_mut().for_each(|link| link.dropped_attributes_count = 0);
}

/// "Set Attributes", one by one: an attribute replaces an earlier one with the same key, an empty key is invalid, and
/// attributes beyond the limit are counted.
fn set_all(attributes: &mut Vec<KeyValue>, max: u32) -> u32 {
    let mut dropped = 0;
    for attribute in std::mem::take(attributes) {
        if attribute.key.as_str().is_empty() {
            continue;
        }
        attributes.retain(|known| known.key != attribute.key);
        if attributes.len() < max as usize {
            attributes.push(with_type(attribute));
        } else {
            dropped += 1;
        }
    }
    dropped
}

/// Deduplicates the attributes of an event or a link, which are set at once: the last value of a key applies.
fn unique(attributes: &mut Vec<KeyValue>, max: u32) -> u32 {
    set_all(attributes, u32::MAX);
    keep(attributes, max)
}

/// In OTLP, an empty array has no element type, and becomes an array of strings.
fn with_type(mut attribute: KeyValue) -> KeyValue {
    if let Value::Array(Array::Bool(_) | Array::I64(_) | Array::F64(_)) = &attribute.value {
        if attribute.value.as_str() == "[]" {
            attribute.value = Value::Array(Array::String(Vec::new()));
        }
    }
    attribute
}

/// Times in OTLP are unsigned nanoseconds since the epoch.
fn encodable(time: SystemTime) -> SystemTime {
    let last = SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::MAX);
    time.clamp(SystemTime::UNIX_EPOCH, last)
}

/// Compares two spans field by field. Values are compared as text, because a number may be NaN.
pub(super) fn compare(ours: &SpanData, theirs: &SpanData) -> Result<(), TestCaseError> {
    let (span, parent) = (&ours.span_context, ours.parent_span_id);
    prop_assert_eq!(span.span_id(), theirs.span_context.span_id());
    prop_assert_eq!(span.trace_id(), theirs.span_context.trace_id());
    prop_assert_eq!(span.trace_state(), theirs.span_context.trace_state());
    prop_assert_eq!(span.is_sampled(), theirs.span_context.is_sampled());
    prop_assert_eq!((parent, ours.parent_span_is_remote), (theirs.parent_span_id, theirs.parent_span_is_remote));
    prop_assert_eq!((&ours.name, &ours.span_kind), (&theirs.name, &theirs.span_kind));
    prop_assert_eq!((ours.start_time, ours.end_time), (theirs.start_time, theirs.end_time));
    prop_assert_eq!(&ours.status, &theirs.status);
    prop_assert_eq!(format!("{:?}", ours.attributes), format!("{:?}", theirs.attributes));
    prop_assert_eq!(format!("{:?}", ours.events.events), format!("{:?}", theirs.events.events));
    prop_assert_eq!(format!("{:?}", ours.links.links), format!("{:?}", theirs.links.links));
    let dropped =
        |span: &SpanData| (span.dropped_attributes_count, span.events.dropped_count, span.links.dropped_count);
    prop_assert_eq!(dropped(ours), dropped(theirs));
    prop_assert_eq!(&ours.instrumentation_scope, &theirs.instrumentation_scope);
    Ok(())
}
