//! A span is encoded to the message that the SDK's exporter sends for the same span.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Event, Link, Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags,
    TraceId, TraceState, Tracer, TracerProvider as _,
};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::trace::v1 as proto;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{IdGenerator, SdkTracerProvider, SpanData, SpanProcessor};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::TracerProvider;
use super::encoded::{EncodedSpans, SpanSink, frames, message};
use crate::encoding::reader::Reader;
use crate::encoding::wire;

#[derive(Debug, Clone)]
enum Step {
    Attribute(KeyValue),
    Event(String, SystemTime, Vec<KeyValue>),
    Link(SpanContext, Vec<KeyValue>),
    Name(String),
}

/// How a span is made.
#[derive(Debug, Clone)]
struct Recipe {
    builder: SpanBuilder,
    parent: Option<SpanContext>,
    steps: Vec<Step>,
    /// Once, because the SDK orders statuses otherwise.
    status: Status,
    end: SystemTime,
}

impl Recipe {
    fn make(self, tracer: &impl Tracer) {
        let parent = self.parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let mut span = tracer.build_with_context(self.builder, &parent);
        for step in self.steps {
            match step {
                Step::Attribute(attribute) => span.set_attribute(attribute),
                Step::Event(name, time, attributes) => span.add_event_with_timestamp(name, time, attributes),
                Step::Link(context, attributes) => span.add_link(context, attributes),
                Step::Name(name) => span.update_name(name),
            }
        }
        span.set_status(self.status);
        span.end_with_timestamp(self.end);
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![8 => ".{0,20}", 1 => ".{100,400}"]
}

fn time() -> impl Strategy<Value = SystemTime> {
    any::<u64>().prop_map(|nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos))
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

/// Keys that are often the same.
fn attribute() -> impl Strategy<Value = KeyValue> {
    (prop_oneof![4 => "[a-e]", 1 => ".{1,200}"], value()).prop_map(|(key, value)| KeyValue::new(key, value))
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(attribute(), 0..8)
}

fn context() -> impl Strategy<Value = SpanContext> {
    let state = vec(("[a-z]{1,5}", "[a-z0-9]{1,9}"), 0..3)
        .prop_map(|pairs| TraceState::from_key_value(pairs).unwrap_or(TraceState::NONE));
    (1..u128::MAX, 1..u64::MAX, any::<bool>(), state).prop_map(|(trace, span, is_remote, state)| {
        SpanContext::new(TraceId::from(trace), SpanId::from(span), TraceFlags::SAMPLED, is_remote, state)
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => attribute().prop_map(Step::Attribute),
        2 => (text(), time(), attributes()).prop_map(|(name, time, list)| Step::Event(name, time, list)),
        1 => (context(), attributes()).prop_map(|(context, list)| Step::Link(context, list)),
        1 => text().prop_map(Step::Name),
    ]
}

fn builder() -> impl Strategy<Value = SpanBuilder> {
    // No attributes that were dropped before: the SDK forgets how many there were.
    let kinds = [SpanKind::Client, SpanKind::Server, SpanKind::Producer, SpanKind::Consumer, SpanKind::Internal];
    let events =
        vec((text(), time(), attributes()).prop_map(|(name, time, list)| Event::new(name, time, list, 0)), 0..3);
    let links = vec((context(), attributes()).prop_map(|(context, list)| Link::new(context, list, 0)), 0..3);
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

/// The ids of every span.
#[derive(Debug)]
struct Ids;

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10)
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(0x1112_1314_1516_1718)
    }
}

#[derive(Debug, Clone)]
struct Kept<T>(Arc<Mutex<Vec<T>>>);

impl<T> Kept<T> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn push(&self, kept: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
    }

    fn only(&self) -> T {
        let mut all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        assert_eq!(all.len(), 1);
        all.remove(0)
    }
}

impl SpanProcessor for Kept<SpanData> {
    fn on_start(&self, _span: &mut opentelemetry_sdk::trace::Span, _parent: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl SpanSink for Kept<EncodedSpans> {
    fn push(&self, spans: &EncodedSpans<Vec<u8>>) {
        Self::push(self, spans.with(spans.bytes.as_slice().into()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// What the SDK's exporter sends.
fn expected(recipe: Recipe) -> proto::Span {
    let kept = Kept::new();
    let provider = SdkTracerProvider::builder().with_id_generator(Ids).with_span_processor(kept.clone()).build();
    recipe.make(&provider.tracer("test"));
    kept.only().into()
}

/// What we send.
fn encoded(recipe: Recipe) -> proto::Span {
    proto::Span::decode(&*encoded_bytes(recipe)).expect("it is valid")
}

fn encoded_bytes(recipe: Recipe) -> Vec<u8> {
    let kept = Kept::new();
    let provider = TracerProvider::builder().with_id_generator(Ids).with_sink(Arc::new(kept.clone())).build();
    recipe.make(&provider.tracer("test"));
    let spans: EncodedSpans = kept.only();
    let frames: Vec<_> = frames(&spans.bytes).collect();
    assert_eq!((frames.len(), spans.count), (1, 1));
    message(frames[0]).to_owned()
}

/// The fields of a message in the order of their numbers; encoders may choose another.
fn fields(message: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut reader = Reader::new(message);
    let mut fields: Vec<_> =
        std::iter::from_fn(|| reader.field()).map(|field| (field.number_and_type, field.value, field.bytes)).collect();
    assert_eq!(reader.left(), 0, "it is valid");
    fields.sort_unstable();
    fields
}

/// Left out, it would mean the same, but some collectors show what is there.
#[test]
fn a_status_that_is_not_set_is_written_as_the_sdk_writes_it() {
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let builder = SpanBuilder { start_time: Some(start), ..SpanBuilder::from_name("bare") };
    let end = start + Duration::from_secs(1);
    let recipe = Recipe { builder, parent: None, steps: Vec::new(), status: Status::Unset, end };
    let (ours, theirs) = (encoded_bytes(recipe.clone()), expected(recipe).encode_to_vec());
    let status = (u64::from(wire::span::STATUS), 0, &[][..]);
    assert!(fields(&theirs).contains(&status), "the SDK writes an empty status");
    assert_eq!(fields(&ours), fields(&theirs));
}

/// Leaves the last value of each key. The SDK sends them all, which the specification forbids.
fn unique(attributes: &mut Vec<common::KeyValue>) {
    let mut at = 0;
    while at < attributes.len() {
        let key = &attributes[at].key;
        if attributes[at + 1..].iter().any(|later| later.key == *key) {
            attributes.remove(at);
        } else {
            at += 1;
        }
    }
    attributes.sort_by(|left, right| left.key.cmp(&right.key));
}

fn normalized(mut span: proto::Span) -> proto::Span {
    unique(&mut span.attributes);
    for event in &mut span.events {
        unique(&mut event.attributes);
    }
    for link in &mut span.links {
        unique(&mut link.attributes);
    }
    span
}

proptest! {
    #[test]
    fn a_span_is_encoded_as_the_sdk_encodes_it(recipe in recipe()) {
        let (ours, theirs) = (normalized(encoded(recipe.clone())), normalized(expected(recipe)));
        // Field by field, because a message is long.
        prop_assert_eq!(&ours.attributes, &theirs.attributes);
        prop_assert_eq!(&ours.events, &theirs.events);
        prop_assert_eq!(&ours.links, &theirs.links);
        prop_assert_eq!(ours, theirs);
    }
}
