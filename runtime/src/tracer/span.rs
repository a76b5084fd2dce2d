//! A span of our own tracer.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, Status, TraceState};
use opentelemetry_sdk::trace::SpanData;

use super::buffer::TraceBuffer;
use super::decode::{self, kind_number};
use super::encoded::message;
use super::recent;
use crate::clock::{self, nanos};
use crate::context::local::{self, Inherited, Locked, Question};
use crate::encoding::Role;
use crate::encoding::fields::{flags, state_of};
use crate::encoding::recycled::{recycle, recycled};
use crate::encoding::wire::{self, ValueRef, count_len, delimited_len, put_bytes, put_count, put_varint, span, status};
use crate::semconv;
use crate::span::outcome::keeps;
use crate::tags::draft::Draft;
use crate::tags::scoped::EncodedTags;

/// A span of a [`TracerProvider`](crate::telemetry::TracerProvider), which is encoded while it is recorded.
///
/// Attributes, events and links are encoded immediately into a buffer of the span, and the complete span into the
/// buffer of its trace when it ends. There are no other allocations.
pub struct Span {
    context: SpanContext,
    /// `None` for a span that does not record.
    buffer: Option<Arc<TraceBuffer>>,
    /// The tags in scope, or those that the span inherits.
    tags: Option<EncodedTags>,
    /// `None` once the span has ended.
    draft: Option<Box<Draft>>,
    /// The draft of a span that has ended, if it has what to pass on.
    ended: Option<Box<Draft>>,
    _padding: Padding,
}

/// Makes a span larger than the object in which a context shares it: allocators keep only some free blocks of each size
/// at hand (glibc's seven), and nested spans would have two of the same.
#[derive(Default)]
struct Padding(#[expect(dead_code, reason = "it only takes room")] [u8; 8]);

/// A context's object has 112 bytes.
const _: () = assert!(size_of::<Span>() > 120, "the next size of glibc's");
/// What is larger is copied by a call.
const _: () = assert!(size_of::<Span>() <= 128, "it is moved into its context");

/// Writes a span as the field `spans` of `ScopeSpans`.
#[inline(always)]
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
        encode_overriding(draft, out, context, tags, end);
    } else {
        let head = match draft.code.with_name(&draft.name) {
            Some(named) => Head { name: None, attributes: named },
            None => Head { name: Some(&draft.name), attributes: draft.code.bytes() },
        };
        put(draft, out, context, head, tags.map_or(&[], EncodedTags::bytes), end);
    }
}

/// The same for a span that overrides what describes its code, or tags that it inherits.
#[cold]
fn encode_overriding(draft: &Draft, out: &mut Vec<u8>, context: &SpanContext, tags: Option<&EncodedTags>, end: u64) {
    let mut inherited = recycled();
    draft.code.put_without(&mut inherited, |key| draft.fields.has(key));
    // A tag that is inherited says nothing of this code.
    tags.map(|tags| tags.put_without(&mut inherited, |key| draft.fields.has(key) || draft.code.has(key)));
    put(draft, out, context, Head { name: Some(&draft.name), attributes: &inherited }, &[], end);
    recycle(inherited);
}

/// A span that may begin after its parent has ended, on purpose, says so. A job is known by the time it was queued.
#[cold]
fn mark_detached(draft: &mut Draft) {
    if !draft.fields.has(semconv::THROUGHLINE_JOB_QUEUE_TIME_US) {
        draft.fields.set_ref(semconv::THROUGHLINE_DETACHED, ValueRef::Bool(true));
    }
}

/// When something happens to a span. OpenTelemetry's API reads the system clock for that.
#[inline]
fn time_within(draft: &Draft, time: SystemTime) -> u64 {
    let time = nanos(time);
    if draft.starts_now { clock::not_before(draft.start, time) } else { time }
}

/// The end of a span that ends now: after its events, which others may have stamped.
#[inline]
fn ends_now(draft: &Draft) -> u64 {
    clock::not_before(draft.latest, clock::now())
}

/// What comes before the attributes that were set: the name, unless it is among the bytes, and other attributes.
#[derive(Clone, Copy)]
struct Head<'a> {
    name: Option<&'a str>,
    attributes: &'a [u8],
}

/// Writes a span with these attributes besides its own.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the length is split into bytes")]
fn put(draft: &Draft, out: &mut Vec<u8>, context: &SpanContext, head: Head<'_>, tags: &[u8], end: u64) {
    let bytes = draft.fields.bytes();
    let has_rest = has_rest(draft, context);
    let has_parent = draft.parent != SpanId::INVALID;
    let len = IDS
        + if has_parent { PARENT } else { 0 }
        + head.name.map_or(0, |name| delimited_len(name.len()))
        + KIND_TIMES_FLAGS
        + head.attributes.len()
        + bytes.len()
        + tags.len()
        + if has_rest { rest_len(draft, context) } else { EMPTY_STATUS.len() };

    out.reserve(LENGTH_MAX + PARENT + len);
    if (0x80..0x4000).contains(&len) {
        // Most spans: the length takes two bytes.
        out.extend_from_slice(&(u16::from(wire::SPANS) | (len as u16 & 0x7f | 0x80) << 8).to_le_bytes());
        out.push((len >> 7) as u8);
    } else {
        out.push(wire::SPANS);
        put_varint(out, len as u64);
    }
    put_fixed(draft, out, context, end);
    if !has_parent {
        out.truncate(out.len() - PARENT);
    }
    if let Some(name) = head.name {
        put_bytes(out, span::NAME, name.as_bytes());
    }
    out.extend_from_slice(head.attributes);
    out.extend_from_slice(bytes);
    if !tags.is_empty() {
        out.extend_from_slice(tags);
    }
    if has_rest {
        put_rest(draft, out, context);
    } else {
        out.extend_from_slice(&EMPTY_STATUS);
    }
}

/// A status is written even if it is empty, as the SDK's exporter does: some collectors show what is there.
const EMPTY_STATUS: [u8; 2] = [span::STATUS, 0];

/// Whether there is more than most spans have: a trace state, counts of what was dropped, or a status.
#[inline]
fn has_rest(draft: &Draft, context: &SpanContext) -> bool {
    let fields = &draft.fields;
    fields.attributes.dropped | fields.events.dropped | fields.links.dropped != 0
        || !matches!(draft.status, Status::Unset)
        || *context.trace_state() != TraceState::NONE
}

/// Writes what has the same length in every span, with the parent last. In place: an array that is read as a whole right
/// after its parts were written waits for them.
#[inline]
fn put_fixed(draft: &Draft, out: &mut Vec<u8>, context: &SpanContext, end: u64) {
    const LEN: usize = KIND_TIMES_FLAGS + IDS + PARENT;

    out.extend_from_slice(&[0; LEN]);
    let Some(fixed) = out.last_chunk_mut::<LEN>() else { return };
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
}

/// The length of the trace state, of the counts of what was dropped, and of the status.
#[cold]
fn rest_len(draft: &Draft, context: &SpanContext) -> usize {
    let state = state_of(context);
    let state_len = if state.is_empty() { 0 } else { delimited_len(state.len()) };
    let fields = &draft.fields;
    let losses = [fields.attributes, fields.events, fields.links].map(|count| count_len(count.dropped));
    state_len + losses[0] + losses[1] + losses[2] + delimited_len(status_len(&draft.status))
}

fn status_len(status: &Status) -> usize {
    match status {
        Status::Unset => 0,
        Status::Error { description } if !description.is_empty() => delimited_len(description.len()) + 2,
        _ => 2,
    }
}

#[cold]
fn put_rest(draft: &Draft, out: &mut Vec<u8>, context: &SpanContext) {
    let fields = &draft.fields;
    let state = state_of(context);
    if !state.is_empty() {
        put_bytes(out, span::TRACE_STATE, state.as_bytes());
    }
    put_count(out, span::DROPPED_ATTRIBUTES, fields.attributes.dropped);
    put_count(out, span::DROPPED_EVENTS, fields.events.dropped);
    put_count(out, span::DROPPED_LINKS, fields.links.dropped);
    if matches!(draft.status, Status::Unset) {
        return out.extend_from_slice(&EMPTY_STATUS);
    }
    out.push(span::STATUS);
    put_varint(out, status_len(&draft.status) as u64);
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

/// The lengths of what every span has: trace ID and span ID; the parent's; kind, times and flags.
const IDS: usize = 18 + 10;
const PARENT: usize = 10;
const KIND_TIMES_FLAGS: usize = 2 + 9 + 9 + 6;

/// The greatest length of its beginning.
const LENGTH_MAX: usize = 11;

impl Span {
    /// A span that records nothing.
    pub(super) fn unrecorded(context: SpanContext) -> Self {
        Self { context, buffer: None, tags: None, draft: None, ended: None, _padding: Padding::default() }
    }

    pub(super) fn recording(
        context: SpanContext,
        buffer: Arc<TraceBuffer>,
        tags: Option<EncodedTags>,
        draft: Box<Draft>,
    ) -> Self {
        Self { context, buffer: Some(buffer), tags, draft: Some(draft), ended: None, _padding: Padding::default() }
    }

    /// Lets the spans below know what this one passes on, without asking it: unless that would have to be learned once
    /// more for its siblings. Gives whether they know.
    #[inline(always)]
    pub(super) fn is_starting(&self) -> bool {
        let (Some(buffer), Some(draft)) = (&self.buffer, &self.draft) else { return false };
        if !draft.changes_tags {
            recent::starting(buffer, self.tags.as_ref());
        }
        !draft.changes_tags
    }

    /// What has been recorded so far, in the SDK's type.
    #[cold]
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
        let (Some(buffer), Some(draft)) = (&self.buffer, &mut self.draft) else { return };
        if draft.role == Role::Detached {
            mark_detached(draft);
        }
        if !buffer.provider().observers.is_empty() {
            self.observe_end(buffer, end);
        }
        let Some(draft) = self.draft.take() else { return };
        recent::ended(&draft, self.context.span_id());
        if self.context.is_sampled() {
            let (context, tags) = (&self.context, self.tags.as_ref());
            buffer.add(draft.scope, draft.role, |out| encode(&draft, out, context, tags, end));
        }
        if draft.defers_tags {
            self.ended = Some(draft);
        } else {
            draft.recycle();
        }
    }

    /// The tags in scope for the spans below. Most spans that set some have none below, and are not asked.
    #[inline]
    fn passed_on(&mut self) -> Option<EncodedTags> {
        match self.draft.as_mut().or(self.ended.as_mut()).filter(|draft| draft.defers_tags) {
            Some(draft) => Some(draft.deferred_tags(self.tags.as_ref())),
            None => self.tags.clone(),
        }
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
            let time = time_within(draft, timestamp);
            draft.latest = draft.latest.max(time);
            draft.fields.add_event(&name.into(), time, attributes, 0);
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

    /// `Ok` is final, and a later error replaces an earlier one, unless it says less.
    fn set_status(&mut self, status: Status) {
        if matches!(status, Status::Unset) {
            local::answer(|question| {
                let Some(buffer) = &self.buffer else { return };
                let span_id = self.context.span_id();
                match question {
                    Question::All(draft) => {
                        let buffer: Arc<TraceBuffer> = Arc::clone(buffer);
                        draft.above = Some(Inherited { span_id, buffer });
                        draft.tags = self.passed_on();
                    }
                    Question::Tags(answer) => *answer = Some((span_id, self.passed_on())),
                }
            });
        } else if let Some(draft) = &mut self.draft {
            if !keeps(&draft.status, &status) {
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
        if let Some(draft) = &self.draft {
            self.finish(ends_now(draft));
        }
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        if let Some(draft) = &self.draft {
            let is_now = timestamp == *clock::NOW;
            self.finish(if is_now { ends_now(draft) } else { time_within(draft, timestamp) });
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(draft) = &self.draft {
            self.finish(ends_now(draft));
        }
        if let Some(draft) = self.ended.take() {
            draft.recycle();
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
