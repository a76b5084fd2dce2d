//! The future of a detached job.

use std::future::Future;
use std::time::Instant;

use crate::span::handle::Span;
use crate::span::instrumented::{Ended, Instrumented, Observe, Observer};
use crate::span::outcome::Outcome;

/// Records how long the job has waited for its first poll, and ends its span.
pub(super) struct Job<O, H> {
    /// When it was spawned, until it is polled for the first time.
    spawned: Option<Instant>,
    ended: Ended<O>,
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
        self.ended.observe(span, value)
    }
}

impl Span {
    /// The future of a detached job. `held` is let go when the job is over.
    pub(super) fn job<F, O, H>(self, future: F, outcome: O, held: H) -> Instrumented<F, Job<O, H>>
    where
        F: Future,
        O: FnOnce(&F::Output) -> Outcome,
    {
        self.instrument(future, Job { spawned: Some(Instant::now()), ended: Ended::new(outcome), _held: held })
    }
}
