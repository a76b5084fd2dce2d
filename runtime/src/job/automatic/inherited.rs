//! What a task inherits from the code that spawns it.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};

use crate::context::data::Data;
use crate::context::snapshot::Snapshot;
use crate::guard::panics::caught;
use crate::span::builder::SpanBuilder;
use crate::span::handle::Span;
use crate::span::outcome::Outcome;

/// The inheritance of a task.
#[derive(Debug)]
pub(super) enum Inherited {
    Context(Context),
    /// A span of its own, which is open until the task ends.
    Spanned(Box<Span>),
}

impl Inherited {
    /// Starts a span for the task that is being spawned at this place.
    pub(super) fn spanned(context: Context, place: &'static Location<'static>) -> Self {
        if !context.span().span_context().is_valid() {
            return Self::Context(context);
        }
        // Samplers and span processors of the application's are called, whose panics must not reach the library.
        match caught(|| SpanBuilder::new("task").placed(place).detached().start()) {
            Some(span) if !span.is_none() => Self::Spanned(Box::new(span)),
            _ => Self::Context(context),
        }
    }

    /// Releases the inheritance of a task that has ended. Not called under a lock, and catches panics, because
    /// extensions may have destructors.
    #[inline]
    pub(super) fn end(self) {
        let _ = caught(|| {
            if let Self::Spanned(mut span) = self {
                span.end(Outcome::default);
            }
        });
    }

    pub(super) fn context(&self) -> Context {
        match self {
            Self::Context(context) => context.clone(),
            Self::Spanned(span) => span.context(),
        }
    }
}

/// Returns the context that a task inherits from `current`, which does not hold the span itself, and whether it is the
/// one in [`LAST`]. `None` if there is nothing to inherit.
pub(super) fn inherited(current: &Context) -> Option<(Context, bool)> {
    let (span, data) = (current.span(), Data::of(current));
    let identity = span.span_context();
    if !identity.is_valid() && data.is_none() && !current.is_telemetry_suppressed() && current.baggage().is_empty() {
        return None;
    }
    // What else there is belongs to the span, or is nothing. Data with a provider must not be held for longer.
    let may_be_shared = identity.is_valid()
        && !current.is_telemetry_suppressed()
        && current.baggage().is_empty()
        && data.is_none_or(|data| data.is_only_tags());
    if !may_be_shared {
        return Snapshot::from_context(current).unless_empty().map(|snapshot| (snapshot.to_context(), false));
    }
    let known = LAST.try_with(|last| last.borrow().as_ref().and_then(|last| last.of(identity, data))).ok().flatten();
    if let Some(known) = known {
        return Some((known, true));
    }
    let context = Snapshot::from_context(current).to_context();
    let last = Last { identity: identity.clone(), data: data.map(Arc::clone), context: context.clone() };
    LAST_TASK.set(0);
    let before = LAST.try_with(|known| known.replace(Some(last)));
    let is_last = before.is_ok();
    drop(before);
    Some((context, is_last))
}

/// Remembers that the task `number` has inherited the context in [`LAST`].
#[inline]
pub(super) fn shared_with(number: u64) {
    LAST_TASK.set(number);
}

/// Returns the context of the task `number`, if it was the last one on this thread to inherit that in [`LAST`].
#[inline]
pub(super) fn shared_context(number: u64) -> Option<Context> {
    if LAST_TASK.get() != number {
        return None;
    }
    LAST.try_with(|last| last.borrow().as_ref().map(|last| last.context.clone())).ok().flatten()
}

/// The inheritance of the task that was last spawned on this thread.
struct Last {
    identity: SpanContext,
    data: Option<Arc<Data>>,
    context: Context,
}

impl Last {
    /// Returns the context, if it was made from the same span context and data.
    fn of(&self, identity: &SpanContext, data: Option<&Arc<Data>>) -> Option<Context> {
        let has_same_data = match (&self.data, data) {
            (Some(known), Some(data)) => Arc::ptr_eq(known, data),
            (None, None) => true,
            _ => false,
        };
        (has_same_data && self.identity == *identity).then(|| self.context.clone())
    }
}

thread_local! {
    /// The last inheritance, so that the tasks that a span spawns share a context.
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };

    /// The number of the last task that was spawned with it; zero if there is none.
    static LAST_TASK: Cell<u64> = const { Cell::new(0) };
}
