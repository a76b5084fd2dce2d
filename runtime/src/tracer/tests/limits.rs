//! The limits for attributes, events, links and the length of values.

use opentelemetry_sdk::trace::SpanLimits;

use super::*;

#[test]
fn what_exceeds_a_limit_is_counted() {
    let limits = SpanLimits {
        max_attributes_per_span: 2,
        max_events_per_span: 1,
        max_links_per_span: 0,
        max_attributes_per_event: 1,
        max_attributes_per_link: 0,
    };
    let (provider, kept) = provider(|builder| builder.with_span_limits(limits).with_max_attribute_value_length(3));
    let mut span = provider.tracer("tests").start("span");
    for (key, value) in [("a", "äöüß"), ("b", "b"), ("c", "c"), ("b", "last")] {
        span.set_attribute(KeyValue::new(key, value));
    }
    for _ in 0..3 {
        span.add_event("event", vec![KeyValue::new("a", "12345"), KeyValue::new("b", 2)]);
    }
    span.add_link(
        SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, false, TraceState::NONE),
        vec![],
    );
    span.end();
    let data = only(&provider, &kept);
    assert_eq!(data.attributes, [KeyValue::new("a", "äöü"), KeyValue::new("b", "las")]);
    assert_eq!(data.dropped_attributes_count, 1);
    assert_eq!((data.events.events.len(), data.events.dropped_count), (1, 2));
    assert_eq!(data.events.events[0].attributes, [KeyValue::new("a", "123")]);
    assert_eq!(data.events.events[0].dropped_attributes_count, 1);
    assert_eq!((data.links.links.len(), data.links.dropped_count), (0, 1));
}

/// Records a span with `code.*` attributes below `parent`.
fn described(provider: &TracerProvider, parent: &Context) {
    use crate::context::data::Data;
    use crate::context::encoder::Encoder;
    use crate::encoding::code::CodeAttributes;
    use std::panic::Location;

    static CODE: CodeAttributes = CodeAttributes::new("order", "shop::order", Location::caller());
    let tracer = provider.tracer("tests");
    let mut draft = tracer.draft(parent, Data::of(parent)).expect("our own tracer");
    draft.code = &CODE;
    draft.describe(&"order".into(), &SpanKind::Internal);
    draft.inherit();
    Encoder::start(&tracer, draft, parent).span().end();
}

#[test]
fn attributes_of_every_source_are_truncated() {
    use crate::context::extensions::ContextExt as _;

    let (provider, kept) = provider(|builder| builder.with_max_attribute_value_length(4));
    let tagged = Context::new().with_tags([KeyValue::new("tenant", "äöüßäöü")]);
    described(&provider, &tagged);
    drop(provider.tracer("tests").start_with_context("theirs", &tagged));
    let spans: Vec<_> = kept.take().iter().flat_map(|spans| decoded(&provider, spans)).collect();
    let tenant = KeyValue::new("tenant", "äöüß");
    assert_eq!(spans[1].attributes, std::slice::from_ref(&tenant));
    assert_eq!(spans[0].name, "order");
    let text = |value: &Value| value.as_str().chars().count();
    assert!(spans[0].attributes.contains(&tenant), "{:?}", spans[0].attributes);
    assert!(spans[0].attributes.iter().all(|attribute| text(&attribute.value) <= 4), "{:?}", spans[0].attributes);
    assert_eq!((spans[0].attributes.len(), spans[0].dropped_attributes_count), (4, 0));
}

/// The limit applies to attributes. A log line shows the same tag whether or not its trace is sampled, and a tag that is
/// set again does not contradict the baggage.
#[test]
fn tags_in_scope_are_only_truncated_on_spans() {
    use crate::context::data;
    use crate::span::tracer::of;
    use opentelemetry::baggage::BaggageExt as _;

    const TENANT: &str = "acme corporation";
    let (provider, kept) = provider(|builder| builder.with_max_attribute_value_length(4));
    let context = data::edit(&Context::new(), |data| data.source = Some(of(&provider)));
    let _attached = context.with_baggage([KeyValue::new("tenant", TENANT)]).attach();
    let list = Value::Array(Array::String(vec!["first".into(), "second".into()]));
    let seen = || {
        let tags = crate::current_tags();
        assert_eq!(*tags, [KeyValue::new("tenant", TENANT), KeyValue::new("list", list.clone())]);
        let sent = Context::map_current(|context| context.baggage().get("tenant").map(ToString::to_string));
        assert_eq!(sent.as_deref(), Some(TENANT));
    };
    crate::span("outer").biz_tag("tenant", TENANT).biz_tag("list", &list).run(|| {
        seen();
        crate::span("plain").run(seen);
        crate::span("again").biz_tag("tenant", TENANT).tag("list", "own").run(seen);
        let theirs = provider.tracer("tests").start_with_context("theirs", &Context::current());
        crate::in_span("below", || drop(theirs));
    });
    let spans: Vec<_> = kept.take().iter().flat_map(|spans| decoded(&provider, spans)).collect();
    assert_eq!(spans.len(), 5);
    let truncated = KeyValue::new("list", Value::Array(Array::String(vec!["firs".into(), "seco".into()])));
    for span in spans {
        let attribute = |key: &str| span.attributes.iter().filter(|it| it.key.as_str() == key).collect::<Vec<_>>();
        assert_eq!(attribute("tenant"), [&KeyValue::new("tenant", "acme")], "{}", span.name);
        let expected = if span.name == "again" { &KeyValue::new("list", "own") } else { &truncated };
        assert_eq!(attribute("list"), [expected], "{}", span.name);
    }
}

#[test]
fn code_attributes_that_exceed_the_limit_are_counted() {
    for max in [0, 1, 2, 3, 4] {
        let (provider, kept) = provider(|builder| builder.with_max_attributes_per_span(max));
        described(&provider, &Context::new());
        let data = only(&provider, &kept);
        let expected = max.min(3);
        assert_eq!((data.attributes.len(), data.dropped_attributes_count), (expected as usize, 3 - expected), "{max}");
        assert_eq!(data.name, "order");
    }
}

#[test]
fn the_dropped_count_of_a_link_does_not_overflow() {
    let (provider, kept) = provider(|builder| builder.with_max_attributes_per_link(0));
    let other = SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, false, TraceState::NONE);
    let tracer = provider.tracer("tests");
    let link = Link::new(other, vec![KeyValue::new("a", 1)], u32::MAX);
    tracer.span_builder("span").with_links(vec![link]).start(&tracer).end();
    assert_eq!(only(&provider, &kept).links.links[0].dropped_attributes_count, u32::MAX);
}

#[test]
fn many_attributes_of_an_event_are_deduplicated() {
    let (provider, kept) = provider(|builder| builder.with_max_attributes_per_event(50));
    let mut span = provider.tracer("tests").start("span");
    let key = |n: i64| if n % 1_000 == 7 { String::new() } else { format!("key {}", n % 100) };
    span.add_event("event", (0..10_000).map(|n| KeyValue::new(key(n), n)).collect());
    span.end();
    let event = only(&provider, &kept).events.events.remove(0);
    let expected: Vec<_> = (9_900..9_950).map(|n| KeyValue::new(format!("key {}", n % 100), n)).collect();
    assert_eq!((event.attributes, event.dropped_attributes_count), (expected, 50));
}

/// Otherwise, an application that names tracers after its tenants would use more and more memory.
#[test]
fn the_number_of_scopes_is_bounded() {
    use crate::tracer::encoded::MAX_SCOPES;

    let (provider, kept) = provider(|builder| builder);
    for n in 0..2 * MAX_SCOPES {
        drop(provider.tracer(format!("tracer {n}")));
    }
    assert!(provider.shared().scopes.len() <= MAX_SCOPES + 1);
    for (n, expected) in [(0, "tracer 0"), (2 * MAX_SCOPES - 1, "(other)"), (2 * MAX_SCOPES, "(other)")] {
        provider.tracer(format!("tracer {n}")).start("span").end();
        assert_eq!(only(&provider, &kept).instrumentation_scope.name(), expected);
    }
}
