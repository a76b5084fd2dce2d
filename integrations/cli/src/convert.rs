//! Converts the spans of OTLP to those of an audit.

use std::collections::HashSet;
use std::sync::Arc;

use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use opentelemetry_proto::tonic::common::v1::{self as common, any_value};
use opentelemetry_proto::tonic::trace::v1::{self as otlp, ResourceSpans, SpanFlags, span, status};
use throughline::audit::{Event, Link, Span};

use crate::dump::Dump;

/// Interns names, because there are few names and many spans.
#[derive(Debug, Default)]
pub(crate) struct Converter {
    names: HashSet<Arc<str>>,
    /// The sum of their lengths.
    bytes: usize,
}

/// The limits on interned names. If names contain IDs or statements, they may not fit into the memory.
const MAX_NAMES: usize = 1 << 16;
const MAX_BYTES: usize = 16 << 20;

impl Converter {
    pub(crate) fn convert(&mut self, spans: ResourceSpans, dump: &mut Dump, sink: &mut dyn FnMut(Span)) {
        let service = spans.resource.as_ref().and_then(service_name).unwrap_or_default();
        let service = self.name(service);
        for scope in spans.scope_spans {
            let name = self.name(scope.scope.as_ref().map_or("", |scope| &scope.name));
            for span in scope.spans {
                match self.span(span, &service, &name) {
                    Some(span) => {
                        dump.spans += 1;
                        sink(span);
                    }
                    None => dump.invalid += 1,
                }
            }
        }
    }

    /// `None` if the trace ID, the span ID or the parent's ID is not valid.
    fn span(&mut self, from: otlp::Span, service: &Arc<str>, scope: &Arc<str>) -> Option<Span> {
        let mut span = Span::new(trace_id(&from.trace_id)?, span_id(&from.span_id)?, self.name(&from.name));
        span.service = Arc::clone(service);
        span.scope = Arc::clone(scope);
        // Without a parent, the ID is empty or zero.
        if from.parent_span_id.iter().any(|byte| *byte != 0) {
            span.parent_id = Some(span_id(&from.parent_span_id)?);
        }
        let flag = |flag: SpanFlags| from.flags & flag as u32 != 0;
        span.parent_is_remote = flag(SpanFlags::ContextHasIsRemoteMask).then(|| flag(SpanFlags::ContextIsRemoteMask));
        // Many tracers omit the trace flags, even if they set those that say whether the parent is remote.
        let trace_flags = from.flags & SpanFlags::TraceFlagsMask as u32;
        span.is_sampled = (trace_flags != 0).then_some(trace_flags & 1 != 0);
        span.kind = match from.kind() {
            span::SpanKind::Server => SpanKind::Server,
            span::SpanKind::Client => SpanKind::Client,
            span::SpanKind::Producer => SpanKind::Producer,
            span::SpanKind::Consumer => SpanKind::Consumer,
            span::SpanKind::Internal | span::SpanKind::Unspecified => SpanKind::Internal,
        };
        span.start = from.start_time_unix_nano;
        span.end = Some(from.end_time_unix_nano).filter(|&end| end != 0);
        span.is_error = from.status.is_some_and(|status| status.code() == status::StatusCode::Error);
        span.attributes = self.attributes(from.attributes);
        span.events = from
            .events
            .into_iter()
            .map(|event| Event::new(self.name(&event.name), event.time_unix_nano, self.attributes(event.attributes)))
            .collect();
        let links = from.links.iter();
        span.links =
            links.filter_map(|link| Some(Link::new(trace_id(&link.trace_id)?, span_id(&link.span_id)?))).collect();
        Some(span)
    }

    fn attributes(&mut self, from: Vec<common::KeyValue>) -> Vec<KeyValue> {
        let pairs = from.into_iter().filter_map(|pair| Some((pair.key, value(pair.value?.value?))));
        pairs.map(|(key, value)| KeyValue::new(Key::from(self.name(&key)), value)).collect()
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        if self.names.len() < MAX_NAMES && self.bytes + new.len() <= MAX_BYTES {
            self.bytes += new.len();
            self.names.insert(Arc::clone(&new));
        }
        new
    }
}

fn service_name(resource: &opentelemetry_proto::tonic::resource::v1::Resource) -> Option<&str> {
    let name = resource.attributes.iter().find(|attribute| attribute.key == "service.name")?;
    match name.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(name) => Some(name),
        _ => None,
    }
}

fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    let id = TraceId::from_bytes(bytes.try_into().ok()?);
    (id != TraceId::INVALID).then_some(id)
}

fn span_id(bytes: &[u8]) -> Option<SpanId> {
    let id = SpanId::from_bytes(bytes.try_into().ok()?);
    (id != SpanId::INVALID).then_some(id)
}

/// Lists become lists of text, and values without a type in OpenTelemetry's API become text.
fn value(from: any_value::Value) -> Value {
    match from {
        any_value::Value::StringValue(text) => text.into(),
        any_value::Value::BoolValue(value) => value.into(),
        any_value::Value::IntValue(value) => value.into(),
        any_value::Value::DoubleValue(value) => value.into(),
        any_value::Value::ArrayValue(list) => {
            let texts = list.values.into_iter().filter_map(|element| Some(value(element.value?)));
            Value::Array(Array::String(texts.map(|text| StringValue::from(text.to_string())).collect()))
        }
        any_value::Value::BytesValue(bytes) => format!("{} bytes", bytes.len()).into(),
        other => format!("{other:?}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interned_names_are_bounded_in_number_and_length() {
        let is_shared = |converter: &mut Converter, name: &str| {
            let first = converter.name(name);
            Arc::ptr_eq(&first, &converter.name(name))
        };
        let mut converter = Converter::default();
        let long = ["a", "b", "c"].map(|letter| letter.repeat(MAX_BYTES / 2));
        assert_eq!(long.map(|name| is_shared(&mut converter, &name)), [true, true, false]);

        let mut converter = Converter::default();
        let shared = (0..=MAX_NAMES).filter(|number| is_shared(&mut converter, &number.to_string())).count();
        assert_eq!(shared, MAX_NAMES);
    }
}
