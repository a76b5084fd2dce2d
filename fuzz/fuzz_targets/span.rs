#![no_main]

//! A span is encoded to the message that the SDK's exporter sends for the same span, as read by the types that are
//! generated from OTLP's definition.
//!
//! The input determines what is done with the span. Intended differences are excluded: of a key that is set twice, only
//! the last value is compared; empty keys are left out; and the status is set once.

#[path = "../../runtime/src/tracer/recipe.rs"]
mod recipe;

use std::time::{Duration, SystemTime};

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use opentelemetry::trace::{Event, Link, SpanBuilder, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_proto::tonic::trace::v1 as proto;
use prost::Message as _;

use recipe::{Ids, Recipe, Step, normalized};

/// Below each limit of the SDK (128 attributes, events and links), which counts dropped items differently.
const MAX_STEPS: usize = 24;
const MAX_LIST: usize = 6;

fuzz_target!(|data: &[u8]| {
    // Too little input makes a shorter span.
    let Ok(recipe) = recipe(&mut Unstructured::new(data)) else { return };
    let ours = throughline::__fuzzing::encoded(Ids, |tracer| recipe.clone().make(tracer));
    let [ours] = ours.as_slice() else { panic!("{} spans", ours.len()) };
    let ours = proto::Span::decode(ours.as_slice()).expect("the message is valid");
    assert_eq!(normalized(ours), normalized(recipe.expected()));
});

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
    // Some texts are so long that their encoded length takes several bytes.
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

/// An attribute, often with the same key as another one.
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
