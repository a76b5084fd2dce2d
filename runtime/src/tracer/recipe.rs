//! A span that can be recorded in the same way with any tracer, and the message that the SDK's exporter sends for it.
//!
//! Shared by a test of this crate and the fuzz target `span`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, Status, TraceContextExt as _, TraceId, Tracer, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::trace::v1 as proto;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{IdGenerator, SdkTracerProvider, SpanData, SpanProcessor};

#[derive(Debug, Clone)]
pub(super) enum Step {
    Attribute(KeyValue),
    Event(String, SystemTime, Vec<KeyValue>),
    Link(SpanContext, Vec<KeyValue>),
    Name(String),
}

/// How to record a span.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    /// Without dropped counts, which the SDK discards.
    pub(super) builder: SpanBuilder,
    pub(super) parent: Option<SpanContext>,
    pub(super) steps: Vec<Step>,
    /// Set only once, because the SDK has another order of precedence.
    pub(super) status: Status,
    pub(super) end: SystemTime,
}

impl Recipe {
    pub(super) fn make(self, tracer: &impl Tracer) {
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

    /// The message that the SDK's exporter sends.
    pub(super) fn expected(self) -> proto::Span {
        let last = Last::default();
        let provider = SdkTracerProvider::builder().with_id_generator(Ids).with_span_processor(last.clone()).build();
        self.make(&provider.tracer("test"));
        let mut last = last.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.take().expect("the span has ended").into()
    }
}

/// Gives every span the same IDs.
#[derive(Debug)]
pub(super) struct Ids;

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10)
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(0x1112_1314_1516_1718)
    }
}

/// Keeps the span that ended last.
#[derive(Debug, Clone, Default)]
struct Last(Arc<Mutex<Option<SpanData>>>);

impl SpanProcessor for Last {
    fn on_start(&self, _span: &mut opentelemetry_sdk::trace::Span, _parent: &Context) {}

    fn on_end(&self, span: SpanData) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The span as the specification requires it: only the last value of each key, and no empty keys. The SDK sends all.
pub(super) fn normalized(mut span: proto::Span) -> proto::Span {
    unique(&mut span.attributes);
    span.events.iter_mut().for_each(|event| unique(&mut event.attributes));
    span.links.iter_mut().for_each(|link| unique(&mut link.attributes));
    span
}

fn unique(attributes: &mut Vec<common::KeyValue>) {
    let mut seen = HashSet::new();
    attributes.retain(|attribute| !attribute.key.is_empty());
    attributes.reverse();
    attributes.retain(|attribute| seen.insert(attribute.key.clone()));
    attributes.sort_by(|left, right| left.key.cmp(&right.key));
}
