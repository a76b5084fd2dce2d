//! A span of our own tracer.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanId, Status};
use opentelemetry::{KeyValue, time};
use opentelemetry_sdk::trace::SpanData;

use super::buffer::TraceBuffer;
use super::decode::{self, kind_number};
use super::encoded::message;
use crate::context::local::{self, Inherited, Locked};
use crate::encoding::fields::{flags, state_of};
use crate::encoding::recycled::{recycle, recycled};
use crate::encoding::wire::{
    self, count_len, delimited_len, put_bytes, put_count, put_varint, span, status, varint_len,
};
use crate::tags::draft::Draft;
use crate::tags::scoped::EncodedTags;

/// A span that encodes itself.
///
/// What is set is encoded at once into a buffer of the span's own, and the whole span into the buffer of its trace when
/// it ends. Nothing else is allocated.
pub struct Span {
    context: SpanContext,
    /// `None` for a span that does not record.
    buffer: Option<Arc<TraceBuffer>>,
    /// The tags in scope, which the spans below inherit.
    tags: Option<EncodedTags>,
    /// `None` once the span has ended.
    draft: Option<Box<Draft>>,
}

/// Nanoseconds since the epoch. A time before it counts as the epoch, since OTLP's times have no sign.
#[inline]
pub(super) fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos()))
}

/// Writes a span as the field `spans` of `ScopeSpans`.
fn encode(draft: &Draft, out: &mut Vec<u8>, context: &SpanContext, tags: Option<&EncodedTags>, end: u64) {
    let fields = &draft.fields;
    let tags = tags.filter(|_| draft.has_tags);
    let (own, code) = (fields.keys(), draft.code.keys());
    let overrides = match tags {
        Some(tags) => {
            own.and(tags.keys()).overlaps(code) || own.overlaps(tags.keys()) && fields.has_any(|key| tags.has(key))
        }
        None => own.overlaps(code),
    };
    if overrides {
        let mut inherited = recycled();
        draft.code.put_without(&mut inherited, |key| fields.has(key));
        // A tag that is inherited says nothing of this code.
        tags.map(|tags| tags.put_without(&mut inherited, |key| fields.has(key) || draft.code.has(key)));
        put(draft, out, context, [&inherited, &[]], end);
        recycle(inherited);
    } else {
        put(draft, out, context, [draft.code.bytes(), tags.map_or(&[], EncodedTags::bytes)], end);
    }
}

/// Writes a span with these attributes besides its own.
fn put(draft: &Draft, out: &mut Vec<u8>, context: &SpanContext, inherited: [&[u8]; 2], end: u64) {
    let fields = &draft.fields;
    let (bytes, attributes, events, links) = (fields.bytes(), fields.attributes, fields.events, fields.links);
    let state = state_of(context);
    let state_len = if state.is_empty() { 0 } else { delimited_len(state.len()) };
    let status_len = match &draft.status {
        Status::Unset => 0,
        Status::Error { description } if !description.is_empty() => delimited_len(description.len()) + 2,
        _ => 2,
    };
    let has_losses = (attributes.dropped | events.dropped | links.dropped) > 0;
    let losses_len = if has_losses {
        count_len(attributes.dropped) + count_len(events.dropped) + count_len(links.dropped)
    } else {
        0
    };
    let has_parent = draft.parent != SpanId::INVALID;
    let len = IDS
        + if has_parent { PARENT } else { 0 }
        + state_len
        + delimited_len(draft.name.len())
        + KIND_TIMES_FLAGS
        + inherited[0].len()
        + inherited[1].len()
        + bytes.len()
        + losses_len
        + delimited_len(status_len);
    out.reserve(1 + varint_len(len as u64) + len);
    out.push(wire::SPANS);
    put_varint(out, len as u64);

    let mut fixed = [0; KIND_TIMES_FLAGS + IDS + PARENT];
    fixed[0] = span::KIND;
    fixed[1] = kind_number(&draft.kind);
    fixed[2] = span::START_TIME;
    fixed[3..11].copy_from_slice(&draft.start.to_le_bytes());
    fixed[11] = span::END_TIME;
    fixed[12..20].copy_from_slice(&end.to_le_bytes());
    fixed[20..22].copy_from_slice(&span::FLAGS);
    fixed[22..26].copy_from_slice(&flags(context.trace_flags().to_u8(), draft.is_parent_remote).to_le_bytes());
    fixed[26] = span::TRACE_ID;
    fixed[27] = 16;
    fixed[28..44].copy_from_slice(&context.trace_id().to_bytes());
    fixed[44] = span::SPAN_ID;
    fixed[45] = 8;
    fixed[46..54].copy_from_slice(&context.span_id().to_bytes());
    fixed[54] = span::PARENT_SPAN_ID;
    fixed[55] = 8;
    fixed[56..].copy_from_slice(&draft.parent.to_bytes());
    out.extend_from_slice(if has_parent { &fixed } else { &fixed[..KIND_TIMES_FLAGS + IDS] });

    put_bytes(out, span::NAME, draft.name.as_bytes());
    out.extend_from_slice(inherited[0]);
    out.extend_from_slice(bytes);
    out.extend_from_slice(inherited[1]);
    if !state.is_empty() {
        put_bytes(out, span::TRACE_STATE, state.as_bytes());
    }
    if has_losses {
        put_count(out, span::DROPPED_ATTRIBUTES, attributes.dropped);
        put_count(out, span::DROPPED_EVENTS, events.dropped);
        put_count(out, span::DROPPED_LINKS, links.dropped);
    }
    // Also if it is empty, as the SDK's exporter does: some collectors show what is there.
    out.push(span::STATUS);
    put_varint(out, status_len as u64);
    if status_len > 0 {
        let code = match &draft.status {
            Status::Error { description } => {
                if !description.is_empty() {
                    put_bytes(out, status::MESSAGE, description.as_bytes());
                }
                status::ERROR
            }
            _ => status::OK,
        };
        out.extend_from_slice(&[status::CODE, code]);
    }
}

/// The lengths of what every span has: trace id and span id; the parent's; kind, times and flags.
const IDS: usize = 18 + 10;
const PARENT: usize = 10;
const KIND_TIMES_FLAGS: usize = 2 + 9 + 9 + 6;

impl Span {
    /// A span that records nothing.
    pub(super) fn unrecorded(context: SpanContext) -> Self {
        Self { context, buffer: None, tags: None, draft: None }
    }

    pub(super) fn recording(
        context: SpanContext,
        buffer: Arc<TraceBuffer>,
        tags: Option<EncodedTags>,
        draft: Box<Draft>,
    ) -> Self {
        Self { context, buffer: Some(buffer), tags, draft: Some(draft) }
    }

    pub(super) fn context_is_valid(&self) -> bool {
        self.context.is_valid()
    }

    /// What has been recorded so far, in the SDK's type.
    fn data(&self, end: u64) -> Option<SpanData> {
        let draft = self.draft.as_ref()?;
        let scope = self.buffer.as_ref()?.provider().scopes.get(draft.scope)?;
        let mut bytes = recycled();
        encode(draft, &mut bytes, &self.context, self.tags.as_ref(), end);
        let data = decode::span(message(&bytes), &scope);
        recycle(bytes);
        Some(data)
    }

    /// What the span has started with.
    pub(super) fn data_so_far(&self) -> Option<SpanData> {
        self.data(self.draft.as_ref()?.start)
    }

    fn finish(&mut self, end: u64) {
        let (Some(buffer), true) = (&self.buffer, self.draft.is_some()) else { return };
        if !buffer.provider().observers.is_empty() {
            self.observe_end(buffer, end);
        }
        let Some(draft) = self.draft.take() else { return };
        if self.context.is_sampled() {
            let (context, tags) = (&self.context, self.tags.as_ref());
            buffer.add(draft.scope, draft.role, |out| encode(&draft, out, context, tags, end));
        }
        draft.recycle();
    }

    #[cold]
    fn observe_end(&self, buffer: &TraceBuffer, end: u64) {
        if buffer.provider().is_shut_down() {
            return;
        }
        if let Some(data) = self.data(end) {
            let _locked = Locked::new();
            buffer.provider().observers.iter().for_each(|observer| observer.ended(&data));
        }
    }
}

impl opentelemetry::trace::Span for Span {
    fn add_event_with_timestamp<T>(&mut self, name: T, timestamp: SystemTime, attributes: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        if let Some(draft) = &mut self.draft {
            draft.fields.add_event(&name.into(), nanos(timestamp), attributes, 0);
        }
    }

    fn span_context(&self) -> &SpanContext {
        &self.context
    }

    fn is_recording(&self) -> bool {
        self.draft.is_some()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        if let Some(draft) = &mut self.draft {
            draft.fields.set(attribute.key.as_str(), &attribute.value);
        }
    }

    /// `Ok` is final, and a later error replaces an earlier one.
    fn set_status(&mut self, status: Status) {
        if status == Status::Unset {
            local::answer(|| {
                let buffer = Arc::clone(self.buffer.as_ref()?);
                Some(Inherited { span_id: self.context.span_id(), buffer, tags: self.tags.clone() })
            });
        } else if let Some(draft) = &mut self.draft {
            if draft.status != Status::Ok {
                draft.status = status;
            }
        }
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        if let Some(draft) = &mut self.draft {
            draft.name = new_name.into();
        }
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        if let Some(draft) = &mut self.draft {
            draft.fields.add_link(&span_context, attributes, 0);
        }
    }

    fn end(&mut self) {
        if self.draft.is_some() {
            self.finish(nanos(time::now()));
        }
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        self.finish(nanos(timestamp));
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if self.draft.is_some() {
            self.finish(nanos(time::now()));
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Span")
            .field("name", &self.draft.as_ref().map(|draft| &draft.name))
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
