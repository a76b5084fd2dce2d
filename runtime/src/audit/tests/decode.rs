//! Spans decoded from our own encoding equal those converted from the SDK's type.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanContext, Status, TraceContextExt as _, TraceFlags, TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope};

use super::*;
use crate::audit::decode::Decoder;
use crate::tracer::decode;
use crate::tracer::encoded::{frames, message};
use crate::tracer::kept::Kept;

/// The spans that `record` records: converted from the SDK's type, and decoded, with the new attribute keys.
fn both(rules: &Rules, record: impl FnOnce(&crate::telemetry::Tracer)) -> Vec<(Span, Span, Vec<String>)> {
    let kept = Arc::new(Kept::default());
    let provider = crate::telemetry::TracerProvider::builder().with_sink(Arc::<Kept>::clone(&kept)).build();
    record(&provider.tracer("tests"));
    let mut decoder = Decoder::new("orders".into(), rules);
    let mut all = Vec::new();
    for spans in kept.take() {
        let scope = InstrumentationScope::builder("tests").build();
        for frame in frames(&spans.bytes) {
            let mut keys = Vec::new();
            let span = decode::span(message(frame), &scope);
            let ours = decoder.span(spans.trace_id, message(frame), |key| keys.push(key.to_owned()));
            all.push((Span::from_span_data(&span, "orders"), ours, keys));
        }
    }
    all
}

#[test]
fn everything_that_the_rules_need_is_decoded() {
    let rules = Rules::new().business_tag("tenant_id");
    let state = TraceState::NONE;
    let remote = SpanContext::new(TraceId::from(7), SpanId::from(9), TraceFlags::SAMPLED, true, state);
    let parent = Context::new().with_remote_span_context(remote);
    let all = both(&rules, |tracer| {
        let start = SystemTime::UNIX_EPOCH + Duration::from_millis(5);
        let mut span = tracer
            .span_builder("first")
            .with_kind(SpanKind::Consumer)
            .with_start_time(start)
            .with_attributes([
                KeyValue::new(semconv::CODE_FILE_PATH, "src/orders.rs"),
                KeyValue::new(semconv::CODE_LINE_NUMBER, 300),
                KeyValue::new(semconv::CODE_FUNCTION_NAME, "orders::place"),
                KeyValue::new("tenant_id", "acme"),
                KeyValue::new("left.out", 1),
                KeyValue::new(semconv::THROUGHLINE_JOB_QUEUE_TIME_US, 3),
            ])
            .start_with_context(tracer, &parent);
        span.add_event("left out", vec![KeyValue::new("a", 1)]);
        span.add_event("throughline.tag.missing", vec![KeyValue::new(semconv::THROUGHLINE_TAG_KEY, "order_no")]);
        span.add_link(SpanContext::new(1.into(), 2.into(), TraceFlags::SAMPLED, false, TraceState::NONE), Vec::new());
        span.set_status(Status::error("why"));
        span.end_with_timestamp(start + Duration::from_millis(1));
        let mut root = tracer.start_with_context("second", &Context::new());
        root.set_status(Status::Ok);
        root.end();
    });
    let [(first, first_decoded, keys), (second, second_decoded, none)] = &all[..] else { panic!("{all:?}") };
    assert_eq!((keys.len(), none.len()), (6, 0));
    let mut expected = first.clone();
    expected.place = first.code_place();
    expected
        .attributes
        .retain(|attribute| ["tenant_id", "throughline.job.queue_time_us"].contains(&attribute.key.as_str()));
    expected.events.remove(0);
    expected.scope = Arc::default();
    assert_eq!(*first_decoded, expected);
    assert_eq!(expected.place.as_ref().map(ToString::to_string).as_deref(), Some("src/orders.rs:300 (orders::place)"));
    assert_eq!((first_decoded.parent_is_remote, second_decoded.parent_is_remote), (Some(true), None));
    assert_eq!(*second_decoded, Span { scope: Arc::default(), ..second.clone() });
}

#[test]
fn a_received_message_is_found() {
    let all = both(&Rules::new(), |tracer| {
        let attributes = [
            KeyValue::new(semconv::MESSAGING_OPERATION_TYPE, "receive"),
            KeyValue::new(semconv::MESSAGING_MESSAGE_ID, "7"),
        ];
        let receive = tracer.span_builder("receive orders").with_kind(SpanKind::Consumer).with_attributes(attributes);
        receive.start_with_context(tracer, &Context::new()).end();
    });
    let [(whole, decoded, _)] = &all[..] else { panic!("{all:?}") };
    for span in [whole, decoded] {
        let report = audit(Rules::new(), [span.clone()]);
        assert_eq!(report.breaks.len(), 1, "{span:?}");
        assert_eq!(report.breaks[0].kind, BreakKind::UnparentedEntry);
    }
}

#[test]
fn names_and_places_are_interned() {
    let all = both(&Rules::new(), |tracer| {
        for _ in 0..2 {
            let attributes =
                [KeyValue::new(semconv::CODE_FILE_PATH, "src/a.rs"), KeyValue::new(semconv::CODE_LINE_NUMBER, 1)];
            tracer.span_builder("same").with_attributes(attributes).start_with_context(tracer, &Context::new()).end();
        }
    });
    let [(_, first, _), (_, second, _)] = &all[..] else { panic!("{all:?}") };
    assert!(Arc::ptr_eq(&first.name, &second.name));
    assert!(first.place.as_ref().zip(second.place.as_ref()).is_some_and(|(a, b)| Arc::ptr_eq(a, b)));
}
