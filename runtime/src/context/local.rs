//! Queries the span of a context for its data, if the span was created by our own tracer.
//!
//! OpenTelemetry's `Context` stores a span behind a private trait and does not expose its concrete type. So the query
//! goes through the one method of that trait that has no effect on any other implementation: setting the status to
//! `Unset`, which implementations must ignore (specification of the tracing API, "Set Status").

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, Status, TraceContextExt as _};

use crate::tags::draft::Draft;
use crate::tags::scoped::EncodedTags;

/// The data that a span of our own tracer passes to its children, besides tags.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) span_id: SpanId,
    /// The buffer of the trace, whose type only the tracer knows.
    pub(crate) buffer: Arc<dyn Any + Send + Sync>,
}

/// A query, which the span fills in with its answer.
pub(crate) enum Question {
    /// All inherited data, written directly to the draft of a child.
    All(Box<Draft>),
    /// The span ID, and the tags in scope.
    Tags(Option<(SpanId, Option<EncodedTags>)>),
}

#[derive(Default)]
enum Asked {
    #[default]
    Nothing,
    Question(Question),
    /// This thread holds the lock of a span, so no span may be queried: it could be the same one.
    Forbidden,
}

thread_local! {
    static ASKED: Cell<Asked> = const { Cell::new(Asked::Nothing) };
}

/// Writes the data inherited from the span of `context` (`above` and the tags in scope) to `draft`, if it is a span of
/// our own tracer that is or was recording.
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

/// Queries the span of `context`. Returns the query, answered or not.
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

/// Returns the ID of the span of `context` and the tags in scope, if it is a span of our own tracer.
pub(crate) fn inherited(context: &Context) -> Option<(SpanId, Option<EncodedTags>)> {
    if !context.has_active_span() {
        return None;
    }
    match ask(Question::Tags(None), context) {
        Some(Question::Tags(answer)) => answer,
        _ => None,
    }
}

/// Returns the data inherited from the span of `context`, besides tags.
pub(crate) fn above(context: &Context) -> Option<Inherited> {
    let mut draft = inherit(Draft::unlimited(), context);
    let above = draft.above.take();
    draft.recycle();
    above
}

/// Answers the pending query. Called by a span of our own tracer when its status is set to `Unset`.
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

/// Whether this thread may query a span. If not, it may already hold its lock.
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

/// Prevents queries on this thread until dropped, because a span may be locked while other code is called.
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
