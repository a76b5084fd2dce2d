//! A span of our own tracer.

mod encode;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, Status};
use opentelemetry_sdk::trace::SpanData;

use self::encode::encode;
use super::buffer::TraceBuffer;
use super::decode;
use super::encoded::message;
use super::recent;
use crate::clock::{self, nanos};
use crate::context::local::{self, Inherited, Locked, Question};
use crate::encoding::Role;
use crate::encoding::recycled::{recycle, recycled};
use crate::encoding::wire::ValueRef;
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
    /// The draft of a span that has ended, kept if children inherit tags from it.
    ended: Option<Box<Draft>>,
    _padding: Padding,
}

/// Moves a span into another size class of the allocator than the shared part of a context. Allocators cache only a few
/// free blocks per size class (glibc seven), and nested spans would otherwise use two of the same class.
#[derive(Default)]
struct Padding(#[expect(dead_code, reason = "only takes up space")] [u8; 8]);

/// The shared part of a context has 112 bytes.
#[cfg(all(test, target_arch = "x86_64"))]
const _: () = assert!(size_of::<Span>() > 120, "must be in glibc's next size class");
/// Anything larger is moved by a call of `memcpy`.
#[cfg(all(test, target_arch = "x86_64"))]
const _: () = assert!(size_of::<Span>() <= 128, "must be cheap to move into its context");

/// Marks a span that may begin after its parent has ended, on purpose. A job is recognized by its queue time. A value that
/// the application has set is kept.
#[cold]
fn mark_detached(draft: &mut Draft) {
    let is_marked = |key| draft.fields.has(key);
    if ![semconv::THROUGHLINE_JOB_QUEUE_TIME_US, semconv::THROUGHLINE_DETACHED].into_iter().any(is_marked) {
        draft.fields.set_ref(semconv::THROUGHLINE_DETACHED, ValueRef::Bool(true));
    }
}

/// The timestamp of an event or of the end, which OpenTelemetry's API takes from the system clock. If the span has read
/// its own clock for the start, the timestamp is adjusted so that it is not before that.
#[inline]
fn time_within(draft: &Draft, time: SystemTime) -> u64 {
    let time = nanos(time);
    if draft.starts_now { clock::not_before(draft.start, time) } else { time }
}

/// The end of a span that ends now: not before its events, whose timestamps may be from another clock.
#[inline]
fn ends_now(draft: &Draft) -> u64 {
    clock::not_before(draft.latest, clock::now())
}

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

    /// Caches what children of this span inherit, so that they need not query it. Not done for a span that changes the
    /// tags, which would evict what its siblings inherit. Returns whether it was done.
    #[inline(always)]
    pub(super) fn cache_inherited(&self) -> bool {
        let (Some(buffer), Some(draft)) = (&self.buffer, &self.draft) else { return false };
        if !draft.changes_tags {
            recent::starting(buffer, self.tags.as_ref());
        }
        !draft.changes_tags
    }

    /// What has been recorded so far, as the SDK's type.
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

    /// What the span was started with.
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

    /// The tags that children inherit. Deferred ones are only encoded here: most spans that set tags have no children.
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

    /// `Ok` is final, and a later error replaces an earlier one, unless only the earlier one has a description.
    fn set_status(&mut self, status: Status) {
        // `Unset` never changes the status, so it also carries the queries of `local`.
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
