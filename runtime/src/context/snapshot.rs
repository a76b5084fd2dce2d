//! A context that can be sent anywhere: span context, baggage and tags, but not the span itself.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::baggage::{Baggage, BaggageExt as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceState};

use crate::context::current::{self, Attached};
use crate::context::data::{self, BaggageEntry, Data};
use crate::context::origin::Origin;
#[cfg(feature = "sdk")]
use crate::context::place;
use crate::tags::scoped::{self, ScopedTags};

/// A capture of the current context: the span context (trace ID, span ID, flags, trace state), baggage, tags and
/// extensions.
///
/// A snapshot does not hold the span, so keeping it does not keep the span open. Use it to wrap a closure, a future
/// or a stream before moving that to another thread or task; spans started inside are children of the captured span.
///
/// Capturing and cloning do not allocate, with two exceptions: baggage that was set through OpenTelemetry's own API
/// and W3C trace state received from a caller are copied once at capture.
///
/// ```
/// use throughline::Snapshot;
///
/// let snapshot = Snapshot::capture();
/// let worker = std::thread::spawn(snapshot.wrap(|| 6 * 7));
/// assert_eq!(worker.join().unwrap(), 42);
/// ```
#[derive(Clone, Default)]
pub struct Snapshot {
    identity: Identity,
    data: Option<Arc<Data>>,
    /// The tags of the span, if they are newer than those in `data`.
    tags: ScopedTags,
    /// Baggage that is not in `data`, because it was set by other code.
    baggage: Option<Arc<[BaggageEntry]>>,
    /// Whether telemetry is suppressed, as in an exporter's own work.
    suppressed: bool,
}

/// A span context that can be cloned without allocating.
#[derive(Clone, Default)]
enum Identity {
    #[default]
    None,
    /// Without trace state.
    Bare(SpanContext),
    Shared(Arc<SpanContext>),
}

impl Identity {
    fn of(span: &SpanContext) -> Self {
        if !span.is_valid() {
            Self::None
        } else if *span.trace_state() == TraceState::NONE {
            Self::Bare(span.clone())
        } else {
            Self::Shared(Arc::new(span.clone()))
        }
    }
}

impl Snapshot {
    /// Captures the current context.
    pub fn capture() -> Self {
        current::with(Self::from_context)
    }

    /// Captures `context`.
    pub fn from_context(context: &Context) -> Self {
        let data = Data::of(context).map(Arc::clone);
        let baggage = context.baggage();
        let known = data.as_ref().and_then(|data| data.baggage.as_deref()).unwrap_or_default();
        let same = known.len() == baggage.len()
            && known.iter().all(|(key, member)| baggage.get_with_metadata(key) == Some(member));
        Self {
            identity: Identity::of(context.span().span_context()),
            baggage: (!same).then(|| data::entries(baggage).collect()),
            tags: scoped::of_span(context, data.as_ref()),
            data,
            suppressed: context.is_telemetry_suppressed(),
        }
    }

    /// Returns the captured span context, if there was a valid one.
    pub fn span_context(&self) -> Option<&SpanContext> {
        match &self.identity {
            Identity::None => None,
            Identity::Bare(span) => Some(span),
            Identity::Shared(span) => Some(span),
        }
    }

    /// Returns `None` if there is nothing for a task to inherit.
    #[cfg(all(feature = "tokio", tokio_unstable))]
    pub(crate) fn unless_empty(self) -> Option<Self> {
        let is_empty = self.span_context().is_none()
            && self.data.is_none()
            && self.baggage.as_ref().is_none_or(|baggage| baggage.is_empty())
            && !self.suppressed;
        (!is_empty).then_some(self)
    }

    /// Converts the snapshot to a context, for use with OpenTelemetry's own API.
    pub fn to_context(&self) -> Context {
        let mut context = Context::new();
        if self.suppressed {
            context = context.with_telemetry_suppressed();
        }
        if let Some(span) = self.span_context() {
            context = context.with_remote_span_context(span.clone());
            #[cfg(feature = "sdk")]
            place::forget(&context);
        }
        let shared = self.data.as_ref().and_then(|data| data.baggage.as_ref());
        if let Some(baggage) = self.baggage.as_ref().or(shared).filter(|baggage| !baggage.is_empty()) {
            context = context.with_baggage(baggage.iter().cloned().collect::<Baggage>());
        }
        match &self.data {
            _ if !self.tags.is_empty() => {
                let mut data = self.data.as_deref().cloned().unwrap_or_default();
                data.set_tags(self.tags.clone(), &context);
                data.put(&context)
            }
            Some(data) => Data::share(Arc::clone(data), &context),
            None => context,
        }
    }

    /// Removes the span context and keeps baggage and tags, for a new trace.
    pub(crate) fn without_span(self) -> Self {
        Self { identity: Identity::None, ..self }
    }

    /// Makes the snapshot current on this thread until the guard is dropped.
    ///
    /// Has no effect during thread teardown, that is, in the destructor of a thread-local.
    pub fn attach(&self) -> Attached {
        current::attach(self.to_context())
    }

    /// Runs `f` immediately, with the snapshot as the current context.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let _attached = current::attach(self.to_context());
        f()
    }

    /// Returns a closure that runs `f` with the snapshot as the current context, on whichever thread it is called.
    pub fn wrap<R>(self, f: impl FnOnce() -> R) -> impl FnOnce() -> R {
        move || self.run(f)
    }

    /// Like [`wrap`](Self::wrap), for a closure that takes an argument and is called many times: callbacks,
    /// iterators, rayon's parallel iterators.
    ///
    /// ```
    /// use throughline::Snapshot;
    ///
    /// let double = Snapshot::capture().wrap_fn(|n: u32| throughline::in_span("double", || n * 2));
    /// assert_eq!([1, 2].map(double), [2, 4]);
    /// ```
    pub fn wrap_fn<A, R>(self, f: impl Fn(A) -> R) -> impl Fn(A) -> R {
        let context = self.to_context();
        move |argument| {
            let _attached = current::attach(context.clone());
            f(argument)
        }
    }
}

impl Origin for Snapshot {
    fn origin(&self) -> Context {
        self.to_context()
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("span_context", &self.span_context())
            .field("tags", &scoped::of(&self.to_context()).list())
            .finish_non_exhaustive()
    }
}
