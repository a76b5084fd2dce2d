//! The context that a task inherits from the code that spawns it.

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

/// The inherited state of a task.
#[derive(Debug)]
pub(super) enum Inherited {
    Context(Context),
    /// A span of its own, which is open until the task ends.
    Spanned(Box<Span>),
}

impl Inherited {
    /// Starts a span for the task that is being spawned at `place`.
    pub(super) fn spanned(context: Context, place: &'static Location<'static>) -> Self {
        if !context.span().span_context().is_valid() {
            return Self::Context(context);
        }
        // Calls the application's sampler and span processors, whose panics must not reach the library that spawns.
        match caught(|| SpanBuilder::new("task").placed(place).detached().start()) {
            Some(span) if !span.is_none() => Self::Spanned(Box::new(span)),
            _ => Self::Context(context),
        }
    }

    /// Releases the inherited state of a task that has ended. Must not be called under a lock, and catches panics,
    /// because extensions may have destructors.
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

/// Returns the context that a task inherits from `current`, without the span itself, and whether it is the cached one
/// in [`LAST`]. Returns `None` if there is nothing to inherit.
pub(super) fn inherited(current: &Context) -> Option<(Context, bool)> {
    let (span, data) = (current.span(), Data::of(current));
    let identity = span.span_context();
    if !identity.is_valid() && data.is_none() && !current.is_telemetry_suppressed() && current.baggage().is_empty() {
        return None;
    }
    // The cache is keyed by span context and data, so there must be nothing else to inherit. Data that holds more than
    // tags, such as a provider, must not be kept alive by the cache.
    let may_be_shared = identity.is_valid()
        && !current.is_telemetry_suppressed()
        && current.baggage().is_empty()
        && data.is_none_or(|data| data.is_only_tags());
    if !may_be_shared {
        return Snapshot::from_context(current).unless_empty().map(|snapshot| (snapshot.to_context(), false));
    }
    let cached = LAST.try_with(|last| last.borrow().as_ref().and_then(|last| last.of(identity, data))).ok().flatten();
    if let Some(context) = cached {
        return Some((context, true));
    }
    let context = Snapshot::from_context(current).to_context();
    let last = Last { identity: identity.clone(), data: data.map(Arc::clone), context: context.clone() };
    LAST_TASK.set(0);
    let previous = LAST.try_with(|cached| cached.replace(Some(last)));
    let is_last = previous.is_ok();
    drop(previous);
    Some((context, is_last))
}

/// Records that the task `number` has inherited the context in [`LAST`].
#[inline]
pub(super) fn shared_with(number: u64) {
    LAST_TASK.set(number);
}

/// Returns the context of the task `number`, if it is the last task on this thread that inherited the one in [`LAST`].
#[inline]
pub(super) fn shared_context(number: u64) -> Option<Context> {
    if LAST_TASK.get() != number {
        return None;
    }
    LAST.try_with(|last| last.borrow().as_ref().map(|last| last.context.clone())).ok().flatten()
}

/// The context that was last inherited on this thread, and what it was made from.
struct Last {
    identity: SpanContext,
    data: Option<Arc<Data>>,
    context: Context,
}

impl Last {
    /// Returns the context if it was made from the same span context and data.
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
    /// A cache of one context, so that all tasks that a span spawns share it.
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };

    /// The number of the last task that inherited the cached context; zero if there is none.
    static LAST_TASK: Cell<u64> = const { Cell::new(0) };
}
