//! Asks the span of a context what it holds, if it is one of our own tracer's.
//!
//! OpenTelemetry's `Context` keeps a span behind a private trait, and does not give it back in its own type. So the
//! span is asked through the one method of that trait that has no effect on any other implementation: setting the
//! status to `Unset`, which the specification tells to ignore ("Set Status").

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, Status, TraceContextExt as _};

use crate::tags::draft::Draft;
use crate::tags::scoped::EncodedTags;

/// What a span of ours passes on to those below it.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) span_id: SpanId,
    /// The buffer of the trace, whose type only the tracer knows.
    pub(crate) buffer: Arc<dyn Any + Send + Sync>,
}

/// The question is a draft, which the span writes the answer to: that is copied nowhere else.
#[derive(Default)]
enum Question {
    #[default]
    None,
    Asked(Box<Draft>),
    /// A span is locked by this thread, so none may be asked: it may be the same.
    Forbidden,
}

thread_local! {
    static QUESTION: Cell<Question> = const { Cell::new(Question::None) };
}

/// Writes what the span of `context` passes on to `draft`, if that is one of ours that records or has recorded: `above`
/// and the tags in scope.
#[inline]
pub(crate) fn inherit(draft: Box<Draft>, context: &Context) -> Box<Draft> {
    if context.has_active_span() { ask(draft, context) } else { draft }
}

fn ask(draft: Box<Draft>, context: &Context) -> Box<Draft> {
    let mut draft = Some(draft);
    let answer = QUESTION.try_with(|question| {
        let before = question.take();
        if let Question::Forbidden = before {
            question.set(before);
            return None;
        }
        question.set(Question::Asked(draft.take()?));
        context.span().set_status(Status::Unset);
        match question.replace(before) {
            Question::Asked(draft) => Some(draft),
            _ => None,
        }
    });
    // It always comes back, or was not taken.
    answer.ok().flatten().or(draft).unwrap_or_else(Draft::unlimited)
}

/// What the span of `context` passes on: its id and the tags in scope.
pub(crate) fn inherited(context: &Context) -> Option<(SpanId, Option<EncodedTags>)> {
    if !context.has_active_span() {
        return None;
    }
    let (above, tags) = passed_on(context);
    above.map(|above| (above.span_id, tags))
}

/// What the span of `context` passes on besides its tags.
pub(crate) fn above(context: &Context) -> Option<Inherited> {
    passed_on(context).0
}

fn passed_on(context: &Context) -> (Option<Inherited>, Option<EncodedTags>) {
    let mut draft = inherit(Draft::unlimited(), context);
    let passed_on = (draft.above.take(), draft.tags.take());
    draft.recycle();
    passed_on
}

/// Called by a span of ours whose status is set to `Unset`.
#[inline]
pub(crate) fn answer(answer: impl FnOnce(&mut Draft)) {
    let _ = QUESTION.try_with(|question| {
        let mut asked = question.take();
        if let Question::Asked(draft) = &mut asked {
            answer(draft);
        }
        question.set(asked);
    });
}

/// Whether a span may be asked on this thread. If not, it may be locked already.
pub(crate) fn may_ask() -> bool {
    QUESTION
        .try_with(|question| {
            let before = question.take();
            let may_ask = !matches!(before, Question::Forbidden);
            question.set(before);
            may_ask
        })
        .unwrap_or(false)
}

/// While it exists, no span is asked on this thread: one may be locked, and other code is called.
pub(crate) struct Locked(Question);

impl Locked {
    pub(crate) fn new() -> Self {
        Self(QUESTION.try_with(|question| question.replace(Question::Forbidden)).unwrap_or_default())
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let before = std::mem::take(&mut self.0);
        let _ = QUESTION.try_with(|question| question.set(before));
    }
}
