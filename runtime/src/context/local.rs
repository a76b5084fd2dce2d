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

use crate::tags::scoped::EncodedTags;

/// What a span of ours passes on to those below it.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) span_id: SpanId,
    /// The buffer of the trace, whose type only the tracer knows.
    pub(crate) buffer: Arc<dyn Any + Send + Sync>,
    /// The tags in scope, those of the span included.
    pub(crate) tags: Option<EncodedTags>,
}

#[derive(Default)]
enum Question {
    #[default]
    None,
    Asked,
    Answered(Inherited),
    /// A span is locked by this thread, so none may be asked: it may be the same.
    Forbidden,
}

thread_local! {
    static QUESTION: Cell<Question> = const { Cell::new(Question::None) };
}

/// What the span of `context` passes on, if that is one of ours that records or has recorded.
#[inline]
pub(crate) fn inherited(context: &Context) -> Option<Inherited> {
    if context.has_active_span() { ask(context) } else { None }
}

fn ask(context: &Context) -> Option<Inherited> {
    let answer = QUESTION.try_with(|question| {
        if let Question::Forbidden = question.replace(Question::Asked) {
            question.set(Question::Forbidden);
            return None;
        }
        context.span().set_status(Status::Unset);
        match question.take() {
            Question::Answered(inherited) => Some(inherited),
            _ => None,
        }
    });
    answer.ok().flatten()
}

/// Called by a span of ours whose status is set to `Unset`.
#[inline]
pub(crate) fn answer(inherited: impl FnOnce() -> Option<Inherited>) {
    let _ = QUESTION.try_with(|question| match question.take() {
        Question::Asked => question.set(inherited().map_or(Question::None, Question::Answered)),
        Question::Forbidden => question.set(Question::Forbidden),
        _ => {}
    });
}

/// While it exists, no span is asked on this thread: one may be locked, and other code is called.
pub(crate) struct Locked {
    is_outermost: bool,
}

impl Locked {
    pub(crate) fn new() -> Self {
        let before = QUESTION.try_with(|question| question.replace(Question::Forbidden));
        Self { is_outermost: !matches!(before, Ok(Question::Forbidden)) }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if self.is_outermost {
            let _ = QUESTION.try_with(Cell::take);
        }
    }
}
