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

/// What a span is asked for, with room for the answer.
pub(crate) enum Question {
    /// All that it passes on, for the draft of a span below: that is written, and copied nowhere else.
    All(Box<Draft>),
    /// Its id, and the tags in scope.
    Tags(Option<(SpanId, Option<EncodedTags>)>),
}

#[derive(Default)]
enum Asked {
    #[default]
    Nothing,
    Question(Question),
    /// A span is locked by this thread, so none may be asked: it may be the same.
    Forbidden,
}

thread_local! {
    static ASKED: Cell<Asked> = const { Cell::new(Asked::Nothing) };
}

/// Writes what the span of `context` passes on to `draft`, if that is one of ours that records or has recorded: `above`
/// and the tags in scope.
#[inline]
pub(crate) fn inherit(draft: Box<Draft>, context: &Context) -> Box<Draft> {
    if !context.has_active_span() {
        return draft;
    }
    match ask(Question::All(draft), context) {
        Some(Question::All(draft)) => draft,
        _ => Draft::unlimited(),
    }
}

/// Asks the span of `context`. The question always comes back, answered or not.
fn ask(question: Question, context: &Context) -> Option<Question> {
    let mut question = Some(question);
    let answered = ASKED.try_with(|asked| {
        let before = asked.take();
        if let Asked::Forbidden = before {
            asked.set(before);
            return None;
        }
        asked.set(Asked::Question(question.take()?));
        context.span().set_status(Status::Unset);
        match asked.replace(before) {
            Asked::Question(answered) => Some(answered),
            _ => None,
        }
    });
    answered.ok().flatten().or(question)
}

/// What the span of `context` passes on: its id and the tags in scope.
pub(crate) fn inherited(context: &Context) -> Option<(SpanId, Option<EncodedTags>)> {
    if !context.has_active_span() {
        return None;
    }
    match ask(Question::Tags(None), context) {
        Some(Question::Tags(answer)) => answer,
        _ => None,
    }
}

/// What the span of `context` passes on besides its tags.
pub(crate) fn above(context: &Context) -> Option<Inherited> {
    let mut draft = inherit(Draft::unlimited(), context);
    let above = draft.above.take();
    draft.recycle();
    above
}

/// Called by a span of ours whose status is set to `Unset`.
#[inline]
pub(crate) fn answer(answer: impl FnOnce(&mut Question)) {
    let _ = ASKED.try_with(|asked| {
        let mut question = asked.take();
        if let Asked::Question(question) = &mut question {
            answer(question);
        }
        asked.set(question);
    });
}

/// Whether a span may be asked on this thread. If not, it may be locked already.
pub(crate) fn may_ask() -> bool {
    ASKED
        .try_with(|asked| {
            let before = asked.take();
            let may_ask = !matches!(before, Asked::Forbidden);
            asked.set(before);
            may_ask
        })
        .unwrap_or(false)
}

/// While it exists, no span is asked on this thread: one may be locked, and other code is called.
pub(crate) struct Locked(Asked);

impl Locked {
    pub(crate) fn new() -> Self {
        Self(ASKED.try_with(|asked| asked.replace(Asked::Forbidden)).unwrap_or_default())
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let before = std::mem::take(&mut self.0);
        let _ = ASKED.try_with(|asked| asked.set(before));
    }
}
