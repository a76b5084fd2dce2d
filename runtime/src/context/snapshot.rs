//! A context that can go anywhere: identity, baggage and tags, never the span itself.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::baggage::{Baggage, BaggageExt as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceState};

use crate::context::current::{self, Attached};
use crate::context::data::{self, BaggageEntry, Data};
use crate::context::origin::Origin;

/// Where in which trace the code that captured it was: the current span's identity (trace id, span
/// id, flags, trace state), the baggage and the tags.
///
/// It does not hold the span, so whoever keeps a snapshot does not keep a request open. Wrap a
/// closure, a future or a stream in it and send that across any boundary; what runs inside has the
/// captured span as its parent.
///
/// Capturing and cloning does not allocate. The exception is what only other code can bring about:
/// baggage set through OpenTelemetry's own API is copied once at capture, and so is a W3C trace
/// state that a caller has sent.
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
    /// Baggage that is not in `data`, because other code has set it.
    baggage: Option<Arc<[BaggageEntry]>>,
    /// Whether nothing is to be recorded below, as in the work of an exporter.
    suppressed: bool,
}

/// A span's identity that is cloned without allocating.
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
        current::with(Self::of)
    }

    /// Captures `context`.
    pub fn of(context: &Context) -> Self {
        let data = Data::of(context).map(Arc::clone);
        let baggage = context.baggage();
        let known = data.as_ref().and_then(|data| data.baggage.as_deref()).unwrap_or_default();
        let same = known.len() == baggage.len()
            && known.iter().all(|(key, member)| baggage.get_with_metadata(key) == Some(member));
        Self {
            identity: Identity::of(context.span().span_context()),
            baggage: (!same).then(|| data::entries(baggage).collect()),
            data,
            suppressed: context.is_telemetry_suppressed(),
        }
    }

    /// The identity of the captured span, if there was one.
    pub fn span_context(&self) -> Option<&SpanContext> {
        match &self.identity {
            Identity::None => None,
            Identity::Bare(span) => Some(span),
            Identity::Shared(span) => Some(span),
        }
    }

    /// The snapshot as a context, to be used with OpenTelemetry's own API.
    pub fn to_context(&self) -> Context {
        let mut context = Context::new();
        if self.suppressed {
            context = context.with_telemetry_suppressed();
        }
        if let Some(span) = self.span_context() {
            context = context.with_remote_span_context(span.clone());
        }
        let shared = self.data.as_ref().and_then(|data| data.baggage.as_ref());
        if let Some(baggage) = self.baggage.as_ref().or(shared).filter(|baggage| !baggage.is_empty()) {
            context = context.with_baggage(baggage.iter().cloned().collect::<Baggage>());
        }
        match &self.data {
            Some(data) => Data::share(Arc::clone(data), &context),
            None => context,
        }
    }

    /// The same baggage and tags in a new trace.
    pub(crate) fn without_span(mut self) -> Self {
        self.identity = Identity::None;
        self
    }

    /// Makes the snapshot current on this thread until the guard is dropped.
    ///
    /// While the thread is being torn down, in the destructor of a thread-local, it does nothing.
    pub fn attach(&self) -> Attached {
        current::attach(self.to_context())
    }

    /// Runs `f` here and now with the snapshot current.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let _attached = current::attach(self.to_context());
        f()
    }

    /// A closure that has the snapshot current when it is called, wherever that is.
    pub fn wrap<R>(self, f: impl FnOnce() -> R) -> impl FnOnce() -> R {
        move || self.run(f)
    }

    /// The same for a closure that is called many times with an argument: callbacks, iterators,
    /// rayon's parallel iterators.
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
            .field("tags", &self.data.as_ref().map_or(&[][..], |data| &data.tags))
            .finish_non_exhaustive()
    }
}
