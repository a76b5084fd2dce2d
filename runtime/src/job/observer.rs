//! The future of a detached job.

use std::future::Future;
use std::time::Instant;

use crate::span::handle::Span;
use crate::span::instrumented::{Instrumented, Observe, Observer, OutputObserver};
use crate::span::outcome::Outcome;

/// Records the time until the first poll, and ends the span.
pub(super) struct Job<O, H> {
    /// When the job was spawned; taken at the first poll.
    spawned: Option<Instant>,
    output: OutputObserver<O>,
    _held: H,
}

impl<O, H> Observer for Job<O, H> {
    #[inline]
    fn polled(&mut self, span: &mut Span) {
        if let Some(spawned) = self.spawned.take() {
            span.0.queued_since(spawned);
        }
    }
}

impl<T, O: FnOnce(&T) -> Outcome, H> Observe<T> for Job<O, H> {
    type Output = T;

    #[inline]
    fn observe(&mut self, span: &mut Span, value: T) -> T {
        self.output.observe(span, value)
    }
}

impl Span {
    /// Wraps the future of a detached job. `held` is dropped when the job has ended.
    pub(super) fn job<F, O, H>(self, future: F, outcome: O, held: H) -> Instrumented<F, Job<O, H>>
    where
        F: Future,
        O: FnOnce(&F::Output) -> Outcome,
    {
        let output = OutputObserver(Some(outcome));
        self.instrument(future, Job { spawned: Some(Instant::now()), output, _held: held })
    }
}
