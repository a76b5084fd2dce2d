//! Finds the buffer of the trace that a context is in.
//!
//! OpenTelemetry's `Context` holds a span behind a private trait, and the span's own type cannot be had back. So the
//! span is asked, by a call that has no effect on any other implementation: the specification says that setting the
//! status to `Unset` is ignored ("Set Status").

use std::cell::Cell;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::{Status, TraceContextExt as _};

use super::buffer::TraceBuffer;

#[derive(Default)]
enum Question {
    #[default]
    None,
    Asked,
    Answered(Arc<TraceBuffer>),
    /// A span of this thread is locked, so none may be asked: it may be the same.
    Forbidden,
}

thread_local! {
    static QUESTION: Cell<Question> = const { Cell::new(Question::None) };
}

/// The buffer of the context's span, if that is one of ours.
#[inline]
pub(crate) fn buffer_of(context: &Context) -> Option<Arc<TraceBuffer>> {
    if !context.has_active_span() {
        return None;
    }
    QUESTION
        .try_with(|question| {
            if let Question::Forbidden = question.take() {
                question.set(Question::Forbidden);
                return None;
            }
            question.set(Question::Asked);
            context.span().set_status(Status::Unset);
            match question.take() {
                Question::Answered(buffer) => Some(buffer),
                _ => None,
            }
        })
        .ok()
        .flatten()
}

/// Called by a span whose status is set to `Unset`.
#[inline]
pub(super) fn answer(buffer: Option<&Arc<TraceBuffer>>) {
    let _ = QUESTION.try_with(|question| match (question.take(), buffer) {
        (Question::Asked, Some(buffer)) => question.set(Question::Answered(Arc::clone(buffer))),
        (Question::Forbidden, _) => question.set(Question::Forbidden),
        _ => {}
    });
}

/// While it exists, no span is asked on this thread: one may be locked, and other code is called.
pub(super) struct Locked {
    is_outermost: bool,
}

impl Locked {
    pub(super) fn new() -> Self {
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
