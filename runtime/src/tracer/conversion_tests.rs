//! Compares the encoding of spans with the messages that the SDK's exporter sends for the same spans.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Event, Link, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
    TracerProvider as _,
};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_proto::tonic::trace::v1 as proto;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::TracerProvider;
use super::encoded::{frames, message};
use super::kept::Kept;
use super::recipe::{Ids, Recipe, Step, normalized};
use crate::encoding::reader::Reader;
use crate::encoding::wire;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![8 => ".{0,20}", 1 => ".{100,400}"]
}

/// Times in OTLP are unsigned: times before the epoch are sent as the epoch.
fn time() -> impl Strategy<Value = SystemTime> {
    prop_oneof![
        8 => any::<u64>().prop_map(|nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)),
        1 => any::<u32>().prop_map(|secs| SystemTime::UNIX_EPOCH - Duration::from_secs(secs.into())),
    ]
}

fn number() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{INFINITE, NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO | INFINITE
}

fn value() -> impl Strategy<Value = Value> {
    let texts = vec(text().prop_map(StringValue::from), 0..4);
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        number().prop_map(Value::F64),
        text().prop_map(Value::from),
        vec(any::<bool>(), 0..200).prop_map(|values| Value::Array(Array::Bool(values))),
        vec(any::<i64>(), 0..4).prop_map(|values| Value::Array(Array::I64(values))),
        vec(number(), 0..4).prop_map(|values| Value::Array(Array::F64(values))),
        texts.prop_map(|values| Value::Array(Array::String(values))),
    ]
}

/// Attributes whose keys often collide.
fn attribute() -> impl Strategy<Value = KeyValue> {
    (prop_oneof![4 => "[a-e]", 1 => ".{1,200}"], value()).prop_map(|(key, value)| KeyValue::new(key, value))
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(attribute(), 0..8)
}

fn context() -> impl Strategy<Value = SpanContext> {
    let state = vec(("[a-z]{1,5}", "[a-z0-9]{1,9}"), 0..3)
        .prop_map(|pairs| TraceState::from_key_value(pairs).unwrap_or(TraceState::NONE));
    (1..u128::MAX, 1..u64::MAX, any::<u8>(), any::<bool>(), state).prop_map(|(trace, span, flags, is_remote, state)| {
        let flags = TraceFlags::new(flags).with_sampled(true);
        SpanContext::new(TraceId::from(trace), SpanId::from(span), flags, is_remote, state)
    })
}

/// A linked span may be unsampled. It may even be invalid, if the link has a trace state.
fn linked() -> impl Strategy<Value = SpanContext> {
    let as_it_is = (context(), any::<u8>(), any::<bool>()).prop_map(|(context, flags, has_span)| {
        let span_id = if has_span { context.span_id() } else { SpanId::INVALID };
        let state = TraceState::from_key_value([("k", "v")]).expect("a valid trace state");
        SpanContext::new(context.trace_id(), span_id, TraceFlags::new(flags), context.is_remote(), state)
    });
    prop_oneof![context(), as_it_is]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => attribute().prop_map(Step::Attribute),
        2 => (text(), time(), attributes()).prop_map(|(name, time, list)| Step::Event(name, time, list)),
        1 => (linked(), attributes()).prop_map(|(context, list)| Step::Link(context, list)),
        1 => text().prop_map(Step::Name),
    ]
}

fn builder() -> impl Strategy<Value = SpanBuilder> {
    let kinds = [SpanKind::Client, SpanKind::Server, SpanKind::Producer, SpanKind::Consumer, SpanKind::Internal];
    let events =
        vec((text(), time(), attributes()).prop_map(|(name, time, list)| Event::new(name, time, list, 0)), 0..3);
    let links = vec((linked(), attributes()).prop_map(|(context, list)| Link::new(context, list, 0)), 0..3);
    (text(), prop::sample::select(kinds.to_vec()), time(), attributes(), events, links).prop_map(
        |(name, kind, start, attributes, events, links)| SpanBuilder {
            span_kind: Some(kind),
            name: name.into(),
            start_time: Some(start),
            attributes: Some(attributes),
            events: Some(events),
            links: Some(links),
        },
    )
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Unset), Just(Status::Ok), text().prop_map(Status::error)]
}

fn recipe() -> impl Strategy<Value = Recipe> {
    (builder(), prop::option::of(context()), vec(step(), 0..12), status(), time())
        .prop_map(|(builder, parent, steps, status, end)| Recipe { builder, parent, steps, status, end })
}

/// The message that we send.
fn encoded(recipe: Recipe) -> proto::Span {
    proto::Span::decode(&*encoded_bytes(recipe)).expect("a valid message")
}

fn encoded_bytes(recipe: Recipe) -> Vec<u8> {
    let kept = Arc::new(Kept::default());
    let provider = TracerProvider::builder().with_id_generator(Ids).with_sink(Arc::<Kept>::clone(&kept)).build();
    recipe.make(&provider.tracer("test"));
    let taken = kept.take();
    let [spans] = &*taken else { panic!("{} buffers", taken.len()) };
    let frames: Vec<_> = frames(&spans.bytes).collect();
    assert_eq!((frames.len(), spans.count), (1, 1));
    message(frames[0]).to_owned()
}

/// The fields of a message, sorted by number: encoders may choose any order.
fn fields(message: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut reader = Reader::new(message);
    let mut fields: Vec<_> =
        std::iter::from_fn(|| reader.field()).map(|field| (field.number_and_type, field.value, field.bytes)).collect();
    assert_eq!(reader.left(), 0, "the message is valid");
    fields.sort_unstable();
    fields
}

/// Omitting it would mean the same, but some collectors show only fields that are present.
#[test]
fn an_unset_status_is_written_as_by_the_sdk() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let builder = SpanBuilder { start_time: Some(start), ..SpanBuilder::from_name("bare") };
    let end = start + Duration::from_secs(1);
    let recipe = Recipe { builder, parent: None, steps: Vec::new(), status: Status::Unset, end };
    let (ours, theirs) = (encoded_bytes(recipe.clone()), recipe.expected().encode_to_vec());
    let status = (u64::from(wire::span::STATUS), 0, &[][..]);
    assert!(fields(&theirs).contains(&status), "the SDK writes an empty status");
    assert_eq!(fields(&ours), fields(&theirs));
}

proptest! {
    #[test]
    fn a_span_is_encoded_as_the_sdk_encodes_it(recipe in recipe()) {
        let (ours, theirs) = (normalized(encoded(recipe.clone())), normalized(recipe.expected()));
        // Field by field first, for shorter failure messages.
        prop_assert_eq!(&ours.attributes, &theirs.attributes);
        prop_assert_eq!(&ours.events, &theirs.events);
        prop_assert_eq!(&ours.links, &theirs.links);
        prop_assert_eq!(ours, theirs);
    }
}
