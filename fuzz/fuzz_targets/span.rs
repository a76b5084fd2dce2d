#![no_main]

//! A span is encoded to the message that the SDK's exporter sends for the same span, as read by the types that are
//! generated from OTLP's definition.
//!
//! The input says what is done with the span. Where the two differ on purpose, it is not asked: a key that is set
//! twice is compared by its last value, a key that is empty is left out, and the status is set once.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use opentelemetry::trace::{
    Event, Link, Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags,
    TraceId, TraceState, Tracer, TracerProvider as _,
};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::trace::v1 as proto;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{IdGenerator, SdkTracerProvider, SpanData, SpanProcessor};
use prost::Message as _;

/// Below each limit of the SDK (128 attributes, events and links), which counts what it drops in another way.
const MAX_STEPS: usize = 24;
const MAX_LIST: usize = 6;

fuzz_target!(|data: &[u8]| {
    // Too little input makes a shorter span.
    let Ok(recipe) = recipe(&mut Unstructured::new(data)) else { return };
    let ours = throughline::__fuzzing::encoded(Ids, |tracer| recipe.clone().record(tracer));
    let [ours] = ours.as_slice() else { panic!("{} spans", ours.len()) };
    let ours = proto::Span::decode(ours.as_slice()).expect("the message is valid");
    assert_eq!(normalized(ours), normalized(expected(recipe)));
});

#[derive(Clone)]
enum Step {
    Attribute(KeyValue),
    Event(String, SystemTime, Vec<KeyValue>),
    Link(SpanContext, Vec<KeyValue>),
    Name(String),
}

#[derive(Clone)]
struct Recipe {
    builder: SpanBuilder,
    parent: Option<SpanContext>,
    steps: Vec<Step>,
    status: Status,
    end: SystemTime,
}

impl Recipe {
    fn record(self, tracer: &impl Tracer) {
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

fn recipe(input: &mut Unstructured<'_>) -> Result<Recipe> {
    let kinds = [SpanKind::Client, SpanKind::Server, SpanKind::Producer, SpanKind::Consumer, SpanKind::Internal];
    let builder = SpanBuilder {
        span_kind: Some(input.choose(&kinds)?.clone()),
        name: text(input)?.into(),
        start_time: Some(time(input)?),
        attributes: Some(attributes(input)?),
        events: Some(list(input, 3, |input| Ok(Event::new(text(input)?, time(input)?, attributes(input)?, 0)))?),
        links: Some(list(input, 3, |input| Ok(Link::new(context(input)?, attributes(input)?, 0)))?),
    };
    let parent = if input.arbitrary()? { Some(context(input)?) } else { None };
    let status = match input.int_in_range(0..=2)? {
        0 => Status::Unset,
        1 => Status::Ok,
        _ => Status::error(text(input)?),
    };
    let end = time(input)?;
    let steps = list(input, MAX_STEPS, |input| {
        Ok(match input.int_in_range(0..=7)? {
            0 => Step::Name(text(input)?),
            1 => Step::Link(context(input)?, attributes(input)?),
            2 | 3 => Step::Event(text(input)?, time(input)?, attributes(input)?),
            _ => Step::Attribute(attribute(input)?),
        })
    })?;
    Ok(Recipe { builder, parent, steps, status, end })
}

fn list<'a, T>(
    input: &mut Unstructured<'a>,
    max: usize,
    item: impl Fn(&mut Unstructured<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let length = input.int_in_range(0..=max)?;
    (0..length).map(|_| item(input)).collect()
}

fn text(input: &mut Unstructured<'_>) -> Result<String> {
    // Some of them need a length of several bytes.
    let times = if input.ratio(1, 16)? { input.int_in_range(1..=300)? } else { 1 };
    Ok(input.arbitrary::<&str>()?.repeat(times))
}

fn time(input: &mut Unstructured<'_>) -> Result<SystemTime> {
    Ok(SystemTime::UNIX_EPOCH + Duration::from_nanos(input.arbitrary()?))
}

/// Values are compared, so none is NaN.
fn number(input: &mut Unstructured<'_>) -> Result<f64> {
    let number: f64 = input.arbitrary()?;
    Ok(if number.is_nan() { -0.0 } else { number })
}

fn attributes(input: &mut Unstructured<'_>) -> Result<Vec<KeyValue>> {
    list(input, MAX_LIST, attribute)
}

/// Keys that are often the same.
fn attribute(input: &mut Unstructured<'_>) -> Result<KeyValue> {
    let key = match input.int_in_range(0..=5)? {
        0 => text(input)?,
        known => ["", "a", "b", "c", "d", "e"][known].to_owned(),
    };
    let value = match input.int_in_range(0..=7)? {
        0 => Value::Bool(input.arbitrary()?),
        1 => Value::I64(input.arbitrary()?),
        2 => Value::F64(number(input)?),
        3 => Value::Array(Array::Bool(list(input, 200, |input| input.arbitrary())?)),
        4 => Value::Array(Array::I64(list(input, MAX_LIST, |input| input.arbitrary())?)),
        5 => Value::Array(Array::F64(list(input, MAX_LIST, number)?)),
        6 => Value::Array(Array::String(list(input, MAX_LIST, |input| Ok(StringValue::from(text(input)?)))?)),
        _ => Value::from(text(input)?),
    };
    Ok(KeyValue::new(key, value))
}

fn context(input: &mut Unstructured<'_>) -> Result<SpanContext> {
    let members = list(input, 3, |input| {
        Ok((format!("k{}", input.int_in_range(0..=9)?), input.arbitrary::<u16>()?.to_string()))
    })?;
    let state = TraceState::from_key_value(members).unwrap_or(TraceState::NONE);
    let (trace, span) = (input.arbitrary::<u128>()?.max(1), input.arbitrary::<u64>()?.max(1));
    Ok(SpanContext::new(trace.into(), span.into(), TraceFlags::SAMPLED, input.arbitrary()?, state))
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

#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Option<SpanData>>>);

impl SpanProcessor for Kept {
    fn on_start(&self, _span: &mut opentelemetry_sdk::trace::Span, _parent: &Context) {}

    fn on_end(&self, span: SpanData) {
        *self.0.lock().expect("nobody panics with it") = Some(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// What the SDK's exporter sends.
fn expected(recipe: Recipe) -> proto::Span {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder().with_id_generator(Ids).with_span_processor(kept.clone()).build();
    recipe.record(&provider.tracer("fuzz"));
    kept.0.lock().expect("nobody panics with it").take().expect("it has ended").into()
}

fn normalized(mut span: proto::Span) -> proto::Span {
    unique(&mut span.attributes);
    span.events.iter_mut().for_each(|event| unique(&mut event.attributes));
    span.links.iter_mut().for_each(|link| unique(&mut link.attributes));
    span
}

/// Leaves the last value of each key, and none of an empty one. The SDK sends them all, which the specification forbids.
fn unique(attributes: &mut Vec<common::KeyValue>) {
    let mut seen = std::collections::HashSet::new();
    attributes.retain(|attribute| !attribute.key.is_empty());
    attributes.reverse();
    attributes.retain(|attribute| seen.insert(attribute.key.clone()));
    attributes.sort_by(|left, right| left.key.cmp(&right.key));
}
